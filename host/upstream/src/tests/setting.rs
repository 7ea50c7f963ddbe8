//! Servers, names and grants for tests.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wharf_call::limits::RefuseAll;
use wharf_call::ports::Account;
use wharf_call::{
    Body, BoxFuture, Egress, EgressCode, EgressError, EgressGrants, EgressLimits, EgressOptions, Failure,
    Kind, Memory, MemoryUse, OriginGrant, Reservation,
};

use crate::{Config, PluginEgress, Resolve, Upstream};

/// A server on loopback that counts its connections and ends with the value.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Hands each connection to `serve`, with its number, from 0.
    pub(super) async fn raw<F, Fut>(serve: F) -> Self
    where
        F: Fn(usize, TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(counter.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Server { address, accepted, task }
    }

    /// Answers each request with `answer`.
    pub(super) async fn http<F, Fut>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Server::raw(move |_, stream| serve(stream, answer.clone())).await
    }

    /// Answers with what it saw: the target, `host` and the body.
    pub(super) async fn echo() -> Self {
        Server::http(echo).await
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// `http://HOST:PORT` with this server's port.
    pub(super) fn at(&self, host: &str) -> String {
        format!("http://{host}:{}", self.address.port())
    }

    pub(super) fn origin(&self) -> String {
        self.at("127.0.0.1")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// HTTP/1.1 or HTTP/2, as the client begins.
pub(super) async fn serve<S, F, Fut>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    let answer = Arc::new(answer);
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, io::Error>(answer(request).await) }
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// Answers with what it saw; at `/early` it copies the body instead, before it has ended.
pub(super) async fn echo(request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() == "/early" {
        let cut = |_| Failure::new(Kind::BadRequest, "cut");
        return Response::new(Body::stream(request.into_body().map_err(cut)));
    }
    let host =
        request.headers().get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let text = format!("{} {} host={host:?} ", request.method(), request.uri());
    let fields: Vec<_> = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
    let version = format!("{:?}", request.version());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut whole = Vec::from(text);
    whole.extend_from_slice(&body);
    Response::builder()
        .header("x-fields", fields.join(" "))
        .header("x-version", version)
        .header("keep-alive", "timeout=5")
        .body(Body::whole(whole))
        .unwrap()
}

pub(super) fn text(status: u16, body: &'static str) -> Response<Body> {
    Response::builder().status(status).body(Body::whole(body)).unwrap()
}

/// Reads the head of one request; false when the client closed instead.
pub(super) async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// Answers one request with these bytes; false when there was none.
pub(super) async fn answer(stream: &mut TcpStream, bytes: &str) -> bool {
    read_head(stream).await && stream.write_all(bytes.as_bytes()).await.is_ok()
}

/// A resolver with a script: each lookup of a name takes the next answer; the last one stays.
#[derive(Default)]
pub(super) struct Names {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    pub(super) lookups: AtomicUsize,
}

impl Names {
    /// `("a.test", "127.0.0.1 ::1")`: one answer; repeat the name for the next one.
    pub(super) fn new(script: &[(&str, &str)]) -> Arc<Self> {
        let names = Names::default();
        for (name, answer) in script {
            let answer = answer.split_whitespace().map(|ip| ip.parse().unwrap()).collect();
            names.answers.lock().entry((*name).to_owned()).or_default().push_back(answer);
        }
        Arc::new(names)
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock();
        let found = match answers.get_mut(name) {
            Some(script) if script.len() > 1 => Ok(script.pop_front().unwrap()),
            Some(script) => Ok(script[0].clone()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        };
        Box::pin(async move { found })
    }
}

/// Memory without end.
pub(super) struct Endless;

impl Account for Endless {
    fn take(&self, _: u64) -> bool {
        true
    }
    fn give_back(&self, _: u64) {}
}

impl Memory for Endless {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(Arc::new(Endless), bytes)
    }
}

/// `"private http://a.test"` is a grant with `private = true`.
pub(super) fn grants(lines: &[impl AsRef<str>]) -> EgressGrants {
    let read = |line: &str| match line.strip_prefix("private ") {
        Some(origin) => OriginGrant::parse(origin).unwrap().with_private(true),
        None => OriginGrant::parse(line).unwrap(),
    };
    EgressGrants { origins: lines.iter().map(|line| read(line.as_ref())).collect() }
}

pub(super) fn upstream(names: Arc<Names>, roots_pem: Vec<u8>) -> Upstream {
    let config = Config { system_roots: false, roots_pem };
    Upstream::new(config, Arc::new(Endless)).with_resolver(names)
}

/// A plugin "notes" with these grants.
pub(super) fn egress(lines: &[impl AsRef<str>], names: Arc<Names>) -> PluginEgress {
    limited(lines, names, EgressLimits::default())
}

pub(super) fn limited(lines: &[impl AsRef<str>], names: Arc<Names>, limits: EgressLimits) -> PluginEgress {
    upstream(names, Vec::new()).plugin("notes", grants(lines), limits, RefuseAll::shared()).unwrap()
}

/// A plugin that may call the server by its address.
pub(super) fn egress_to(server: &Server) -> PluginEgress {
    egress(&[server.origin()], Names::new(&[]))
}

pub(super) fn get(uri: impl AsRef<str>) -> Request<Body> {
    Request::get(uri.as_ref()).body(Body::Empty).unwrap()
}

pub(super) async fn code(
    egress: &PluginEgress,
    request: Request<Body>,
    options: EgressOptions,
) -> Result<u16, EgressCode> {
    let outcome: Result<_, EgressError> = egress.send(request, options).await;
    outcome.map(|response| response.status().as_u16()).map_err(|error| error.code())
}

/// Sends a GET and reads the answer to its end.
pub(super) async fn fetch(egress: &PluginEgress, uri: impl AsRef<str>) -> Result<(u16, String), EgressError> {
    let response = egress.send(get(uri), EgressOptions::default()).await?;
    Ok((response.status().as_u16(), read(response).await))
}

pub(super) async fn read(response: Response<Body>) -> String {
    let bytes: Bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

/// A limit that a test runs into.
pub(super) const SOON: Duration = Duration::from_millis(50);
