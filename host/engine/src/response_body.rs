//! A response body on its way to the client: bounded, watched for silence, and tied to what produces it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use tokio::task::AbortHandle;
use wasmtime_wasi_http::Error as HttpError;
use wharf_call::limits::Tally;
use wharf_call::{Body, Exceeded, Failure, Kind, LimitKey, StreamBody};

use crate::answer::Answer;
use crate::epoch::Meter;
use crate::time_limit::StreamTimes;

/// How much of a body is taken inline, before a task of its own drives the guest: enough for an ordinary
/// answer to be complete at once.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// And in how many frames: empty ones must not go on for ever.
const INLINE_FRAMES_MAX: usize = 64;

/// A streamed response body.
pub(crate) struct ResponseBody {
    inner: StreamBody,
    /// Frames that were taken inline, before the head went out.
    ready: VecDeque<Frame<Bytes>>,
    ready_bytes: usize,
    end: Option<Result<(), Failure>>,
    tally: Tally,
    times: StreamTimes,
    meter: Arc<Meter>,
    answer: Answer,
    driver: Option<AbortHandle>,
}

impl ResponseBody {
    pub(crate) fn new(inner: StreamBody, meter: Arc<Meter>, answer: Answer) -> Self {
        let limit = meter.enforcer().value(LimitKey::ResponseBody);
        ResponseBody {
            inner,
            ready: VecDeque::new(),
            ready_bytes: 0,
            end: None,
            tally: Tally::new(LimitKey::ResponseBody, limit),
            times: StreamTimes::default(),
            meter,
            answer,
            driver: None,
        }
    }

    /// From now on it is a stream, with limits of its own. Called before the guest goes on: the meter is the next
    /// call's when this one is over.
    pub(crate) fn begin_stream(&mut self) {
        self.meter.begin_stream();
        self.times.begin(self.meter.enforcer());
    }

    /// The task that drives the guest from now on. It is stopped when this body is dropped before its end.
    pub(crate) fn driven_by(&mut self, driver: AbortHandle) {
        self.driver = Some(driver);
    }

    /// Takes what the guest has ready. True when the body has ended or enough was taken.
    pub(crate) fn poll_inline(&mut self, cx: &mut Context<'_>) -> bool {
        while self.ready_bytes <= INLINE_BYTES_MAX && self.ready.len() < INLINE_FRAMES_MAX {
            match self.poll_inner(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.ready_bytes += frame.data_ref().map_or(0, Bytes::len);
                    self.ready.push_back(frame);
                }
                Poll::Ready(Some(Err(_)) | None) => return true,
                Poll::Pending => return false,
            }
        }
        true
    }

    /// How many frames were taken inline.
    pub(crate) fn frames_taken(&self) -> usize {
        self.ready.len()
    }

    /// Whether the body has ended, well or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The body in its cheapest form: whole, if all of it was taken inline.
    pub(crate) fn into_body(mut self) -> Body {
        let whole = matches!(self.end, Some(Ok(()))) && self.ready.iter().all(Frame::is_data);
        if !whole {
            return Body::stream(self);
        }
        let mut chunks =
            std::mem::take(&mut self.ready).into_iter().filter_map(|frame| frame.into_data().ok());
        let first = chunks.next().unwrap_or_default();
        let Some(second) = chunks.next() else { return Body::whole(first) };
        let mut bytes = BytesMut::with_capacity(self.ready_bytes);
        bytes.extend_from_slice(&first);
        bytes.extend_from_slice(&second);
        chunks.for_each(|chunk| bytes.extend_from_slice(&chunk));
        Body::whole(bytes)
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(end) = &self.end {
            return Poll::Ready(end.clone().err().map(Err));
        }
        let end = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                self.meter.progress();
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                let ResponseBody { tally, meter, .. } = &mut *self;
                let enforcer = meter.enforcer();
                // Trailers are fields of the response as those of its head are.
                let fields =
                    frame.trailers_ref().map_or(Ok(()), |fields| enforcer.check_response_headers(fields));
                match fields.and_then(|()| tally.add(bytes, enforcer)) {
                    Ok(()) => return Poll::Ready(Some(Ok(frame))),
                    Err(exceeded) => Err(exceeded.into_failure()),
                }
            }
            Poll::Ready(Some(Err(failure))) => Err(self.answer.cut().unwrap_or(failure)),
            // A guest that trapped leaves its stream just as one that is done: only the verdict tells.
            Poll::Ready(None) => self.answer.cut().map_or(Ok(()), Err),
        };
        self.finish(end.clone());
        Poll::Ready(end.err().map(Err))
    }

    fn finish(&mut self, end: Result<(), Failure>) {
        // After a failure of ours the guest has nobody to write to: it is stopped, and its instance dropped.
        if end.is_err()
            && let Some(driver) = self.driver.take()
        {
            driver.abort();
        }
        self.end = Some(end);
        self.answer.end();
    }

    fn cut(&mut self, exceeded: Exceeded) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let failure = exceeded.into_failure();
        self.finish(Err(failure.clone()));
        Poll::Ready(Some(Err(failure)))
    }
}

/// What cut a wasi:http guest's response body short.
pub(crate) fn from_wasi(error: HttpError) -> Failure {
    Failure::new(Kind::InvalidResponse, "the plugin cut its response short").with_private(error.to_string())
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(frame) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        // First, because a stream that never pauses must end as well.
        if self.end.is_none() {
            let ResponseBody { times, meter, .. } = &mut *self;
            if let Poll::Ready(exceeded) = times.poll_total(meter.enforcer(), cx) {
                return self.cut(exceeded);
            }
        }
        let polled = self.poll_inner(cx);
        if polled.is_ready() {
            self.times.progress();
            return polled;
        }
        let ResponseBody { times, meter, .. } = &mut *self;
        match times.poll_silence(meter.enforcer(), cx) {
            Poll::Ready(exceeded) => self.cut(exceeded),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && matches!(self.end, Some(Ok(())))
    }
}

/// Nobody reads on: what still works on the body is stopped, unless the body was complete.
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.answer.end();
            if let Some(driver) = self.driver.take() {
                driver.abort();
            }
        }
    }
}
