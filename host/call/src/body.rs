use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::Failure;

/// A body in chunks, with trailers, that ends well or with the [`Failure`] that cut it short.
pub type StreamBody = UnsyncBoxBody<Bytes, Failure>;

/// The body of a request or a response between the parts of the host.
///
/// Small bodies are whole, because handing one over costs a plugin call nothing extra; large ones are
/// streams with back-pressure: the next chunk is produced when the reader asks for it.
#[derive(Default)]
pub enum Body {
    /// There is no body.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// All of it, and trailers.
    Trailed(Bytes, Box<HeaderMap>),
    /// Chunks, to be polled by one reader. Dropping it tells the producer that nobody reads on.
    Stream(StreamBody),
}

impl Body {
    /// Wraps any stream of frames; errors become the failure that cut the body short.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = Failure> + Send + 'static,
    {
        Body::Stream(body.boxed_unsync())
    }

    /// The bytes as one body: [`Body::Empty`] when there are none.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Body::Empty } else { Body::Whole(bytes) }
    }

    /// Whether nothing of it is still to be made: what is left is here.
    pub fn is_whole(&self) -> bool {
        !matches!(self, Body::Stream(_))
    }

    /// The same body again, or `None` for one that is not whole.
    pub fn try_clone(&self) -> Option<Self> {
        Some(match self {
            Body::Empty => Body::Empty,
            Body::Whole(bytes) => Body::Whole(bytes.clone()),
            Body::Trailed(bytes, trailers) => Body::Trailed(bytes.clone(), trailers.clone()),
            Body::Stream(_) => return None,
        })
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Trailed(bytes, _) => write!(f, "Trailed({} bytes, ..)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut *self {
            Body::Empty => Poll::Ready(None),
            Body::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Body::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Body::Trailed(bytes, _) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Body::Trailed(_, trailers) => {
                let trailers = std::mem::take(&mut **trailers);
                *self = Body::Empty;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Body::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Whole(_) | Body::Trailed(..) => false,
            Body::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // Not how long it is exactly: servers make a `content-length` of that, and then clients look for no trailers.
            Body::Trailed(bytes, _) => {
                let mut hint = SizeHint::new();
                hint.set_lower(bytes.len() as u64);
                hint
            }
            Body::Stream(body) => body.size_hint(),
        }
    }
}
