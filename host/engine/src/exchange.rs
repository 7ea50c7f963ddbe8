//! One call: from the lease to the head of the response, and what goes on after it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body as _;
use tokio::time::sleep;
use wharf_call::{Body, Exceeded, Failure, Invocation, Kind, LimitKey};

use crate::answer::Answer;
use crate::enforcer::CallCount;
use crate::generation::Generation;
use crate::lease::Lease;
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::time_limit::Due;
use crate::worlds::Begun;

/// Serves one request with an instance of `generation`.
///
/// The guest is driven by whoever polls this future: there is no task and no queue between the connection
/// and the guest. When the guest's answer is complete at once, as most are, that is all. A body that is
/// still to come is driven by a task of its own, which the response's body owns.
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
    let mut running: Running = Box::pin(run(lease, counted, begun, answer.clone()));

    // A warm call is over in its first poll: only one that is not pays for a timer.
    let first = poll_fn(|cx| Poll::Ready(step(&mut running, &answer, cx))).await;
    let (response, mut state) = match first {
        Poll::Ready(answered) => answered,
        Poll::Pending => {
            let rest = poll_fn(|cx| step(&mut running, &answer, cx));
            due.keep(enforcer, rest).await.inspect_err(|late| generation.metrics.ended(late.kind()))?
        }
    };

    let (head, body) = response?.into_parts();
    let body = match body {
        Body::Stream(stream) => {
            let mut body = ResponseBody::new(stream, meter, answer.clone());
            poll_fn(|cx| {
                take_inline(&mut body, &mut running, &mut state, cx);
                Poll::Ready(())
            })
            .await;
            if state == State::Running {
                let ended = body.has_ended();
                if !ended {
                    body.begin_stream();
                }
                let driver = tokio::spawn(drive_on(running, answer, generation.clone()));
                if !ended {
                    body.driven_by(driver.abort_handle());
                }
            }
            body.into_body()
        }
        whole => {
            let bytes = whole.size_hint().lower();
            enforcer.check(LimitKey::ResponseBody, bytes).map_err(Exceeded::into_failure)?;
            if state == State::Running {
                tokio::spawn(drive_on(running, answer, generation.clone()));
            }
            whole
        }
    };
    Ok(Response::from_parts(head, body))
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether the guest is done with the call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Done,
}

/// Drives the guest until it has given its answer.
fn step(
    running: &mut Running,
    answer: &Answer,
    cx: &mut Context<'_>,
) -> Poll<(Result<Response<Body>, Failure>, State)> {
    let state = match running.as_mut().poll(cx) {
        Poll::Ready(()) => State::Done,
        Poll::Pending => State::Running,
    };
    match (answer.take(), state) {
        (Some(answered), state) => Poll::Ready((answered, state)),
        (None, State::Running) => Poll::Pending,
        (None, State::Done) => {
            // `run` gives a failure when the guest gave nothing.
            let failure =
                Failure::new(Kind::Internal, Kind::Internal.title()).with_private("a call had no answer");
            Poll::Ready((Err(failure), State::Done))
        }
    }
}

/// Takes what the guest can give of its body without waiting.
fn take_inline(body: &mut ResponseBody, running: &mut Running, state: &mut State, cx: &mut Context<'_>) {
    loop {
        let taken = body.frames_taken();
        let enough = body.poll_inline(cx);
        if *state == State::Done {
            return;
        }
        match running.as_mut().poll(cx) {
            Poll::Ready(()) => *state = State::Done,
            Poll::Pending if enough || body.frames_taken() == taken => return,
            Poll::Pending => {}
        }
    }
}

/// Runs the guest's side of the call and ends the lease.
async fn run(mut lease: Lease, _counted: Option<CallCount>, begun: Begun, answer: Answer) {
    match lease.instance().finish(begun, &answer).await {
        Ok(()) => lease.end_well(),
        Err(failure) => {
            lease.generation().metrics.ended(failure.kind());
            // The verdict is there before the store is dropped: see `ResponseBody`.
            answer.fail(failure.clone());
            lease.end_badly(&failure);
        }
    }
}

/// Goes on driving a guest whose answer was given: until its body has ended, and then for `limits.wall` at
/// most.
async fn drive_on(mut running: Running, answer: Answer, generation: Arc<Generation>) {
    let grace = generation.plugin.limits.wall;
    tokio::select! {
        () = &mut running => {}
        () = async { answer.ended().await; sleep(grace).await } => {
            generation.metrics.ended(Kind::Timeout);
            tracing::warn!(
                plugin = generation.plugin.name,
                generation = generation.number,
                "an instance was dropped: its guest was still busy {} ms after the response had ended",
                grace.as_millis()
            );
        }
    }
}
