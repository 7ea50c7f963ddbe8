use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use wharf_call::limits::RefuseAll;
use wharf_call::{Body, Egress, EgressCode, EgressLimits, EgressOptions, Failure};

use super::calls::Failing;
use super::setting::{Names, Server, code, echo, get, grants, read, serve, upstream};
use crate::PluginEgress;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A server with a certificate for `name`, which ended at the end of `last_year`.
    async fn server(&self, name: &str, last_year: i32, protocols: &[&str]) -> Server {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Server::raw(move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, echo).await;
                }
            }
        })
        .await
    }

    /// A plugin that trusts this authority and may call `api.test` at the port of `server`.
    fn egress(&self, server: &Server) -> (PluginEgress, String) {
        let origin = format!("https://api.test:{}", server.address.port());
        let names = Names::new(&[("api.test", "127.0.0.1")]);
        let grants = grants(&[format!("private {origin}")]);
        let egress = upstream(names, self.pem.clone())
            .plugin("notes", grants, EgressLimits::default(), RefuseAll::shared())
            .unwrap();
        (egress, origin)
    }
}

#[tokio::test]
async fn http2_is_spoken_where_the_peer_offers_it_and_its_calls_share_a_connection() {
    let authority = Authority::new();
    let server = authority.server("api.test", 4000, &["h2", "http/1.1"]).await;
    let (egress, origin) = authority.egress(&server);
    let request =
        Request::post(format!("{origin}/a?b")).header("host", "other.test").header("te", "trailers");
    let response =
        egress.send(request.body(Body::whole("hi")).unwrap(), EgressOptions::default()).await.unwrap();
    assert_eq!(response.headers()["x-version"], "HTTP/2.0");
    assert_eq!(response.headers()["x-fields"], "te content-length");
    assert_eq!(read(response).await, format!("POST {origin}/a?b host=None hi"));
    let egress = Arc::new(egress);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (egress, origin) = (egress.clone(), origin.clone());
            tokio::spawn(async move { code(&egress, get(origin), EgressOptions::default()).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(200));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn on_http2_a_body_that_fails_is_told_and_its_neighbours_go_on() {
    let authority = Authority::new();
    let server = authority.server("api.test", 4000, &["h2"]).await;
    let (egress, origin) = authority.egress(&server);
    for _ in 0..3 {
        let request = Request::post(&origin).body(Body::stream(Failing)).unwrap();
        let refused = code(&egress, request, EgressOptions::default()).await;
        assert_eq!(refused, Err(EgressCode::HttpRequestBodySize));
        assert_eq!(code(&egress, get(&origin), EgressOptions::default()).await, Ok(200));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn on_http2_the_upload_of_an_abandoned_call_ends_with_it() {
    struct Endless(Option<oneshot::Sender<()>>, Option<oneshot::Sender<()>>);
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Failure;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
            self.0.take().map(|polled| polled.send(()));
            Poll::Pending
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.1.take().map(|dropped| dropped.send(()));
        }
    }
    let authority = Authority::new();
    let server = authority.server("api.test", 4000, &["h2"]).await;
    let (egress, origin) = authority.egress(&server);
    let upload = || {
        let ((polled, is_polled), (dropped, is_dropped)) = (oneshot::channel(), oneshot::channel());
        (Body::stream(Endless(Some(polled), Some(dropped))), is_polled, is_dropped)
    };
    let (body, is_polled, is_dropped) = upload();
    tokio::select! {
        _ = egress.send(Request::post(&origin).body(body).unwrap(), EgressOptions::default()) => {
            panic!("the server waits for the body");
        }
        polled = is_polled => polled.unwrap(),
    }
    is_dropped.await.unwrap();
    let (body, is_polled, is_dropped) = upload();
    let early = Request::post(format!("{origin}/early")).body(body).unwrap();
    let response = egress.send(early, EgressOptions::default()).await.unwrap();
    is_polled.await.unwrap();
    drop(response);
    is_dropped.await.unwrap();
    assert_eq!(code(&egress, get(&origin), EgressOptions::default()).await, Ok(200));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn http1_is_spoken_where_that_is_all_there_is() {
    let authority = Authority::new();
    for protocols in [&["http/1.1"][..], &[]] {
        let server = authority.server("api.test", 4000, protocols).await;
        let (egress, origin) = authority.egress(&server);
        let response = egress.send(get(&origin), EgressOptions::default()).await.unwrap();
        assert_eq!(response.headers()["x-version"], "HTTP/1.1");
        let host = origin.strip_prefix("https://").unwrap();
        assert_eq!(read(response).await, format!("GET / host=Some({host:?}) "));
    }
}

#[tokio::test]
async fn a_certificate_must_be_valid_for_the_name_and_come_from_a_known_authority() {
    let authority = Authority::new();
    let (wrong_name, expired) = (
        authority.server("other.test", 4000, &["h2"]).await,
        authority.server("api.test", 2001, &["h2"]).await,
    );
    let unknown = Authority::new().server("api.test", 4000, &["h2"]).await;
    for (what, server) in [("name", &wrong_name), ("expired", &expired), ("authority", &unknown)] {
        let (egress, origin) = authority.egress(server);
        let refused = code(&egress, get(&origin), EgressOptions::default()).await;
        assert_eq!(refused, Err(EgressCode::TlsCertificateError), "{what}");
    }
}

#[tokio::test]
async fn a_peer_without_tls_is_a_protocol_error() {
    let authority = Authority::new();
    let plain = Server::raw(|_, mut stream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
    })
    .await;
    let (egress, origin) = authority.egress(&plain);
    let refused = code(&egress, get(&origin), EgressOptions::default()).await;
    assert_eq!(refused, Err(EgressCode::TlsProtocolError));
}

#[test]
fn an_https_grant_without_any_authority_is_refused_when_the_plugin_is_prepared() {
    let upstream = upstream(Names::new(&[]), Vec::new());
    let error = upstream
        .plugin("notes", grants(&["https://a.test"]), EgressLimits::default(), RefuseAll::shared())
        .err()
        .unwrap();
    assert!(error.to_string().contains("ca-certificates"), "{error}");
    assert!(
        upstream
            .plugin("notes", grants(&["http://a.test"]), EgressLimits::default(), RefuseAll::shared())
            .is_ok()
    );
}
