//! One call: from the lease to the head of the response, and what goes on after it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body as _;
use wharf_call::{Body, Exceeded, Failure, Invocation, LimitKey};

use crate::answer::Answer;
use crate::driven::{Driven, conclude};
use crate::enforcer::CallCount;
use crate::generation::Generation;
use crate::lease::Lease;
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::time_limit::Due;
use crate::worlds::Begun;

/// Serves one request with an instance of `generation`.
pub(crate) async fn call(
    generation: Arc<Generation>,
    request: Request<Body>,
    mut invocation: Invocation,
) -> Result<Response<Body>, Failure> {
    let enforcer = &generation.enforcer;
    RequestBody::check(&request, enforcer)?;
    let counted = enforcer.count_call().map_err(Exceeded::into_failure)?;
    let due = Due::begin(invocation.deadline, enforcer);
    invocation.deadline = due.deadline();

    let mut lease = Lease::take(&generation, &invocation).await?;
    let meter = lease.instance().meter().clone();
    let answer = Answer::new();
    let begun = lease.instance().begin(request, invocation, &answer)?;
    let running = run(lease, counted, begun, answer.clone());
    let mut driven = Driven::new(answer, running);
    let response = driven.answered(due, &generation).await?;

    let (head, body) = response.into_parts();
    let body = match body {
        Body::Stream(stream) => {
            let mut body = ResponseBody::new(stream, meter, driven.answer().clone());
            poll_fn(|cx| {
                take_inline(&mut body, &mut driven, cx);
                Poll::Ready(())
            })
            .await;
            if driven.is_running() {
                let ended = body.has_ended();
                if !ended {
                    body.begin_stream();
                }
                let driver = driven.go_on(generation);
                if !ended {
                    body.driven_by(driver);
                }
            }
            body.into_body()
        }
        whole => {
            let bytes = whole.size_hint().lower();
            enforcer.check(LimitKey::ResponseBody, bytes).map_err(Exceeded::into_failure)?;
            if driven.is_running() {
                driven.go_on(generation);
            }
            whole
        }
    };
    Ok(Response::from_parts(head, body))
}

/// Takes what the guest can give of its body without waiting.
fn take_inline(body: &mut ResponseBody, driven: &mut Driven<Response<Body>>, cx: &mut Context<'_>) {
    loop {
        let taken = body.frames_taken();
        let enough = body.poll_inline(cx);
        if !driven.is_running() || driven.poll(cx).is_pending() && (enough || body.frames_taken() == taken) {
            return;
        }
    }
}

/// Runs the guest's side of the call and ends the lease.
async fn run(mut lease: Lease, _counted: Option<CallCount>, begun: Begun, answer: Answer) {
    let ended = lease.instance().finish(begun, &answer).await;
    conclude(lease, ended, &answer);
}
