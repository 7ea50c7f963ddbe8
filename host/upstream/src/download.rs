use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use wharf_call::limits::Tally;
use wharf_call::{EgressCode, EgressError, Exceeded, Failure, LimitGuard, hop_by_hop};

use crate::failures;
use crate::pool::Lease;
use crate::upload::Hold;

/// The body of a response. The peer is read when somebody reads here, and has to send something within
/// `silence` of that. Its end gives the connection back; an error, or the drop before the end, closes it.
pub(crate) struct Download {
    incoming: Incoming,
    silence: Duration,
    /// Runs while somebody waits for the peer.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    tally: Tally,
    guard: Arc<dyn LimitGuard>,
    /// `None` once it has ended.
    call: Option<Call>,
}

/// What a call occupies until its response has ended.
pub(crate) struct Call {
    pub(crate) lease: Lease,
    pub(crate) upload: Hold,
    pub(crate) slot: OwnedSemaphorePermit,
}

impl Call {
    /// The response has ended. A peer that answered before it took the whole request cannot be trusted with
    /// another one on the same connection.
    pub(crate) fn end(self) {
        let Call { lease, upload, slot } = self;
        if upload.is_done() {
            lease.give_back();
        }
        drop(slot);
    }
}

impl Download {
    pub(crate) fn new(
        incoming: Incoming,
        tally: Tally,
        guard: Arc<dyn LimitGuard>,
        silence: Duration,
        call: Call,
    ) -> Self {
        Download { incoming, silence, timer: None, waiting: false, tally, guard, call: Some(call) }
    }

    fn end(&mut self) {
        if let Some(call) = self.call.take() {
            call.end();
        }
    }

    fn cut(&mut self, error: EgressError) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.call = None;
        Poll::Ready(Some(Err(error.into())))
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now())));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(Instant::now() + self.silence);
        }
        timer.as_mut().poll(cx)
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if this.call.is_none() {
            return Poll::Ready(None);
        }
        let mut frame = match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return this.cut(failures::of_body(&error)),
            Poll::Ready(None) => {
                this.end();
                return Poll::Ready(None);
            }
            Poll::Pending => {
                if this.poll_silence(cx).is_pending() {
                    return Poll::Pending;
                }
                let detail = format!("the peer was silent for {:?} within its response", this.silence);
                return this.cut(EgressError::new(EgressCode::ConnectionReadTimeout, detail));
            }
        };
        this.waiting = false;
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        if let Err(exceeded) = this.tally.add(bytes, &*this.guard) {
            return this.cut(too_large(exceeded));
        }
        if let Some(trailers) = frame.trailers_mut() {
            hop_by_hop::strip_trailers(trailers);
        }
        if this.incoming.is_end_stream() {
            this.end();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

pub(crate) fn too_large(exceeded: Exceeded) -> EgressError {
    EgressError::new(EgressCode::HttpResponseBodySize, exceeded.to_string())
}
