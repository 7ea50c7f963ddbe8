//! What a guest streams, on its way to whoever reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use wharf_call::limits::Tally;
use wharf_call::{Failure, LimitKey, Value};

use super::guest::Returned;
use crate::answer::Answer;
use crate::epoch::Meter;
use crate::item_body::ItemBody;
use crate::item_pipe;
use crate::values::payload_bytes;

/// A guest's side of a stream of values.
pub(super) type Writer = item_pipe::Writer<Value, Returned>;

/// The other side.
pub(crate) type Reader = item_pipe::Reader<Value>;

/// A stream of values, all of which together are held to `limits.response_body`.
pub(super) struct ValueBody {
    pub(super) body: ItemBody<Value, Returned>,
    tally: Tally,
}

impl ValueBody {
    pub(super) fn new(reader: Reader, meter: Arc<Meter>, answer: Answer<Returned>) -> Self {
        let limit = meter.enforcer().value(LimitKey::ResponseBody);
        let tally = Tally::new(LimitKey::ResponseBody, limit);
        ValueBody { body: ItemBody::new(reader, meter, answer), tally }
    }
}

impl Stream for ValueBody {
    type Item = Result<Value, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ValueBody { body, tally } = &mut *self;
        body.poll_next(|value, enforcer| tally.add(payload_bytes(value), enforcer), None, cx)
    }
}

impl Drop for ValueBody {
    fn drop(&mut self) {
        self.body.abandon();
    }
}
