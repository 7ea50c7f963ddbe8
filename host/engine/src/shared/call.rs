//! The client's side of a call in an instance that it shares with others.

use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;
use tokio::sync::oneshot;
use wharf_call::{Body, Exceeded, Failure, Invocation, Kind, LimitKey};

use super::drive::{Job, Work};
use super::seats::Seats;
use crate::answer::Answer;
use crate::epoch::Meter;
use crate::generation::Generation;
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::time_limit::Due;

/// Serves one request beside others in an instance of `generation`.
pub(crate) async fn call(
    generation: Arc<Generation>,
    request: Request<Body>,
    mut invocation: Invocation,
) -> Result<Response<Body>, Failure> {
    let enforcer = &generation.enforcer;
    RequestBody::check(&request, enforcer)?;
    let due = Due::begin(invocation.deadline, enforcer);
    invocation.deadline = due.deadline();
    let Some(seats) = &generation.seats else {
        return Err(Failure::new(Kind::Internal, Kind::Internal.title()).with_private("a pool without seats"));
    };
    let again = if generation.may_be_called_again { Again::of(&request, &invocation) } else { None };
    match (attempt(&generation, seats, request, invocation, due).await, again) {
        (Err(Refused::Lost(_, Lost { had_effects: false })), Some(Again { head, body, invocation })) => {
            generation.metrics.called_again.increment(1);
            let request = Request::from_parts(head, body);
            attempt(&generation, seats, request, invocation, due).await.map_err(Refused::into_failure)
        }
        (answered, _) => answered.map_err(Refused::into_failure),
    }
}

/// Another call ended the instance before this one had its answer.
pub(super) struct Lost {
    /// Whether the instance had an effect on anything outside of it while this call was in it.
    pub(super) had_effects: bool,
}

/// Why there is no response.
enum Refused {
    Own(Failure),
    Lost(Failure, Lost),
}

impl Refused {
    fn into_failure(self) -> Failure {
        match self {
            Refused::Own(failure) | Refused::Lost(failure, _) => failure,
        }
    }
}

/// A call that may be made once more, because nobody could tell: its method is safe (RFC 9110, section 9.2.1) or its
/// route is `idempotent`, its body is whole, and the client has seen nothing of an answer.
struct Again {
    head: Parts,
    body: Body,
    invocation: Invocation,
}

impl Again {
    fn of(request: &Request<Body>, invocation: &Invocation) -> Option<Self> {
        if !request.method().is_safe() && !invocation.idempotent {
            return None;
        }
        let body = request.body().try_clone()?;
        let mut head = Request::new(()).into_parts().0;
        head.method = request.method().clone();
        head.uri = request.uri().clone();
        head.version = request.version();
        head.headers = request.headers().clone();
        Some(Again { head, body, invocation: invocation.clone() })
    }
}

async fn attempt(
    generation: &Arc<Generation>,
    seats: &Seats,
    request: Request<Body>,
    invocation: Invocation,
    due: Due,
) -> Result<Response<Body>, Refused> {
    let enforcer = &generation.enforcer;
    let own = |exceeded: Exceeded| Refused::Own(exceeded.into_failure());
    let counted = enforcer.count_call().map_err(own)?;
    let seat = seats.take(generation, due.deadline()).await.map_err(Refused::Own)?;
    let (jobs, gate) = seat.instance.way();
    let answer = Answer::new();
    // Whoever drops this future has given the call up.
    let wanted = Wanted(Some(answer.clone()));
    let meter = Arc::new(Meter::new(enforcer.clone()));
    let (lost, was_lost) = oneshot::channel();
    let (head, body) = request.into_parts();
    let (body, hold) = RequestBody::new(body, &meter);
    let job = Job {
        request: Request::from_parts(head, body),
        body: hold,
        invocation,
        answer: answer.clone(),
        meter: meter.clone(),
        lost,
        work: Work::begin(seat, generation, counted),
    };
    if jobs.send(job).is_err() {
        let failure = Failure::new(Kind::Unavailable, "the plugin's instance ended").with_retry_after_s(1);
        return Err(Refused::Lost(failure, Lost { had_effects: false }));
    }
    let answered = due.keep(enforcer, answer.taken()).await.map_err(|late| {
        gate.close();
        generation.metrics.ended(late.kind());
        Refused::Own(late)
    })?;
    let response = answered.map_err(|failure| lift(failure, was_lost))?;
    let (head, body) = response.into_parts();
    let body = match body {
        Body::Stream(stream) => {
            wanted.by_the_reader_of_the_body();
            let mut body = ResponseBody::new(stream, meter, answer);
            body.begin_stream();
            body.into_body()
        }
        whole => {
            enforcer.check(LimitKey::ResponseBody, whole.size_hint().lower()).map_err(own)?;
            whole
        }
    };
    Ok(Response::from_parts(head, body))
}

fn lift(failure: Failure, mut lost: oneshot::Receiver<Lost>) -> Refused {
    match lost.try_recv() {
        Ok(lost) => Refused::Lost(failure, lost),
        Err(_) => Refused::Own(failure),
    }
}

/// Somebody waits for the answer.
struct Wanted(Option<Answer>);

impl Wanted {
    fn by_the_reader_of_the_body(mut self) {
        self.0 = None;
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer.end();
        }
    }
}
