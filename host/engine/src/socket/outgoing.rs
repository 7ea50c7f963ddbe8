//! A guest's messages on their way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use wharf_call::{Failure, LimitKey, SocketMessage};

use super::{Heard, Opened};
use crate::item_body::ItemBody;

pub(super) struct Outgoing {
    pub(super) body: ItemBody<SocketMessage, Opened>,
    pub(super) heard: Heard,
}

impl Stream for Outgoing {
    type Item = Result<SocketMessage, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let heard = self.heard.at();
        self.body.poll_next(
            |message, enforcer| enforcer.check(LimitKey::ResponseBody, message.len() as u64),
            Some(heard),
            cx,
        )
    }
}

/// The socket is over. The guest sees the end of what comes in, and finishes; `Driven` gives it `limits.wall` for that.
impl Drop for Outgoing {
    fn drop(&mut self) {
        self.body.leave();
    }
}
