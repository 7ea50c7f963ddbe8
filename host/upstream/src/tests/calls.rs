use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpStream;
use wharf_call::limits::RefuseAll;
use wharf_call::{Body, BoxFuture, Deadline, Egress, EgressCode, EgressLimits, EgressOptions, Failure, Kind};

use super::setting::{
    Endless, Names, SOON, Server, answer, code, egress, egress_to, fetch, get, grants, limited, read,
    read_head,
};
use crate::{Config, Resolve, Upstream};

#[tokio::test]
async fn the_host_field_is_the_uris_authority_whatever_the_plugin_says() {
    let server = Server::echo().await;
    let egress = egress_to(&server);
    let request = Request::get(server.origin() + "/a?b")
        .header("host", "other.test")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .header("upgrade", "websocket")
        .body(Body::Empty)
        .unwrap();
    let response = egress.send(request, EgressOptions::default()).await.unwrap();
    assert_eq!(response.headers()["x-fields"], "host");
    assert!(!response.headers().contains_key("keep-alive"));
    assert_eq!(read(response).await, format!("GET /a?b host=Some(\"{}\") ", server.address));
}

#[tokio::test]
async fn bodies_are_framed_by_the_host() {
    let server = Server::echo().await;
    let egress = egress_to(&server);
    let whole = || Body::whole("12345");
    for (body, announced, fields) in [
        (whole(), Some("99"), "host content-length"),
        (Body::stream(unsized_body(whole())), None, "host transfer-encoding"),
        (Body::stream(unsized_body(whole())), Some("5"), "host content-length"),
    ] {
        let mut request = Request::post(server.origin());
        if let Some(length) = announced {
            request = request.header("content-length", length);
        }
        let response = egress.send(request.body(body).unwrap(), EgressOptions::default()).await.unwrap();
        assert_eq!(response.headers()["x-fields"], fields);
        assert!(read(response).await.ends_with(" 12345"));
    }
    for announced in ["4", "6"] {
        let request = Request::post(server.origin()).header("content-length", announced);
        let request = request.body(Body::stream(unsized_body(whole()))).unwrap();
        let refused = code(&egress, request, EgressOptions::default()).await;
        assert_eq!(refused, Err(EgressCode::HttpRequestBodySize), "{announced}");
    }
}

#[tokio::test]
async fn a_request_whose_body_fails_is_not_taken_for_complete() {
    let server = Server::http(|request| async move {
        let complete = request.into_body().collect().await.is_ok();
        Response::new(Body::whole(complete.to_string()))
    })
    .await;
    let body = Body::stream(Failing);
    let request = Request::post(server.origin()).body(body).unwrap();
    let refused = code(&egress_to(&server), request, EgressOptions::default()).await;
    assert_eq!(refused, Err(EgressCode::HttpRequestBodySize));
}

#[tokio::test]
async fn silence_ends_at_the_first_of_the_timeouts() {
    let server = Server::raw(|_, mut stream| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await; // until the client closes
    })
    .await;
    let egress = egress_to(&server);
    let default = EgressOptions::default();
    let now = Instant::now();
    for (options, expected) in [
        (EgressOptions { first_byte_timeout: SOON, ..default }, EgressCode::ConnectionReadTimeout),
        (
            EgressOptions { deadline: Deadline::NONE.narrow(now, SOON), ..default },
            EgressCode::HttpResponseTimeout,
        ),
    ] {
        assert_eq!(code(&egress, get(server.origin()), options).await, Err(expected));
    }
}

#[tokio::test]
async fn timeouts_beyond_all_clocks_are_taken_as_long_ones() {
    let server = Server::echo().await;
    let options = EgressOptions {
        connect_timeout: Duration::MAX,
        first_byte_timeout: Duration::MAX,
        between_bytes_timeout: Duration::MAX,
        ..EgressOptions::default()
    };
    assert_eq!(code(&egress_to(&server), get(server.origin()), options).await, Ok(200));
}

async fn body_failure(bytes: &'static str, then_close: bool) -> EgressCode {
    let server = Server::raw(move |_, mut stream| async move {
        answer(&mut stream, bytes).await;
        if !then_close {
            read_head(&mut stream).await; // until the client closes
        }
    })
    .await;
    let mut options = EgressOptions::default();
    if !then_close {
        options.between_bytes_timeout = SOON;
    }
    let response = egress_to(&server).send(get(server.origin()), options).await.unwrap();
    EgressCode::of_body(&response.into_body().collect().await.unwrap_err())
}

#[tokio::test]
async fn a_cut_or_silent_response_is_seen_as_such() {
    let sized = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    for bytes in [sized, chunked] {
        assert_eq!(body_failure(bytes, true).await, EgressCode::HttpResponseIncomplete);
        assert_eq!(body_failure(bytes, false).await, EgressCode::ConnectionReadTimeout);
    }
}

#[tokio::test]
async fn responses_are_held_to_their_limits_and_to_http() {
    let limits = EgressLimits {
        response_header_bytes_max: 8 << 10,
        response_header_count_max: 10,
        response_body_bytes_max: 5,
        ..EgressLimits::default()
    };
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(9 << 10));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(11));
    for (bytes, expected) in [
        (long.as_str(), EgressCode::HttpResponseHeaderSectionSize),
        (&many, EgressCode::HttpResponseHeaderSectionSize),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef", EgressCode::HttpResponseBodySize),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", EgressCode::HttpProtocolError),
        (
            "HTTP/1.1 101 Switching\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n",
            EgressCode::HttpProtocolError,
        ),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", EgressCode::HttpProtocolError),
        ("", EgressCode::ConnectionTerminated),
    ] {
        let owned = bytes.to_owned();
        let server = Server::raw(move |_, mut stream| {
            let bytes = owned.clone();
            async move {
                answer(&mut stream, &bytes).await;
            }
        })
        .await;
        let egress = limited(&[server.origin()], Names::new(&[]), limits);
        let refused = code(&egress, get(server.origin()), EgressOptions::default()).await;
        assert_eq!(refused, Err(expected), "{}", &bytes[..bytes.len().min(40)]);
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n";
    let server = Server::raw(move |_, mut stream| async move {
        answer(&mut stream, chunked).await;
    })
    .await;
    let egress = limited(&[server.origin()], Names::new(&[]), limits);
    let response = egress.send(get(server.origin()), EgressOptions::default()).await.unwrap();
    let failure = response.into_body().collect().await.unwrap_err();
    assert_eq!(EgressCode::of_body(&failure), EgressCode::HttpResponseBodySize);
}

#[tokio::test]
async fn a_large_body_streams_through_with_little_of_it_in_memory() {
    const TOTAL: u64 = 96 << 20;
    let server = Server::http(|request| async move {
        Response::new(Body::stream(request.into_body().map_err(|_| Failure::new(Kind::BadRequest, "cut"))))
    })
    .await;
    let made = Arc::new(AtomicU64::new(0));
    let body = Body::stream(Counted { left: TOTAL, made: made.clone() });
    let request = Request::post(server.origin()).body(body).unwrap();
    let response = egress_to(&server).send(request, EgressOptions::default()).await.unwrap();
    let (mut body, mut taken, mut between) = (response.into_body(), 0, 0);
    while let Some(frame) = body.frame().await {
        taken += frame.unwrap().into_data().unwrap().len() as u64;
        between = between.max(made.load(Ordering::Relaxed) - taken);
    }
    assert_eq!(taken, TOTAL);
    // Most of it is in the four buffers that the kernel has for the two sockets.
    assert!(between < TOTAL / 3, "{} MiB were under way at once", between >> 20);
}

#[tokio::test]
async fn a_call_that_finds_nobody_says_why() {
    // Bound and not listening: its port is nobody else's for as long as this test runs.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = nobody.local_addr().unwrap();
    let names = Names::new(&[("nowhere.test", ""), ("closed.test", "127.0.0.1")]);
    let egress = egress(&[format!("private http://*.test:{}", closed.port())], names);
    for (host, expected) in [
        ("unknown.test", EgressCode::DnsError),
        ("nowhere.test", EgressCode::DnsError),
        ("closed.test", EgressCode::ConnectionRefused),
    ] {
        let uri = format!("http://{host}:{}/", closed.port());
        assert_eq!(code(&egress, get(uri), EgressOptions::default()).await, Err(expected), "{host}");
    }
    let request = Request::builder().method("CONNECT").uri("http://a.test/").body(Body::Empty).unwrap();
    let refused = code(&egress, request, EgressOptions::default()).await;
    assert_eq!(refused, Err(EgressCode::HttpRequestMethodInvalid));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let server = Server::echo().await;
    let names = Names::new(&[("two.test", "127.0.0.2 127.0.0.1")]);
    // Bound to 127.0.0.1 only, so the first one refuses.
    assert!(TcpStream::connect(("127.0.0.2", server.address.port())).await.is_err());
    let egress = egress(&[format!("private {}", server.at("two.test"))], names);
    assert_eq!(fetch(&egress, server.at("two.test")).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_resolver_that_hangs_is_a_timeout() {
    struct Hangs;
    impl Resolve for Hangs {
        fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let upstream = Upstream::new(Config::default(), Arc::new(Endless)).with_resolver(Arc::new(Hangs));
    let egress = upstream
        .plugin("notes", grants(&["http://a.test"]), EgressLimits::default(), RefuseAll::shared())
        .unwrap();
    let hurry = EgressOptions { connect_timeout: SOON, ..EgressOptions::default() };
    assert_eq!(code(&egress, get("http://a.test/"), hurry).await, Err(EgressCode::DnsTimeout));
}

#[tokio::test]
async fn calls_are_counted_by_plugin_and_outcome() {
    let server = Server::echo().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let egress = metrics::with_local_recorder(&recorder, || egress_to(&server));
    fetch(&egress, server.origin()).await.unwrap();
    fetch(&egress, "http://other.test/secret").await.unwrap_err();
    drop(egress.send(get(server.origin()), EgressOptions::default()));
    let text = rendered.render();
    for line in [
        "wharf_egress_requests_total{plugin=\"notes\",outcome=\"2xx\"} 1",
        "wharf_egress_requests_total{plugin=\"notes\",outcome=\"http_request_denied\"} 1",
        "wharf_egress_requests_total{plugin=\"notes\",outcome=\"abandoned\"} 0",
        "wharf_egress_seconds_count{plugin=\"notes\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("secret") && !text.contains("other.test"), "{text}");
}

/// Hides the length of a body.
fn unsized_body<B>(body: B) -> impl http_body::Body<Data = Bytes, Error = Failure> + Send
where
    B: http_body::Body<Data = Bytes, Error = Failure> + Send + Unpin + 'static,
{
    struct Unsized<B>(B);
    impl<B: http_body::Body<Data = Bytes, Error = Failure> + Unpin> http_body::Body for Unsized<B> {
        type Data = Bytes;
        type Error = Failure;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }
    }
    Unsized(body)
}

/// A failure at once, of a length nobody knows.
pub(super) struct Failing;

impl http_body::Body for Failing {
    type Data = Bytes;
    type Error = Failure;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Poll::Ready(Some(Err(Failure::new(Kind::GuestTrapped, "The plugin failed."))))
    }
}

/// Zeros, and how many were asked for.
struct Counted {
    left: u64,
    made: Arc<AtomicU64>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Failure;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = Bytes::from_static(&ZEROS[..self.left.min(64 << 10) as usize]);
        self.left -= chunk.len() as u64;
        self.made.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}
