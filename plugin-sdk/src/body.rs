use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use http::HeaderMap;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::wharf::plugin::types::{self as raw, Fields};
use crate::bindings::{wit_future, wit_stream};
use crate::{Failure, OrFail, Result, fields};

/// How much is read from the host at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The body of a request or of a response.
///
/// **Reading.** The host hands over small request bodies whole and large ones as streams; the methods here
/// hide the difference. Whole: [`bytes`](Body::bytes), [`text`](Body::text). In pieces:
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Request, Result};
///
/// #[wharf::handler]
/// async fn count(mut request: Request) -> Result<String> {
///     let mut total = 0;
///     while let Some(chunk) = request.body_mut().chunk().await? {
///         total += chunk.len();
///     }
///     Ok(format!("{total} bytes\n"))
/// }
/// ```
///
/// A body that was cut short is an error there, never a short body. What is not read is thrown away.
///
/// **Writing.** Text and bytes become a body with `into()`; [`Body::stream`] makes one piece by piece. The
/// body of the request is also a body for the response: an untouched stream passes through the host without
/// coming back to the plugin.
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    Received(Received),
    /// A received stream of which only the trailers are left.
    Ended(HeaderMap),
    Produced(Produce),
}

/// A body that the host streams to us.
struct Received {
    stream: StreamReader<u8>,
    end: FutureReader<End>,
    /// Something was read: the stream can no longer be handed on as it is.
    touched: bool,
}

/// How a stream ends: with its trailers, or with what cut it short.
type End = std::result::Result<Fields, raw::Failure>;
type Produce = Box<dyn FnOnce(Writer) -> Pin<Box<dyn Future<Output = Result<Trailers>>>>>;

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Body(Inner::Empty)
    }

    /// A body that `write` produces while the client reads it.
    ///
    /// `write` starts when the handler has returned the response: the head is sent first. It returns
    /// `Ok(())` at the end, or `Ok(trailers)` with a [`HeaderMap`] of trailer fields. An error cuts the body
    /// short, and the client can tell: HTTP/1.1 ends without the last chunk, HTTP/2 with RST_STREAM.
    ///
    /// The instance serves nobody else until the body has ended. Waiting for a slow client costs the plugin
    /// no CPU budget; a silence longer than `limits.stream_idle` ends it.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// use wharf::{Body, Request, Response, Result};
    ///
    /// #[wharf::handler]
    /// async fn events(_request: Request) -> Result<Response> {
    ///     let body = Body::stream(|mut writer| async move {
    ///         for n in 0..10 {
    ///             writer.write(format!("data: {n}\n\n")).await?;
    ///         }
    ///         Ok(())
    ///     });
    ///     Ok(Response::builder().header("content-type", "text/event-stream").body(body)?)
    /// }
    /// ```
    pub fn stream<F, Fut, T>(write: F) -> Self
    where
        F: FnOnce(Writer) -> Fut + 'static,
        Fut: Future<Output = Result<T>> + 'static,
        T: Into<Trailers>,
    {
        Body(Inner::Produced(Box::new(move |writer| {
            let written = write(writer);
            Box::pin(async move { written.await.map(Into::into) })
        })))
    }

    /// Whether it is known to be empty. A stream counts as not empty until it has ended.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Inner::Empty | Inner::Ended(_) => true,
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Received(_) | Inner::Produced(_) => false,
        }
    }

    /// All of it, or all that is left. Nothing is left afterwards.
    ///
    /// The host bounds request bodies (`limits.request_body`, 16 MiB unless the manifest says otherwise);
    /// [`Body::bytes_up_to`] bounds them further.
    ///
    /// # Errors
    /// The failure that cut the body short.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        self.bytes_up_to(usize::MAX).await
    }

    /// All of it, or all that is left, if that is at most `max` bytes.
    ///
    /// # Errors
    /// `payload_too_large` when it is more, without reading on; the failure that cut the body short.
    pub async fn bytes_up_to(&mut self, max: usize) -> Result<Bytes> {
        let too_large = || Failure::payload_too_large(format!("the body is larger than {max} bytes"));
        match &mut self.0 {
            Inner::Empty | Inner::Ended(_) => Ok(Bytes::new()),
            Inner::Whole(bytes) if bytes.len() > max => Err(too_large()),
            Inner::Whole(bytes) => Ok(std::mem::take(bytes)),
            Inner::Received(received) => {
                let mut all = Vec::new();
                loop {
                    let status;
                    (status, all) = received.read(all).await;
                    if all.len() > max {
                        return Err(too_large());
                    }
                    if status == StreamResult::Dropped {
                        self.end().await?;
                        return Ok(all.into());
                    }
                }
            }
            Inner::Produced(_) => Err(unreadable()),
        }
    }

    /// All of it, or all that is left, as text.
    ///
    /// # Errors
    /// `bad_request` when it is not UTF-8; the failure that cut the body short.
    pub async fn text(&mut self) -> Result<String> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).or_bad_request("the body is not UTF-8")
    }

    /// The next piece: never empty, at most 64 KiB of a streamed body, and all of a whole one. `None` at the
    /// end; [`trailers`](Body::trailers) has what came after it.
    ///
    /// # Errors
    /// The failure that cut the body short.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match &mut self.0 {
            Inner::Empty | Inner::Ended(_) => Ok(None),
            Inner::Whole(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Inner::Received(received) => loop {
                let (status, chunk) = received.read(Vec::new()).await;
                if !chunk.is_empty() {
                    return Ok(Some(chunk.into()));
                }
                if status == StreamResult::Dropped {
                    self.end().await?;
                    return Ok(None);
                }
            },
            Inner::Produced(_) => Err(unreadable()),
        }
    }

    /// The trailer fields that follow the body. What was not read before is thrown away.
    ///
    /// # Errors
    /// The failure that cut the body short.
    pub async fn trailers(&mut self) -> Result<HeaderMap> {
        while self.chunk().await?.is_some() {}
        match std::mem::take(&mut self.0) {
            Inner::Ended(trailers) => Ok(trailers),
            _ => Ok(HeaderMap::new()),
        }
    }

    /// Learns how a received stream has ended, after its last byte.
    async fn end(&mut self) -> Result<()> {
        if let Inner::Received(received) = std::mem::take(&mut self.0) {
            let trailers = received.end.await.map_err(Failure::from_wit)?;
            self.0 = Inner::Ended(fields::from_wit(trailers)?);
        }
        Ok(())
    }
}

impl Received {
    /// Reads behind what is in `buffer`.
    async fn read(&mut self, mut buffer: Vec<u8>) -> (StreamResult, Vec<u8>) {
        self.touched = true;
        buffer.reserve(CHUNK_BYTES);
        self.stream.read(buffer).await
    }
}

fn unreadable() -> Failure {
    Failure::internal("internal error").with_details("a body from Body::stream can only be sent, not read")
}

/// Where the closure of [`Body::stream`] puts the body.
///
/// Dropping it ends the body; the closure's result says whether that was the end or a cut.
pub struct Writer {
    stream: StreamWriter<u8>,
}

impl Writer {
    /// Sends a piece and waits until the host has taken it, which it does as fast as the client reads.
    ///
    /// # Errors
    /// [`ReaderGone`] when nobody will read any more of this body; stop producing it then.
    pub async fn write(&mut self, chunk: impl Into<Vec<u8>>) -> Result<(), ReaderGone> {
        // An empty write would wait for a reader and tell it nothing.
        let chunk = chunk.into();
        if chunk.is_empty() || self.stream.write_all(chunk).await.is_empty() {
            Ok(())
        } else {
            Err(ReaderGone)
        }
    }

    /// Sends all that is left of another body and returns its trailers, for `Ok(trailers)` at the end.
    ///
    /// # Errors
    /// The failure that cut the other body short, or that nobody reads this one any more.
    pub async fn copy(&mut self, from: &mut Body) -> Result<HeaderMap> {
        while let Some(chunk) = from.chunk().await? {
            self.write(chunk).await?;
        }
        from.trailers().await
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// Nobody reads the rest of a streamed body: the client went away, or the host has enough of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the rest of this body")
    }
}

impl std::error::Error for ReaderGone {}

/// The fields that follow a streamed body: `()` for none, or a [`HeaderMap`].
#[derive(Debug, Default)]
pub struct Trailers(HeaderMap);

impl From<()> for Trailers {
    fn from((): ()) -> Self {
        Trailers::default()
    }
}

impl From<HeaderMap> for Trailers {
    fn from(fields: HeaderMap) -> Self {
        Trailers(fields)
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Body::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body(Inner::Whole(bytes))
    }
}

macro_rules! from_bytes {
    ($($ty:ty),*) => {
        $(impl From<$ty> for Body {
            fn from(bytes: $ty) -> Self {
                Body(Inner::Whole(Bytes::from(bytes)))
            }
        })*
    };
}

from_bytes!(&'static str, &'static [u8], String, Vec<u8>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty | Inner::Ended(_) => f.write_str("Body(empty)"),
            Inner::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Received(_) | Inner::Produced(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<raw::Body> for Body {
    fn from(raw: raw::Body) -> Self {
        Body(match raw {
            raw::Body::Empty => Inner::Empty,
            raw::Body::Whole(bytes) => Inner::Whole(bytes.into()),
            raw::Body::Streamed((stream, end)) => Inner::Received(Received { stream, end, touched: false }),
        })
    }
}

impl From<Body> for raw::Body {
    fn from(body: Body) -> Self {
        match body.0 {
            Inner::Empty | Inner::Ended(_) => raw::Body::Empty,
            Inner::Whole(bytes) => raw::Body::Whole(bytes.into()),
            Inner::Received(Received { stream, end, touched: false }) => raw::Body::Streamed((stream, end)),
            // A stream that was read may have been seen to end, and such a handle cannot be handed on.
            Inner::Received(received) => {
                let mut rest = Body(Inner::Received(received));
                Body::stream(|mut writer| async move { writer.copy(&mut rest).await }).into()
            }
            Inner::Produced(produce) => start(produce),
        }
    }
}

/// Runs the closure of [`Body::stream`] beside the rest of this call.
fn start(produce: Produce) -> raw::Body {
    let (stream, reader) = wit_stream::new();
    let (end, end_reader) = wit_future::new(|| {
        Err(Failure::internal("the body was cut short").with_details("its producer was dropped").into())
    });
    wit_bindgen::spawn(async move {
        // The writer is dropped in here, which ends the stream before the future says how.
        let written = produce(Writer { stream }).await;
        let outcome = match written {
            Ok(Trailers(fields)) => Ok(fields::to_wit(&fields)),
            Err(failure) => Err(failure.into()),
        };
        // It fails when nobody waits for the end any more: then there is nobody to tell.
        let _ = end.write(outcome).await;
    });
    raw::Body::Streamed((reader, end_reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    /// Whole bodies never wait, so one poll is enough.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a whole body does not wait"),
        }
    }

    #[test]
    fn a_whole_body_is_read_once() {
        let mut body = Body::from("hello");
        assert_eq!(now(body.bytes()).expect("whole"), "hello");
        assert_eq!(now(body.bytes()).expect("nothing left"), "");
        assert!(body.is_empty());
    }

    #[test]
    fn a_whole_body_is_one_chunk_without_trailers() {
        let mut body = Body::from(vec![1, 2, 3]);
        assert_eq!(now(body.chunk()).expect("whole").as_deref(), Some([1, 2, 3].as_slice()));
        assert_eq!(now(body.chunk()).expect("the end"), None);
        assert!(now(body.trailers()).expect("none").is_empty());
        assert_eq!(now(Body::empty().chunk()).expect("empty"), None);
        assert_eq!(now(Body::from("").chunk()).expect("empty"), None);
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused() {
        let failure = now(Body::from("hello").bytes_up_to(4)).expect_err("5 bytes");
        assert_eq!(failure.kind(), "payload_too_large");
        assert_eq!(now(Body::from("hello").bytes_up_to(5)).expect("5 bytes"), "hello");
    }

    #[test]
    fn text_that_is_not_utf_8_is_the_clients_mistake() {
        let failure = now(Body::from(vec![0xff]).text()).expect_err("no text");
        assert_eq!(failure.kind(), "bad_request");
    }

    #[test]
    fn a_produced_body_cannot_be_read_back() {
        let mut body = Body::stream(|_writer| async { Ok(()) });
        assert!(!body.is_empty());
        assert_eq!(now(body.bytes()).expect_err("it is for sending").kind(), "internal");
    }

    #[test]
    fn whole_bodies_cross_the_boundary_without_a_stream() {
        assert!(matches!(raw::Body::from(Body::empty()), raw::Body::Empty));
        match raw::Body::from(Body::from("hello")) {
            raw::Body::Whole(bytes) => assert_eq!(bytes, b"hello"),
            _ => panic!("a text is a whole body"),
        }
    }
}
