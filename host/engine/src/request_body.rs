//! A request body on its way to a guest: bounded by the plugin's limit, and telling the meter of progress.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use wasmtime_wasi_http::Error as HttpError;
use wharf_call::{Body, Failure, Kind};

use crate::epoch::Meter;

pub(crate) struct RequestBody {
    inner: Body,
    left: u64,
    max: u64,
    meter: Arc<Meter>,
}

impl RequestBody {
    /// Refuses what is known to be too large, before anything is done for it.
    pub(crate) fn check(body: &Body, max: u64) -> Result<(), Failure> {
        if body.size_hint().lower() > max { Err(too_large(max)) } else { Ok(()) }
    }

    pub(crate) fn new(inner: Body, max: u64, meter: Arc<Meter>) -> Self {
        RequestBody { inner, left: max, max, meter }
    }

    /// All of it, if it is whole; itself again, if it is streamed.
    pub(crate) fn into_whole(self) -> Result<Bytes, Self> {
        match self.inner {
            Body::Empty => Ok(Bytes::new()),
            Body::Whole(bytes) => Ok(bytes),
            Body::Stream(_) => Err(self),
        }
    }
}

fn too_large(max: u64) -> Failure {
    Failure::new(Kind::PayloadTooLarge, format!("the request body is larger than {max} bytes"))
        .with_private(format!("limits.request_body is {max} bytes"))
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
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        if let Some(data) = frame.data_ref() {
            self.meter.progress();
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(too_large(self.max)))),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
