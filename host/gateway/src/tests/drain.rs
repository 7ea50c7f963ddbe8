use super::*;

/// A plugin that says when it was called and answers when it is told to.
fn held() -> (RouteSpec, mpsc::Receiver<tokio::sync::oneshot::Sender<()>>) {
    let (called, calls) = mpsc::channel(8);
    let spec = route("GET", "/", move |_, _| {
        let called = called.clone();
        async move {
            let (release, released) = tokio::sync::oneshot::channel();
            called.send(release).await.unwrap();
            let _ = released.await;
            Ok(Response::new(Body::whole("done")))
        }
    });
    (spec, calls)
}

#[tokio::test]
async fn requests_in_flight_finish_and_idle_clients_are_let_go() {
    let (spec, mut calls) = held();
    let host = start(Config::default(), vec![spec, route("GET", "/idle", echo)]);
    let mut idle = host.connect().await;
    idle.write_all(b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "\r\n\r\n").await;
    let mut busy = host.connect().await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let release = patiently(calls.recv()).await.unwrap();

    let address = host.address;
    let drain = tokio::spawn(host.gateway.drain(PATIENCE));
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    release.send(()).unwrap();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("done"), "{answer}");
    let drained = patiently(drain).await.unwrap();
    assert_eq!(drained, crate::Drained { finished: true, connections_cut: 0 });
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_and_counted() {
    let (spec, mut calls) = held();
    let host = start(Config::default(), vec![spec]);
    let mut stream = host.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut release = patiently(calls.recv()).await.unwrap();
    let drained = patiently(host.gateway.drain(Duration::from_millis(50))).await;
    assert_eq!(drained, crate::Drained { finished: false, connections_cut: 1 });
    assert_eq!(read_to_end(&mut stream).await, "");
    patiently(release.closed()).await;
}

#[tokio::test]
async fn dropping_the_gateway_stops_everything() {
    let (spec, mut calls) = held();
    let host = start(Config::default(), vec![spec]);
    let mut http1 = host.connect().await;
    http1.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = patiently(calls.recv()).await.unwrap();
    let mut http2 = super::http2::connect(&host).await;
    let request = Request::get("http://a/").body(http_body_util::Empty::new().boxed_unsync()).unwrap();
    let answer = tokio::spawn(async move { http2.send_request(request).await.map(|_| ()) });
    let mut second = patiently(calls.recv()).await.unwrap();
    drop(host.gateway);
    assert_eq!(read_to_end(&mut http1).await, "");
    assert!(patiently(answer).await.unwrap().is_err());
    patiently(first.closed()).await;
    patiently(second.closed()).await;
}
