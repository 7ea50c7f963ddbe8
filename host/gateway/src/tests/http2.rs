use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Empty, Full, StreamBody};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

/// An HTTP/2 client with prior knowledge.
pub(super) async fn connect(host: &Host) -> SendRequest<RequestBody> {
    let io = TokioIo::new(host.connect().await);
    let (sender, connection) =
        hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn empty() -> RequestBody {
    Empty::new().boxed_unsync()
}

#[tokio::test]
async fn both_versions_share_the_port_and_look_alike_to_the_plugin() {
    let host = start(
        Config::default(),
        vec![route("POST", "/", async |request: Request<Body>, _| {
            assert_eq!(request.headers()["host"], "example.com:80");
            assert_eq!(request.uri(), "/?q=1");
            echo(request, unreachable_invocation()).await
        })],
    );
    let mut client = connect(&host).await;
    let request = Request::post("http://example.com:80//?q=1");
    let request = request.body(Full::new(Bytes::from_static(b"hello")).boxed_unsync()).unwrap();
    let response = patiently(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("date") && response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}

fn unreachable_invocation() -> Invocation {
    Invocation {
        request_id: wharf_call::RequestId::from_bits(1),
        trace: wharf_call::TraceContext { trace_id: 1, span_id: 1, flags: 0 },
        route: "".into(),
        params: Vec::new(),
        caller: None,
        peer: "127.0.0.1".into(),
        idempotent: false,
        deadline: wharf_call::Deadline::NONE,
        metadata: wharf_call::Metadata::default(),
    }
}

#[tokio::test]
async fn bodies_stream_and_trailers_pass_in_both_directions() {
    let host = start(
        Config::default(),
        vec![route("POST", "/", async |request: Request<Body>, _| {
            // Back to the client as it comes, trailers included.
            Ok(Response::new(request.into_body()))
        })],
    );
    let mut client = connect(&host).await;
    let (sender, receiver) = mpsc::channel::<Frame<Bytes>>(1);
    let receiver = parking_lot::Mutex::new(receiver);
    let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| {
        receiver.lock().poll_recv(cx).map(|frame| frame.map(Ok::<_, Infallible>))
    }));
    let request = Request::post("http://a/").body(body.boxed_unsync()).unwrap();
    let response = patiently(client.send_request(request)).await.unwrap();
    let mut body = response.into_body();
    for text in ["one", "two"] {
        sender.send(Frame::data(Bytes::from_static(text.as_bytes()))).await.unwrap();
        let frame = patiently(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "3".parse().unwrap());
    sender.send(Frame::trailers(trailers.clone())).await.unwrap();
    let frame = patiently(body.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_trailers().unwrap(), trailers);
}

#[tokio::test]
async fn a_whole_body_may_have_trailers() {
    let host = start(
        Config::default(),
        vec![route("POST", "/", async |request: Request<Body>, _| {
            assert!(matches!(request.body(), Body::Trailed(bytes, _) if bytes == "sum"));
            Ok(Response::new(request.into_body()))
        })],
    );
    let mut client = connect(&host).await;
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), "3".parse().unwrap())]);
    let sent = trailers.clone();
    let body = Full::new(Bytes::from_static(b"sum")).with_trailers(async { Some(Ok(sent)) });
    let request = Request::post("http://a/").header("content-length", "3");
    let response = patiently(client.send_request(request.body(body.boxed_unsync()).unwrap())).await.unwrap();
    assert!(!response.headers().contains_key("content-length"), "a client would look for no trailers");
    let answer = patiently(response.into_body().collect()).await.unwrap();
    assert_eq!(answer.trailers(), Some(&trailers));
    assert_eq!(answer.to_bytes(), "sum");
}

#[tokio::test]
async fn what_is_sent_ahead_of_the_plugin_is_paid_for() {
    let host = start(Config::default(), vec![route("POST", "/", echo)]);
    let mut client = connect(&host).await;
    let upload = || {
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"hello")))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Request::post("http://a/").body(body.boxed_unsync()).unwrap()
    };
    let room = &host.room.0;
    room.store(60_000, Ordering::SeqCst);
    let refused = patiently(client.send_request(upload())).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    room.store(70_000, Ordering::SeqCst);
    let response = patiently(client.send_request(upload())).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(room.load(Ordering::SeqCst), 70_000);
}

#[tokio::test]
async fn a_response_cut_short_is_a_reset_of_its_stream_only() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = parking_lot::Mutex::new(Some(receiver));
    let host = start(
        Config::default(),
        vec![
            route("GET", "/cut", move |_, _| {
                let body = Body::stream(Fed(receiver.lock().take().unwrap()));
                async { Ok(Response::new(body)) }
            }),
            route("GET", "/", echo),
        ],
    );
    let mut client = connect(&host).await;
    let response = client.send_request(Request::get("http://a/cut").body(empty()).unwrap()).await.unwrap();
    let mut body = response.into_body();
    sender.send(data("half")).await.unwrap();
    assert_eq!(patiently(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "half");
    sender.send(broken()).await.unwrap();
    let error = patiently(body.collect()).await.unwrap_err();
    assert!(format!("{error:?}").contains("INTERNAL_ERROR"), "{error:?}");
    let response = client.send_request(Request::get("http://a/").body(empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn head_has_a_length_and_no_body() {
    let host = start(
        Config::default(),
        vec![route("GET", "/", async |_, _| Ok(Response::new(Body::whole("hello"))))],
    );
    let mut client = connect(&host).await;
    let response = client.send_request(Request::head("http://a/").body(empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_host_that_disagrees_with_the_authority_is_refused() {
    let host = start(Config::default(), vec![route("GET", "/", echo)]);
    let mut client = connect(&host).await;
    let request = Request::get("http://a/").header("host", "b").body(empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 400);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("name different hosts"), "{body:?}");
}

#[tokio::test]
async fn a_stream_whose_client_gives_no_window_is_cut_and_its_siblings_live() {
    let config = Config { body_progress_timeout: Duration::from_millis(150), ..Config::default() };
    let (sender, receiver) = mpsc::channel(1);
    let receiver = parking_lot::Mutex::new(Some(receiver));
    let host = start(
        config,
        vec![
            route("GET", "/stalls", move |_, _| {
                let body = Body::stream(Fed(receiver.lock().take().unwrap()));
                async { Ok(Response::new(body)) }
            }),
            route("GET", "/", echo),
        ],
    );
    let mut client = connect(&host).await;
    // The body is held and not read: the stream's window fills up.
    let stalled = client.send_request(Request::get("http://a/stalls").body(empty()).unwrap()).await.unwrap();
    static CHUNK: [u8; 65536] = [b'x'; 65536];
    while patiently(sender.send(Ok(Frame::data(Bytes::from_static(&CHUNK))))).await.is_ok() {}
    let response = client.send_request(Request::get("http://a/").body(empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(patiently(stalled.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn draining_lets_streams_finish_and_says_goodbye() {
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let released = parking_lot::Mutex::new(Some(released));
    let (called, mut calls) = mpsc::channel(1);
    let host = start(
        Config::default(),
        vec![route("GET", "/", move |_, _| {
            let (released, called) = (released.lock().take().unwrap(), called.clone());
            async move {
                called.send(()).await.unwrap();
                let _ = released.await;
                Ok(Response::new(Body::whole("done")))
            }
        })],
    );
    let mut client = connect(&host).await;
    let answer = client.send_request(Request::get("http://a/").body(empty()).unwrap());
    let answer = tokio::spawn(answer);
    patiently(calls.recv()).await.unwrap();
    let drain = tokio::spawn(host.gateway.drain(PATIENCE));
    release.send(()).unwrap();
    let response = patiently(answer).await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "done");
    assert!(patiently(drain).await.unwrap().finished);
    let again = client.send_request(Request::get("http://a/").body(empty()).unwrap());
    assert!(patiently(again).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_is_let_go() {
    let config = Config { idle_timeout: Duration::from_millis(150), ..Config::default() };
    let host = start(config, vec![route("GET", "/", echo)]);
    let mut client = connect(&host).await;
    let response = client.send_request(Request::get("http://a/").body(empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    patiently(async {
        while !client.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn limits_of_a_head_hold_for_both_versions() {
    let config = Config { header_count_max: 10, target_bytes_max: 100, ..Config::default() };
    let host = start(config, vec![route("GET", "/{*rest}", echo)]);
    let mut client = connect(&host).await;
    let long = Request::get(format!("http://a/{}", "x".repeat(100))).body(empty()).unwrap();
    assert_eq!(client.send_request(long).await.unwrap().status(), 414);
    let mut many = Request::get("http://a/").body(empty()).unwrap();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] {
        many.headers_mut().insert(name, "1".parse().unwrap());
    }
    assert_eq!(client.send_request(many).await.unwrap().status(), 431);
    let fine = Request::get("http://a/").body(empty()).unwrap();
    assert_eq!(client.send_request(fine).await.unwrap().status(), 200);
}
