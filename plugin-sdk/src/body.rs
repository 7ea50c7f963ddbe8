use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::wharf::plugin::types::{self as raw, Fields};
use crate::bindings::{wit_future, wit_stream};
use crate::pipe::Pipe;
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
/// [`read`](Body::read) lends each piece instead, and reuses the buffer that it is in: nothing is allocated
/// for it. A body that was cut short is an error in all of these, never a short body. What is not read is
/// thrown away.
///
/// **Writing.** Text and bytes become a body with `into()`; [`Body::stream`] makes one piece by piece, and
/// [`Body::from_stream`] of a [`Stream`]. The body of the request, or of a response to a call of the plugin's
/// own, is also a body for the response: an untouched stream passes through the host without coming back to
/// the plugin.
#[derive(Default)]
pub struct Body(Inner);

/// Resolves with the trailers of a body that was sent.
#[cfg(all(feature = "client", target_family = "wasm"))]
type OutgoingEnd = Pin<Box<dyn Future<Output = Result<HeaderMap>>>>;

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    /// Whole, and all of it was lent.
    Lent(Bytes),
    Received(Received),
    /// A stream of which only the trailers are left.
    Ended(HeaderMap),
    Produced(Produce),
    /// A produced body that is read in the plugin itself.
    Running(Running),
}

/// A body that the host streams to us.
struct Received {
    stream: StreamReader<u8>,
    end: End,
    /// Something was read: the stream can no longer be handed on as it is.
    touched: bool,
    /// Where the pieces are that are lent.
    buffer: Vec<u8>,
}

/// How a stream ends: with its trailers, or with what cut it short.
enum End {
    Handler(FutureReader<HandlerEnd>),
    #[cfg_attr(
        not(all(feature = "client", target_family = "wasm")),
        expect(dead_code, reason = "of a client")
    )]
    Other(Pin<Box<dyn Future<Output = Result<HeaderMap>>>>),
}

impl End {
    async fn reached(self) -> Result<HeaderMap> {
        match self {
            End::Handler(end) => fields::from_wit(end.await.map_err(Failure::from_wit)?),
            End::Other(end) => end.await,
        }
    }
}

type HandlerEnd = std::result::Result<Fields, raw::Failure>;
type Producing = Pin<Box<dyn Future<Output = Result<Trailers>>>>;
type Produce = Box<dyn FnOnce(Writer) -> Producing>;

/// The closure of [`Body::stream`], driven by whoever reads the body.
struct Running {
    pipe: Rc<Pipe<Bytes>>,
    producing: Option<Producing>,
    /// How it has ended: told after the last piece.
    outcome: Result<HeaderMap>,
    lent: Bytes,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pipe.reader_gone();
    }
}

impl Running {
    fn start(produce: Produce) -> Self {
        let pipe = Rc::new(Pipe::default());
        let producing = produce(Writer { sink: Sink::Local(pipe.clone()) });
        Running { pipe, producing: Some(producing), outcome: Ok(HeaderMap::new()), lent: Bytes::new() }
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| {
            loop {
                if let Some(chunk) = self.pipe.take() {
                    return Poll::Ready(Ok(Some(chunk)));
                }
                let Some(producing) = &mut self.producing else {
                    return Poll::Ready(match &self.outcome {
                        Ok(_) => Ok(None),
                        Err(failure) => Err(failure.clone()),
                    });
                };
                match producing.as_mut().poll(cx) {
                    Poll::Ready(outcome) => {
                        self.producing = None;
                        self.outcome = outcome.map(|Trailers(fields)| fields);
                    }
                    Poll::Pending if self.pipe.is_empty() => {
                        self.pipe.wake_when_filled(cx.waker());
                        return Poll::Pending;
                    }
                    Poll::Pending => {}
                }
            }
        })
        .await
    }
}

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

    /// A body of the pieces of a [`Stream`]. An error cuts it short. For the rest see [`Body::stream`].
    pub fn from_stream<S, T>(pieces: S) -> Self
    where
        S: Stream<Item = Result<T>> + 'static,
        T: Into<Vec<u8>>,
    {
        Body::stream(|mut writer| async move {
            let mut pieces = pin!(pieces);
            while let Some(piece) = poll_fn(|cx| pieces.as_mut().poll_next(cx)).await {
                writer.write(piece?).await?;
            }
            Ok(())
        })
    }

    /// Whether it is known to be empty. A stream counts as not empty until it has ended.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Inner::Empty | Inner::Lent(_) | Inner::Ended(_) => true,
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Received(_) | Inner::Produced(_) | Inner::Running(_) => false,
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
        self.run();
        match &mut self.0 {
            Inner::Empty | Inner::Lent(_) | Inner::Ended(_) => Ok(Bytes::new()),
            Inner::Whole(bytes) if bytes.len() > max => Err(too_large()),
            Inner::Whole(bytes) => Ok(std::mem::take(bytes)),
            Inner::Running(running) => {
                let mut all = Vec::new();
                while let Some(chunk) = running.next().await? {
                    if chunk.len() > max - all.len() {
                        return Err(too_large());
                    }
                    all.extend_from_slice(&chunk);
                }
                self.end().await?;
                Ok(all.into())
            }
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
            Inner::Produced(_) => unreachable!("it runs"),
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
        self.run();
        match &mut self.0 {
            Inner::Empty | Inner::Lent(_) | Inner::Ended(_) => Ok(None),
            Inner::Whole(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Inner::Running(running) => match running.next().await? {
                Some(chunk) => Ok(Some(chunk)),
                None => {
                    self.end().await?;
                    Ok(None)
                }
            },
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
            Inner::Produced(_) => unreachable!("it runs"),
        }
    }

    /// The next piece, lent until the next call: as [`chunk`](Body::chunk), but the buffer is used again.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// use wharf::{Body, Result};
    ///
    /// #[wharf::handler]
    /// async fn lines(mut body: Body) -> Result<String> {
    ///     let mut lines = 0;
    ///     while let Some(piece) = body.read().await? {
    ///         lines += piece.iter().filter(|byte| **byte == b'\n').count();
    ///     }
    ///     Ok(format!("{lines} lines\n"))
    /// }
    /// ```
    ///
    /// # Errors
    /// The failure that cut the body short.
    pub async fn read(&mut self) -> Result<Option<&[u8]>> {
        self.run();
        if let Inner::Whole(bytes) = &mut self.0 {
            self.0 = Inner::Lent(std::mem::take(bytes));
            let Inner::Lent(bytes) = &self.0 else { return Ok(None) };
            return Ok(Some(&**bytes).filter(|bytes| !bytes.is_empty()));
        }
        let more = match &mut self.0 {
            Inner::Running(running) => {
                running.lent = running.next().await?.unwrap_or_default();
                !running.lent.is_empty()
            }
            Inner::Received(received) => loop {
                let mut buffer = std::mem::take(&mut received.buffer);
                buffer.clear();
                let status;
                (status, received.buffer) = received.read(buffer).await;
                if !received.buffer.is_empty() {
                    break true;
                }
                if status == StreamResult::Dropped {
                    break false;
                }
            },
            _ => return Ok(None),
        };
        if !more {
            self.end().await?;
        }
        match &self.0 {
            Inner::Running(running) => Ok(Some(&running.lent[..])),
            Inner::Received(received) => Ok(Some(&received.buffer[..])),
            _ => Ok(None),
        }
    }

    /// A produced body that is read here starts to run here.
    fn run(&mut self) {
        if let Inner::Produced(_) = self.0
            && let Inner::Produced(produce) = std::mem::take(&mut self.0)
        {
            self.0 = Inner::Running(Running::start(produce));
        }
    }

    /// The trailer fields that follow the body. What was not read before is thrown away.
    ///
    /// # Errors
    /// The failure that cut the body short.
    pub async fn trailers(&mut self) -> Result<HeaderMap> {
        while self.read().await?.is_some() {}
        match std::mem::take(&mut self.0) {
            Inner::Ended(trailers) => Ok(trailers),
            _ => Ok(HeaderMap::new()),
        }
    }

    /// Learns how a stream has ended, after its last byte.
    async fn end(&mut self) -> Result<()> {
        self.0 = match std::mem::take(&mut self.0) {
            Inner::Received(received) => Inner::Ended(received.end.reached().await?),
            Inner::Running(mut running) => {
                Inner::Ended(std::mem::replace(&mut running.outcome, Ok(HeaderMap::new()))?)
            }
            other => other,
        };
        Ok(())
    }

    /// A stream whose end is learnt in another way than a handler's request has.
    #[cfg(all(feature = "client", target_family = "wasm"))]
    pub(crate) fn received(
        stream: StreamReader<u8>,
        end: impl Future<Output = Result<HeaderMap>> + 'static,
    ) -> Self {
        let end = End::Other(Box::pin(end));
        Body(Inner::Received(Received { stream, end, touched: false, buffer: Vec::new() }))
    }

    /// Takes the bytes of a body that is whole; an empty body is.
    #[cfg(all(feature = "client", target_family = "wasm"))]
    pub(crate) fn whole(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Inner::Empty | Inner::Lent(_) | Inner::Ended(_) => Some(Bytes::new()),
            Inner::Whole(bytes) => Some(std::mem::take(bytes)),
            Inner::Received(_) | Inner::Produced(_) | Inner::Running(_) => None,
        }
    }

    /// The stream of a body that is to be sent, and how it ends. Somebody has to run the future.
    #[cfg(all(feature = "client", target_family = "wasm"))]
    pub(crate) fn into_outgoing(self) -> (StreamReader<u8>, OutgoingEnd) {
        match self.0 {
            Inner::Received(Received { stream, end, touched: false, .. }) => {
                (stream, Box::pin(end.reached()))
            }
            Inner::Produced(produce) => {
                let (writer, reader) = wit_stream::new();
                let written = produce(Writer { sink: Sink::Host(writer) });
                (reader, Box::pin(async move { written.await.map(|Trailers(fields)| fields) }))
            }
            other => {
                let (writer, reader) = wit_stream::new();
                let mut rest = Body(other);
                let written = async move { Writer { sink: Sink::Host(writer) }.copy(&mut rest).await };
                (reader, Box::pin(written))
            }
        }
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

/// Where the closure of [`Body::stream`] puts the body.
///
/// Dropping it ends the body; the closure's result says whether that was the end or a cut.
pub struct Writer {
    sink: Sink,
}

enum Sink {
    Host(StreamWriter<u8>),
    /// Read in the plugin itself, or in a native test.
    Local(Rc<Pipe<Bytes>>),
}

impl Writer {
    /// Sends a piece and waits until the host has taken it, which it does as fast as the client reads.
    ///
    /// The host reads the piece where it is: a `Vec` or `String` is not copied, and nor are [`Bytes`] that
    /// nobody else holds.
    ///
    /// # Errors
    /// [`ReaderGone`] when nobody will read any more of this body; stop producing it then.
    pub async fn write(&mut self, chunk: impl Into<Vec<u8>>) -> Result<(), ReaderGone> {
        // An empty write would wait for a reader and tell it nothing.
        let chunk = chunk.into();
        if chunk.is_empty() {
            return Ok(());
        }
        match &mut self.sink {
            // What comes back is what nobody has read.
            Sink::Host(stream) => match stream.write_all(chunk).await.is_empty() {
                true => Ok(()),
                false => Err(ReaderGone),
            },
            Sink::Local(pipe) => pipe.put(chunk.into()).await.map_err(|_| ReaderGone),
        }
    }

    /// Sends all that is left of another body and returns its trailers, for `Ok(trailers)` at the end.
    ///
    /// The pieces pass through one buffer.
    ///
    /// # Errors
    /// The failure that cut the other body short, or that nobody reads this one any more.
    pub async fn copy(&mut self, from: &mut Body) -> Result<HeaderMap> {
        if let (Sink::Host(stream), Inner::Received(received)) = (&mut self.sink, &mut from.0) {
            let mut buffer = std::mem::take(&mut received.buffer);
            loop {
                buffer.clear();
                let status;
                (status, buffer) = received.read(buffer).await;
                if !buffer.is_empty() {
                    // What comes back is what nobody has read.
                    buffer = stream.write_all(buffer).await;
                    if !buffer.is_empty() {
                        return Err(ReaderGone.into());
                    }
                } else if status == StreamResult::Dropped {
                    break;
                }
            }
            from.end().await?;
        }
        while let Some(chunk) = from.chunk().await? {
            self.write(chunk).await?;
        }
        from.trailers().await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Sink::Local(pipe) = &self.sink {
            pipe.writer_gone();
        }
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
            Inner::Empty | Inner::Lent(_) | Inner::Ended(_) => f.write_str("Body(empty)"),
            Inner::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Received(_) | Inner::Produced(_) | Inner::Running(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<raw::Body> for Body {
    fn from(raw: raw::Body) -> Self {
        Body(match raw {
            raw::Body::Empty => Inner::Empty,
            raw::Body::Whole(bytes) => Inner::Whole(bytes.into()),
            raw::Body::Streamed((stream, end)) => Inner::Received(Received {
                stream,
                end: End::Handler(end),
                touched: false,
                buffer: Vec::new(),
            }),
        })
    }
}

impl From<Body> for raw::Body {
    fn from(body: Body) -> Self {
        match body.0 {
            Inner::Empty | Inner::Lent(_) | Inner::Ended(_) => raw::Body::Empty,
            Inner::Whole(bytes) => raw::Body::Whole(bytes.into()),
            Inner::Received(Received { stream, end: End::Handler(end), touched: false, .. }) => {
                raw::Body::Streamed((stream, end))
            }
            // Its bytes are handed on as well; only its end has to be told in other words.
            Inner::Received(Received { stream, end, touched: false, .. }) => {
                raw::Body::Streamed((stream, end_with(end.reached())))
            }
            // A stream that was read may have been seen to end, and such a handle cannot be handed on.
            other @ (Inner::Received(_) | Inner::Running(_)) => {
                let mut rest = Body(other);
                Body::stream(|mut writer| async move { writer.copy(&mut rest).await }).into()
            }
            Inner::Produced(produce) => {
                let (writer, reader) = wit_stream::new();
                // The writer is dropped in there, which ends the stream before the future says how.
                let written = async move {
                    produce(Writer { sink: Sink::Host(writer) }).await.map(|Trailers(fields)| fields)
                };
                raw::Body::Streamed((reader, end_with(written)))
            }
        }
    }
}

/// The end of a stream, which becomes known beside the rest of this call.
fn end_with(reached: impl Future<Output = Result<HeaderMap>> + 'static) -> FutureReader<HandlerEnd> {
    let (end, reader) = wit_future::new(|| {
        Err(Failure::internal("the body was cut short").with_details("its producer was dropped").into())
    });
    wit_bindgen::spawn_local(async move {
        let outcome = match reached.await {
            Ok(fields) => Ok(fields::to_wit(&fields)),
            Err(failure) => Err(failure.into()),
        };
        // It fails when nobody waits for the end any more: then there is nobody to tell.
        let _ = end.write(outcome).await;
    });
    reader
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;
    use http::HeaderValue;
    use std::task::{Context, Waker};

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
    fn a_produced_body_can_be_read_where_it_was_made() {
        fn produced() -> Body {
            Body::stream(|mut writer| async move {
                writer.write("one ").await?;
                writer.write("").await?;
                writer.write(vec![b't', b'w', b'o']).await?;
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", HeaderValue::from_static("2"));
                Ok(trailers)
            })
        }
        assert!(!produced().is_empty());
        assert_eq!(block_on(produced().bytes()).expect("all of it"), "one two");
        assert_eq!(block_on(produced().bytes_up_to(6)).expect_err("7 bytes").kind(), "payload_too_large");
        block_on(async {
            let mut body = produced();
            assert_eq!(body.chunk().await.expect("a piece").as_deref(), Some(b"one ".as_slice()));
            assert_eq!(body.read().await.expect("a piece"), Some(b"two".as_slice()));
            assert_eq!(body.trailers().await.expect("the end")["x-sum"], "2");

            let mut copied = Body::stream(|mut writer| async move { writer.copy(&mut produced()).await });
            assert_eq!(copied.text().await.expect("all of it"), "one two");
            assert_eq!(copied.trailers().await.expect("the end")["x-sum"], "2");
        });
    }

    #[test]
    fn a_failure_of_the_producer_cuts_the_body_short() {
        let mut body = Body::stream(|mut writer| async move {
            writer.write("one").await?;
            Err::<(), _>(Failure::unavailable("the source ran dry"))
        });
        block_on(async {
            assert_eq!(body.chunk().await.expect("a piece").as_deref(), Some(b"one".as_slice()));
            assert_eq!(body.chunk().await.expect_err("a cut").kind(), "unavailable");
        });
    }

    #[test]
    fn a_whole_body_is_lent_once() {
        let mut body = Body::from("hello");
        assert_eq!(now(body.read()).expect("whole"), Some(b"hello".as_slice()));
        assert!(body.is_empty());
        assert_eq!(now(body.read()).expect("the end"), None);
        assert_eq!(now(Body::empty().read()).expect("empty"), None);
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
