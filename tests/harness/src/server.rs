use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::client::RequestBody;

/// A small server on loopback: what a plugin calls. It ends, with its connections, with the value.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counts: Arc<watch::Sender<Counts>>,
    _accepting: JoinSet<()>,
}

/// How many connections a [`Server`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Since it started.
    pub accepted: usize,
    /// That are open now.
    pub open: usize,
    /// That were open at once.
    pub open_max: usize,
}

impl Server {
    /// Hands each connection to `serve`, in a task of its own.
    pub async fn raw<F, Fut>(serve: F) -> Server
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(watch::Sender::new(Counts::default()));
        let counting = counts.clone();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let open = Open::new(counting.clone());
                let served = serve(stream);
                serving.spawn(async move {
                    served.await;
                    drop(open);
                });
                while serving.try_join_next().is_some() {}
            }
        });
        Server { address, counts, _accepting: accepting }
    }

    /// Answers each request with `answer`, over HTTP/1.1 or, for a client that begins with it, HTTP/2.
    pub async fn http<F, Fut>(answer: F) -> Server
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<RequestBody>> + Send + 'static,
    {
        Server::raw(move |stream| speak_http(stream, answer.clone())).await
    }

    /// The same over TLS, as `name`; HTTP/2 is offered.
    pub async fn https<F, Fut>(authority: &Authority, name: &str, answer: F) -> Server
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<RequestBody>> + Send + 'static,
    {
        let acceptor = authority.acceptor(name);
        Server::raw(move |stream| {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    speak_http(stream, answer).await;
                }
            }
        })
        .await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://HOST:PORT` with its port.
    pub fn at(&self, host: &str) -> String {
        format!("http://{host}:{}", self.address.port())
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        self.at("127.0.0.1")
    }

    /// Its connections.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Resolves when its connections are as `wanted`.
    pub async fn wait(&self, what: &str, wanted: impl Fn(Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        let seen = counts.wait_for(|counts| wanted(*counts));
        crate::within(std::time::Duration::from_secs(30), what, seen).await.expect("the server lives");
    }
}

async fn speak_http<S, F, Fut>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<RequestBody>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    // A client that hangs up is none of the server's business.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// A certificate authority of a test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// One connection, counted.
struct Open(Arc<watch::Sender<Counts>>);

impl Open {
    fn new(counts: Arc<watch::Sender<Counts>>) -> Self {
        counts.send_modify(|counts| {
            counts.accepted += 1;
            counts.open += 1;
            counts.open_max = counts.open_max.max(counts.open);
        });
        Open(counts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|counts| counts.open -= 1);
    }
}
