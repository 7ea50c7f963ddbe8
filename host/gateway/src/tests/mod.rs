//! Tests over real sockets: a gateway on port 0, fake plugins behind it, raw bytes and hyper clients before it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod cases;
mod drain;
mod http1;
mod http2;
mod limits;
mod metrics;
mod upgrade;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use wharf_call::ports::Account;
use wharf_call::{
    AccessLog, AccessRecord, Body, BoxFuture, Failure, HttpService, Invocation, Kind, Memory, MemoryUse,
    Reservation,
};

use crate::{Config, Gateway, Listener, RoutePattern, RouteSpec, RouteTable, Routes};

/// Longer than anything here takes: a test that gets so far has failed.
const PATIENCE: Duration = Duration::from_secs(20);

type Answer = Result<Response<Body>, Failure>;

/// A plugin that is a closure.
struct Fake<F>(F);

impl<F, R> HttpService for Fake<F>
where
    F: Fn(Request<Body>, Invocation) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    fn name(&self) -> &str {
        "fake"
    }
    fn call<'a>(&'a self, request: Request<Body>, invocation: Invocation) -> BoxFuture<'a, Answer> {
        Box::pin((self.0)(request, invocation))
    }
}

fn route<F, R>(methods: &str, path: &str, fake: F) -> RouteSpec
where
    F: Fn(Request<Body>, Invocation) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let methods = methods.split(',').filter(|method| !method.is_empty());
    RouteSpec {
        host: None,
        methods: methods.map(|method| method.parse().unwrap()).collect(),
        pattern: RoutePattern::parse(path).unwrap(),
        target: Arc::new(Fake(fake)),
        idempotent: false,
    }
}

/// Reads the whole body and sends it back.
async fn echo(request: Request<Body>, _: Invocation) -> Answer {
    let failed = |failure: Failure| Failure::from_guest("read_failed", failure.public().to_owned(), None);
    let body = request.into_body().collect().await.map_err(failed)?;
    Ok(Response::new(Body::whole(body.to_bytes())))
}

/// Memory with so much room.
struct Room(AtomicU64);

impl Account for Room {
    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(bytes)).is_ok()
    }
    fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }
}

struct Budget(Arc<Room>);

impl Memory for Budget {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(self.0.clone(), bytes)
    }
}

struct Host {
    gateway: Gateway,
    address: SocketAddr,
    room: Arc<Room>,
}

fn start(config: Config, routes: Vec<RouteSpec>) -> Host {
    start_logged(config, routes, None)
}

fn start_logged(config: Config, routes: Vec<RouteSpec>, access: Option<Arc<dyn AccessLog>>) -> Host {
    let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..config };
    let listener = Listener::bind(&config).unwrap();
    let address = listener.local_addr();
    let routes = Routes::new(RouteTable::build(routes).unwrap());
    let room = Arc::new(Room(AtomicU64::new(1 << 20)));
    let gateway = Gateway::start(listener, config, routes, Arc::new(Budget(room.clone())), access);
    Host { gateway, address, room }
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this should have happened by now")
}

impl Host {
    async fn connect(&self) -> TcpStream {
        patiently(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

/// Reads until the server closes; a reset counts as that.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = patiently(stream.read_to_end(&mut all)).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads until what was read ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let read = patiently(stream.read(&mut byte)).await.unwrap();
        assert_eq!(read, 1, "closed after {:?}", String::from_utf8_lossy(&all));
        all.push(byte[0]);
    }
    String::from_utf8(all).unwrap()
}

/// A body that a test feeds frame by frame.
struct Fed(mpsc::Receiver<Result<Frame<Bytes>, Failure>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Failure;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.0.poll_recv(cx)
    }
}

fn fed(frames: Vec<Result<Frame<Bytes>, Failure>>) -> Body {
    let (sender, receiver) = mpsc::channel(frames.len().max(1));
    for frame in frames {
        sender.try_send(frame).unwrap();
    }
    Body::stream(Fed(receiver))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, Failure> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn trailers(name: &'static str, value: &'static str) -> Result<Frame<Bytes>, Failure> {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value.parse().unwrap());
    Ok(Frame::trailers(trailers))
}

fn broken() -> Result<Frame<Bytes>, Failure> {
    Err(Failure::new(Kind::GuestTrapped, "it broke").with_private("wasm trap"))
}
