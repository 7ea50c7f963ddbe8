//! A client's messages on their way to the guest: bounded, and over with their call.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use wharf_call::{Exceeded, Failure, LimitKey, MessageStream, SocketMessage};

use super::Heard;
use crate::epoch::Meter;

pub(crate) struct Incoming {
    messages: Arc<Slot>,
    meter: Arc<Meter>,
    heard: Heard,
}

/// The messages, until they or their call are over.
type Slot = Mutex<Option<MessageStream>>;

/// Held by whoever drives a call: it takes the messages with it. A guest may keep its end of them for as long as its
/// instance lives, and the client must not.
pub(crate) struct Hold(Weak<Slot>);

impl Drop for Hold {
    fn drop(&mut self) {
        let messages = self.0.upgrade().and_then(|slot| slot.lock().take());
        drop(messages);
    }
}

impl Incoming {
    pub(super) fn new(messages: MessageStream, meter: Arc<Meter>, heard: Heard) -> Self {
        Incoming { messages: Arc::new(Mutex::new(Some(messages))), meter, heard }
    }

    pub(crate) fn hold(&self) -> Hold {
        Hold(Arc::downgrade(&self.messages))
    }

    /// The next message, or the end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<SocketMessage, Failure>>> {
        let polled = match &mut *self.messages.lock() {
            Some(messages) => ready!(messages.as_mut().poll_next(cx)),
            None => None,
        };
        Poll::Ready(polled.map(|message| {
            let message = message?;
            self.heard.now();
            self.meter.progress();
            let checked = self.meter.enforcer().check(LimitKey::RequestBody, message.len() as u64);
            checked.map_err(Exceeded::into_failure)?;
            Ok(message)
        }))
    }
}
