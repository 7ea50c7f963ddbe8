use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::within;

/// How long an answer may take, head and body.
const ANSWER: Duration = Duration::from_secs(60);

/// The body of a request.
pub type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

/// How a client talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl Protocol {
    /// Both.
    pub const ALL: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
}

/// A complete answer, or what arrived of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body as far as it came.
    pub body: Bytes,
    /// The trailers, if there were any.
    pub trailers: Option<HeaderMap>,
    /// Why the body is not complete.
    pub cut: Option<String>,
}

impl Answer {
    /// Reads the body of `response` to its end, well or not.
    pub async fn read(response: Response<Incoming>) -> Answer {
        let (head, mut incoming) = response.into_parts();
        let mut answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Bytes::new(),
            trailers: None,
            cut: None,
        };
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(frame)) => answer.trailers = frame.into_trailers().ok(),
                Err(error) => {
                    answer.cut = Some(format!("{error:?}"));
                    break;
                }
            }
        }
        answer.body = body.into();
        answer
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header field as text, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The answer, which must be a complete one with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!((self.status, &self.cut), (status, &None), "{self:?}");
        self
    }

    /// The answer, which must be a problem document (RFC 9457) with this status and kind.
    #[track_caller]
    pub fn expect_problem(self, status: u16, kind: &str) -> Answer {
        assert_eq!((self.status, &self.cut), (status, &None), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["kind"], kind, "{problem}");
        self
    }
}

/// One connection to a host.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    sender: Sender,
    connection: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

impl Client {
    /// Connects; a host that does not accept is a panic.
    pub async fn connect(addr: SocketAddr, protocol: Protocol) -> Client {
        Client::try_connect(addr, protocol)
            .await
            .unwrap_or_else(|error| panic!("connecting to {addr}: {error}"))
    }

    /// Connects from an address of this machine, such as 127.0.0.2: as another caller.
    pub async fn connect_from(source: IpAddr, addr: SocketAddr, protocol: Protocol) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Client::handshake(socket.connect(addr).await.unwrap(), addr, protocol).await.unwrap()
    }

    /// Connects, or says why not.
    pub async fn try_connect(addr: SocketAddr, protocol: Protocol) -> Result<Client, String> {
        let stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
        Client::handshake(stream, addr, protocol).await
    }

    async fn handshake(stream: TcpStream, addr: SocketAddr, protocol: Protocol) -> Result<Client, String> {
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(stream);
        let (sender, connection) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(|error| error.to_string())?;
                (Sender::Http1(sender), spawn(connection))
            }
            Protocol::Http2 => {
                let handshake = http2::Builder::new(TokioExecutor::new()).handshake(io).await;
                let (sender, connection) = handshake.map_err(|error| error.to_string())?;
                (Sender::Http2(sender), spawn(connection))
            }
        };
        Ok(Client { addr, sender, connection })
    }

    /// Sends a request and reads its answer to the end; no answer is a panic.
    pub async fn answer(&mut self, request: Request<RequestBody>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        self.try_answer(request).await.unwrap_or_else(|error| panic!("no answer to {what}: {error:?}"))
    }

    /// The same, where a connection that breaks before the head of the answer has arrived is to be expected.
    pub async fn try_answer(&mut self, request: Request<RequestBody>) -> Result<Answer, hyper::Error> {
        let what = format!("the answer to {} {}", request.method(), request.uri());
        within(ANSWER, &what, async { Ok(Answer::read(self.send(request).await?).await) }).await
    }

    /// Sends a request; resolves with the head of its answer. The request needs a path only, and a `host`
    /// where it is not the address.
    pub async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let address = HeaderValue::from_str(&self.addr.to_string()).expect("an address is a valid value");
        match &mut self.sender {
            Sender::Http1(sender) => {
                request.headers_mut().entry(HOST).or_insert(address);
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                let authority = request.headers_mut().remove(HOST).unwrap_or(address);
                let target = format!("http://{}{}", authority.to_str().unwrap(), request.uri());
                *request.uri_mut() = target.parse().expect("a path after an authority is a URI");
                *request.version_mut() = Version::HTTP_2;
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Whether the peer has closed, or is about to close, the connection.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Resolves when the connection has ended.
    pub async fn closed(&mut self) {
        let _ = (&mut self.connection).await;
    }
}

/// The connection ends with its client, whatever is still under way on it.
impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn spawn<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async {
        // A broken connection shows in the answer that does not arrive.
        let _ = connection.await;
    })
}

/// A request for a path.
pub fn request(method: &str, path: &str, body: RequestBody) -> Request<RequestBody> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder().method(method).uri(path).body(body).unwrap()
}

/// No body.
pub fn empty() -> RequestBody {
    Empty::new().boxed_unsync()
}

/// A whole body, sent with its length.
pub fn body(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body of `count` times `chunk`, of a length that is not said before.
pub fn chunked(chunk: Bytes, count: usize) -> RequestBody {
    Chunks { chunk, left: count }.boxed_unsync()
}

/// A body that the test writes while the request is under way.
pub fn upload() -> (Upload, RequestBody) {
    let (sender, frames) = mpsc::channel(1);
    (Upload(sender), Frames(frames).boxed_unsync())
}

/// The writing end of an [`upload`]; the body ends when it is dropped.
#[derive(Debug)]
pub struct Upload(mpsc::Sender<Frame<Bytes>>);

impl Upload {
    /// Sends a chunk; waits while the one before it is still to be taken.
    pub async fn send(&self, chunk: impl Into<Bytes>) {
        self.0.send(Frame::data(chunk.into())).await.expect("the request is still being sent");
    }

    /// Ends the body with trailers.
    pub async fn trailers(self, trailers: HeaderMap) {
        self.0.send(Frame::trailers(trailers)).await.expect("the request is still being sent");
    }
}

struct Chunks {
    chunk: Bytes,
    left: usize,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}

struct Frames(mpsc::Receiver<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
