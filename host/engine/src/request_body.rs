//! A request body on its way to a guest: bounded by the plugin's limit, telling the meter of progress, and over with
//! its call.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use wasmtime_wasi_http::Error as HttpError;
use wharf_call::limits::Tally;
use wharf_call::{Body, Exceeded, Failure, Kind, LimitGuard, LimitKey, StreamBody};

use crate::enforcer::Enforcer;
use crate::epoch::Meter;

pub(crate) struct RequestBody {
    inner: Inner,
    /// What counts it and learns of its progress, where there is something to count.
    billed: Option<(Tally, Arc<Meter>)>,
}

enum Inner {
    Whole(Bytes),
    Streamed(Arc<Slot>),
}

/// A body in chunks, until it or its call is over.
type Slot = Mutex<Option<StreamBody>>;

/// Held by whoever drives a call, and dropped when nothing of the call is left: it takes the body with it.
///
/// A guest may keep its end of a body for as long as its instance lives. What is behind it, a connection that waits
/// for its request to be read, must not live that long.
#[derive(Default)]
pub(crate) struct BodyHold(Weak<Slot>);

impl Drop for BodyHold {
    fn drop(&mut self) {
        let body = self.0.upgrade().and_then(|slot| slot.lock().take());
        drop(body);
    }
}

impl RequestBody {
    /// Refuses a request of which fields or body are known to be too large, before anything is done for it.
    pub(crate) fn check(request: &Request<Body>, enforcer: &Enforcer) -> Result<(), Failure> {
        enforcer.check_request_headers(request.headers()).map_err(Exceeded::into_failure)?;
        let body = request.body();
        // What is observed is counted once, when a stream turns out to be as long as it says.
        if matches!(body, Body::Stream(_)) && enforcer.observes(LimitKey::RequestBody) {
            return Ok(());
        }
        enforcer.check(LimitKey::RequestBody, body.size_hint().lower()).map_err(Exceeded::into_failure)
    }

    pub(crate) fn new(body: Body, meter: &Arc<Meter>) -> (Self, BodyHold) {
        let (inner, hold) = match body {
            Body::Empty => {
                let empty = RequestBody { inner: Inner::Whole(Bytes::new()), billed: None };
                return (empty, BodyHold::default());
            }
            Body::Whole(bytes) => (Inner::Whole(bytes), BodyHold::default()),
            Body::Trailed(..) => return RequestBody::new(Body::stream(body), meter),
            Body::Stream(stream) => {
                let slot = Arc::new(Mutex::new(Some(stream)));
                let hold = BodyHold(Arc::downgrade(&slot));
                (Inner::Streamed(slot), hold)
            }
        };
        let limit = meter.enforcer().value(LimitKey::RequestBody);
        let billed = Some((Tally::new(LimitKey::RequestBody, limit), meter.clone()));
        (RequestBody { inner, billed }, hold)
    }

    /// All of it, if it is whole; itself again, if it is streamed.
    pub(crate) fn into_whole(self) -> Result<Bytes, Self> {
        match self.inner {
            Inner::Whole(bytes) => Ok(bytes),
            Inner::Streamed(_) => Err(self),
        }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut self.inner {
            Inner::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Streamed(slot) => match &mut *slot.lock() {
                Some(stream) => Pin::new(stream).poll_frame(cx),
                None => Poll::Ready(Some(Err(over()))),
            },
        }
    }
}

fn over() -> Failure {
    Failure::new(Kind::BadRequest, "the call that this body belongs to is over")
}

/// What a wasi:http guest is told of a failure in its request body.
pub(crate) fn to_wasi(failure: Failure) -> HttpError {
    match failure.kind() {
        Kind::PayloadTooLarge => HttpError::HttpRequestBodySize(None),
        Kind::RequestTimeout => HttpError::ConnectionReadTimeout,
        _ => HttpError::ConnectionTerminated,
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = match ready!(self.poll_inner(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        if let Some(data) = frame.data_ref()
            && let Some((tally, meter)) = &mut self.billed
        {
            meter.progress();
            if let Err(exceeded) = tally.add(data.len() as u64, meter.enforcer()) {
                return Poll::Ready(Some(Err(exceeded.into_failure())));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Streamed(slot) => slot.lock().as_ref().is_some_and(StreamBody::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Streamed(slot) => {
                slot.lock().as_ref().map_or_else(SizeHint::default, StreamBody::size_hint)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::task::Waker;

    use super::*;
    use crate::limits::Limits;
    use crate::testing::Room;

    /// A client that has sent nothing yet; it is told when nobody reads on.
    struct Silent(#[expect(dead_code, reason = "watched from outside")] Arc<()>);

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = Failure;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
            Poll::Pending
        }
    }

    fn streamed() -> (RequestBody, BodyHold, Weak<()>) {
        let sender = Arc::new(());
        let sent = Arc::downgrade(&sender);
        let meter = Arc::new(Meter::new(Room::new(0).enforcer(Limits::default())));
        let (body, hold) = RequestBody::new(Body::stream(Silent(sender)), &meter);
        (body, hold, sent)
    }

    #[test]
    fn a_body_that_the_guest_keeps_is_over_with_its_call() {
        let (mut body, hold, sender) = streamed();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        drop(hold);
        assert!(sender.upgrade().is_none(), "nobody waits for the client any more");
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(Some(Err(_)))));
    }

    #[test]
    fn a_body_that_the_guest_drops_is_over_at_once() {
        let (body, _hold, sender) = streamed();
        drop(body);
        assert!(sender.upgrade().is_none());
    }
}
