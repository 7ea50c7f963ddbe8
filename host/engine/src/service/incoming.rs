//! What a caller streams, on its way to the guest: bounded, checked, and over with its call.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use wasmtime::component::Val;
use wharf_call::limits::Tally;
use wharf_call::{Exceeded, Failure, LimitKey, Type, Value, ValueStream};

use super::ServiceExports;
use super::call::refused;
use crate::enforcer::Enforcer;
use crate::epoch::Meter;
use crate::values::payload_bytes;

pub(crate) struct Incoming {
    stream: Arc<Slot>,
    ty: Type,
    exports: Arc<ServiceExports>,
    tally: Tally,
    meter: Arc<Meter>,
}

/// A stream, until it or its call is over.
type Slot = Mutex<Option<ValueStream>>;

/// Held by whoever drives a call: it takes the stream with it. A guest may keep its end of one for as long as its
/// instance lives, and the caller must not.
pub(super) struct Hold(Weak<Slot>);

impl Drop for Hold {
    fn drop(&mut self) {
        let stream = self.0.upgrade().and_then(|slot| slot.lock().take());
        drop(stream);
    }
}

impl Incoming {
    pub(super) fn new(
        stream: ValueStream,
        ty: Type,
        exports: Arc<ServiceExports>,
        meter: Arc<Meter>,
    ) -> Self {
        let limit = meter.enforcer().value(LimitKey::RequestBody);
        let tally = Tally::new(LimitKey::RequestBody, limit);
        Incoming { stream: Arc::new(Mutex::new(Some(stream))), ty, exports, tally, meter }
    }

    pub(super) fn hold(&self) -> Hold {
        Hold(Arc::downgrade(&self.stream))
    }

    /// The next item, or the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Value, Failure>>> {
        let polled = match &mut *self.stream.lock() {
            Some(stream) => stream.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        };
        let item = match polled {
            Poll::Ready(Some(Ok(item))) => item,
            other => return other,
        };
        self.meter.progress();
        Poll::Ready(Some(self.bounded(item)))
    }

    fn bounded(&mut self, item: Value) -> Result<Value, Failure> {
        let enforcer: &Enforcer = self.meter.enforcer();
        let bytes = self.exports.types.lowered_bytes(&self.ty, &item);
        // Scalars have a type of their own in a `stream<T>`: they are not what makes an item large.
        enforcer
            .check(LimitKey::ArgumentBytes, if matches!(item, Value::Bytes(_)) { 0 } else { bytes })
            .and_then(|()| self.tally.add(payload_bytes(&item), enforcer))
            .map_err(Exceeded::into_failure)?;
        Ok(item)
    }

    /// The next item as wasmtime takes it, or the end.
    pub(super) async fn next(&mut self) -> Option<Result<Val, Failure>> {
        let item = poll_fn(|cx| self.poll_next(cx)).await?;
        Some(item.and_then(|item| self.exports.types.lower(&self.ty, item).ok_or_else(|| self.mismatch())))
    }

    /// An item of the stream is of another type.
    pub(super) fn mismatch(&self) -> Failure {
        refused(format!("an item of the stream is not a {}", self.exports.types.schema.show(&self.ty)))
    }
}
