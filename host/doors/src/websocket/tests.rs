#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
use futures_util::{SinkExt, StreamExt};
use http::Request;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message as ClientMessage;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;
use crate::testing::{Room, Unbounded};

/// A handshake that is as it should be, but for what `change` does to it.
fn handshake(change: impl FnOnce(&mut Request<Body>)) -> Request<Body> {
    let mut request = Request::builder()
        .header("host", "api.example.com")
        .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .extension(UpgradeOffer(HeaderValue::from_static("WebSocket")))
        .body(Body::Empty)
        .unwrap();
    change(&mut request);
    request
}

fn accepted(request: &Request<Body>, protocols: &[&'static str]) -> Result<Response<Body>, Failure> {
    let memory: Arc<dyn Memory> = Arc::new(Unbounded);
    accept(request, protocols, SocketLimits::default(), &memory, |_, _| async {})
}

#[test]
fn the_handshake_of_rfc_6455_gives_the_answer_of_its_example() {
    let answer = accepted(&handshake(|_| {}), &[]).unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_handshake_that_is_not_one_is_refused_with_what_to_send() {
    type Change = fn(&mut Request<Body>);
    let rows: [(Change, &str); 4] = [
        (|request| drop(request.extensions_mut().remove::<UpgradeOffer>()), "upgrade: websocket"),
        (|request| *request.method_mut() = Method::POST, "send GET"),
        (|request| drop(request.headers_mut().insert(SEC_WEBSOCKET_VERSION, "8".parse().unwrap())), "13"),
        (
            |request| drop(request.headers_mut().insert(SEC_WEBSOCKET_KEY, "short".parse().unwrap())),
            "16 bytes",
        ),
    ];
    for (change, says) in rows {
        let failure = accepted(&handshake(change), &[]).unwrap_err();
        assert_eq!(failure.kind(), Kind::BadRequest);
        assert!(failure.public().contains(says), "{}", failure.public());
    }
}

#[test]
fn a_page_of_another_origin_is_refused_and_one_of_the_same_is_not() {
    let from = |origin: &'static str| {
        let request = handshake(|request| {
            request.headers_mut().insert(ORIGIN, HeaderValue::from_static(origin));
        });
        accepted(&request, &[]).map_err(|failure| failure.kind())
    };
    for origin in
        ["https://evil.example", "null", "https://api.example.com.evil.example", "http://api.example.com:81"]
    {
        assert_eq!(from(origin).unwrap_err(), Kind::Forbidden, "{origin}");
    }
    assert!(from("https://API.example.com").is_ok());
}

#[test]
fn the_protocol_is_the_clients_first_that_is_known() {
    let wants = |protocols: &'static str| {
        let request = handshake(|request| {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocols));
        });
        accepted(&request, &["b", "c"])
    };
    assert_eq!(wants("a, c, b").unwrap().headers()[SEC_WEBSOCKET_PROTOCOL], "c");
    let failure = wants("a").unwrap_err();
    assert!(failure.public().contains("b, c"), "{}", failure.public());
}

/// Both ends of a socket on which the host's end sends back what it gets, and when the host shuts down.
async fn echo(limits: SocketLimits) -> (WebSocketStream<DuplexStream>, oneshot::Sender<()>) {
    echo_within(Arc::new(Unbounded), limits).await
}

async fn echo_within(
    memory: Arc<dyn Memory>,
    limits: SocketLimits,
) -> (WebSocketStream<DuplexStream>, oneshot::Sender<()>) {
    let (client, server) = tokio::io::duplex(64 << 10);
    let (drain, drained) = oneshot::channel();
    let answer = accept(&handshake(|_| {}), &[], limits, &memory, |mut socket, _| async move {
        while let Some(message) = socket.next().await {
            socket.send(message).await;
        }
    });
    let upgrade = answer.unwrap().extensions_mut().remove::<Upgrade>().unwrap();
    let run = upgrade.take().unwrap();
    let draining = Box::pin(async move {
        if drained.await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    tokio::spawn(run(Box::new(server), draining));
    (WebSocketStream::from_raw_socket(client, Role::Client, None).await, drain)
}

/// The code that the host closes with.
async fn closed(client: &mut WebSocketStream<DuplexStream>) -> u16 {
    loop {
        match client.next().await.unwrap().unwrap() {
            ClientMessage::Close(Some(frame)) => return frame.code.into(),
            ClientMessage::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_and_one_beyond_the_limit_closes() {
    let (mut client, _drain) = echo(SocketLimits { message_bytes_max: 10, ..SocketLimits::default() }).await;
    client.send(ClientMessage::text("0123456789")).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), ClientMessage::text("0123456789"));
    client.send(ClientMessage::binary(vec![1, 2])).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), ClientMessage::binary(vec![1, 2]));
    client.send(ClientMessage::text("0123456789a")).await.unwrap();
    assert_eq!(closed(&mut client).await, 1009);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_is_asked_and_then_gone() {
    let (mut client, _drain) = echo(SocketLimits::default()).await;
    // It reads nothing, so it does not answer the ping.
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(closed(&mut client).await, 1001);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_shuts_down_says_so() {
    let (mut client, drain) = echo(SocketLimits::default()).await;
    drain.send(()).unwrap();
    assert_eq!(closed(&mut client).await, 1001);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_has_its_answer() {
    let (mut client, _drain) = echo(SocketLimits::default()).await;
    client.close(None).await.unwrap();
    assert!(matches!(client.next().await.unwrap().unwrap(), ClientMessage::Close(None)));
    assert!(client.next().await.is_none(), "and the connection is over in good order");
}

#[tokio::test]
async fn a_message_is_paid_for_and_one_that_there_is_no_memory_for_closes() {
    let room = Room::of(250_000);
    let (mut client, _drain) = echo_within(room.clone(), SocketLimits::default()).await;
    let say = |bytes: usize| ClientMessage::Text("x".repeat(bytes).into());
    client.send(say(1_000)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap().len(), 1_000);
    assert_eq!(room.left(), 250_000, "small ones are free");
    client.send(say(60_000)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap().len(), 60_000);
    let left = room.left();
    assert!((5_000..=10_000).contains(&left), "in and out, twice each: {left}");
    client.send(say(60_000)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap().len(), 60_000);
    assert_eq!(room.left(), left, "the buffers are there already");
    client.send(say(70_000)).await.unwrap();
    assert_eq!(closed(&mut client).await, 1013);
    drop(client);
    while room.left() < 250_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_there_is_no_memory_for_closes() {
    // Enough for what comes in, and not for what goes out.
    let (mut client, _drain) = echo_within(Room::of(130_000), SocketLimits::default()).await;
    client.send(ClientMessage::Text("x".repeat(50_000).into())).await.unwrap();
    assert_eq!(closed(&mut client).await, 1013);
}

#[tokio::test]
async fn fragments_that_do_not_end_are_paid_for() {
    let room = Room::of(100_000);
    let (mut client, _drain) = echo_within(room, SocketLimits::default()).await;
    let fragment =
        |op, bytes: usize| ClientMessage::Frame(Frame::message(vec![b'x'; bytes], OpCode::Data(op), false));
    client.send(fragment(Data::Text, 30_000)).await.unwrap();
    client.send(fragment(Data::Continue, 30_000)).await.unwrap();
    assert_eq!(closed(&mut client).await, 1013);
}
