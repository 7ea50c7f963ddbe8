//! Sockets: a plugin that speaks to a client in messages, through the port [`wharf_call::SocketService`].
//!
//! A socket is a call that lasts: it has the same life as an HTTP request up to the answer of the guest's `open`, and
//! then that of a stream. Its instance is leased to it until it is over, whatever `pool.concurrency` says. `call.rs` is that life;
//! `incoming.rs` the client's messages on their way to the guest, `outgoing.rs` the guest's on their way to the client; what
//! happens in the instance's event loop is in `worlds/socket.rs`.
//!
//! Limits: `stream_idle` bounds the silence of both sides together, `stream_total` and `stream_cpu` are those of a stream. A message
//! is to a socket what a body is to a request: each is held to `request_body` or `response_body`, and all of them
//! together to nothing.

mod call;
mod incoming;
mod outgoing;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use wharf_call::SocketMessage;

pub(crate) use self::call::{Asked, open};
pub(crate) use self::incoming::Incoming;
use crate::item_pipe;

/// What a guest's `open` gives: the reader of its messages.
pub(crate) struct Opened(pub(crate) item_pipe::Reader<SocketMessage>);

/// The guest's side of that.
pub(crate) type Writer = item_pipe::Writer<SocketMessage, Opened>;

/// When the client was heard last.
#[derive(Clone)]
struct Heard(Arc<Mutex<Instant>>);

impl Heard {
    fn begin() -> Self {
        Heard(Arc::new(Mutex::new(Instant::now())))
    }

    fn now(&self) {
        *self.0.lock() = Instant::now();
    }

    fn at(&self) -> Instant {
        *self.0.lock()
    }
}
