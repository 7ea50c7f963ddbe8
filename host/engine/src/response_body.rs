//! A response body on its way to the client: bounded, watched for silence, and tied to what produces it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::Error as HttpError;
use wharf_call::{Body, Failure, Kind, StreamBody};

use crate::answer::Answer;
use crate::config::Limits;
use crate::epoch::Meter;

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
    left: u64,
    max: u64,
    idle: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    meter: Arc<Meter>,
    answer: Answer,
    driver: Option<AbortHandle>,
}

impl ResponseBody {
    pub(crate) fn new(inner: StreamBody, limits: &Limits, meter: Arc<Meter>, answer: Answer) -> Self {
        ResponseBody {
            inner,
            ready: VecDeque::new(),
            ready_bytes: 0,
            end: None,
            left: limits.response_body_bytes,
            max: limits.response_body_bytes,
            idle: limits.stream_idle,
            silence: None,
            meter,
            answer,
            driver: None,
        }
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
                match self.left.checked_sub(bytes) {
                    Some(left) => {
                        self.left = left;
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    None => Err(response_too_large(self.max)),
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

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle)));
        silence.as_mut().poll(cx)
    }
}

/// The refusal of a body that is larger than `limits.response_body`.
pub(crate) fn response_too_large(max: u64) -> Failure {
    Failure::new(Kind::ResponseTooLarge, Kind::ResponseTooLarge.title())
        .with_private(format!("limits.response_body is {max} bytes"))
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
        let polled = self.poll_inner(cx);
        if polled.is_ready() {
            self.silence = None;
            return polled;
        }
        if self.poll_silence(cx).is_ready() {
            let failure = Failure::new(Kind::Timeout, "the plugin did not go on with its response in time")
                .with_private(format!("limits.stream_idle is {} ms", self.idle.as_millis()));
            self.finish(Err(failure.clone()));
            return Poll::Ready(Some(Err(failure)));
        }
        Poll::Pending
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
