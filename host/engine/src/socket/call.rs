//! The life of a socket, outside of the guest.

use std::sync::Arc;

use http::Request;
use http::request::Parts;
use wharf_call::{Body, Exceeded, Failure, Invocation, MessageStream};

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::{Heard, Opened};
use crate::answer::Answer;
use crate::driven::{Driven, conclude};
use crate::enforcer::CallCount;
use crate::generation::Generation;
use crate::item_body::ItemBody;
use crate::lease::Lease;
use crate::time_limit::Due;

/// A socket that a client asks for, before the guest is entered.
pub(crate) struct Asked {
    pub(crate) head: Parts,
    pub(crate) invocation: Invocation,
    pub(crate) incoming: Incoming,
}

/// Opens a socket with an instance of `generation`, which it has until the socket is over.
pub(crate) async fn open(
    generation: Arc<Generation>,
    request: Request<Body>,
    mut invocation: Invocation,
    incoming: MessageStream,
) -> Result<MessageStream, Failure> {
    let enforcer = &generation.enforcer;
    enforcer.check_request_headers(request.headers()).map_err(Exceeded::into_failure)?;
    let counted = enforcer.count_call().map_err(Exceeded::into_failure)?;
    let due = Due::begin(invocation.deadline, enforcer);
    invocation.deadline = due.deadline();

    let mut lease = Lease::take(&generation, &invocation).await?;
    let meter = lease.instance().meter().clone();
    let answer = Answer::new();
    lease.instance().enter(&invocation, &answer);
    let heard = Heard::begin();
    let incoming = Incoming::new(incoming, meter.clone(), heard.clone());
    let asked = Asked { head: request.into_parts().0, invocation, incoming };
    let running = run(lease, counted, asked, answer.clone());
    let mut driven = Driven::new(answer, running);
    let Opened(reader) = driven.answered(due, &generation).await?;
    let mut body = ItemBody::new(reader, meter, driven.answer().clone());
    if driven.is_running() {
        body.begin_stream();
        body.driven_by(driven.go_on(generation));
    }
    Ok(Box::pin(Outgoing { body, heard }))
}

/// Runs the guest's side of the socket and ends the lease.
async fn run(mut lease: Lease, _counted: Option<CallCount>, asked: Asked, answer: Answer<Opened>) {
    let ended = lease.instance().open(asked, &answer).await;
    conclude(lease, ended, &answer);
}
