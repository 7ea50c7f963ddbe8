//! Subscriptions: server-sent events, and `graphql-transport-ws`.

use std::time::Duration;

use ::http::HeaderValue;
use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use wharf_call::{Upgrade, UpgradeOffer};

use super::*;

#[tokio::test]
async fn a_subscription_is_events_that_end_with_complete() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let body = r#"{"query":"subscription { w: watch(count: 2) { id } }"}"#;
    let (status, headers_got, got) =
        read(send(&door, request(Method::POST, "/", &headers, body)).await).await;
    assert_eq!(
        (status, &headers_got["content-type"]),
        (StatusCode::OK, &"text/event-stream; charset=utf-8".parse().unwrap())
    );
    let expected = "event: next\ndata: {\"data\":{\"w\":{\"id\":0}}}\n\nevent: next\ndata: {\"data\":{\"w\":{\"id\":1}}}\n\n\
                    event: complete\ndata:\n\n";
    assert_eq!(got, expected.as_bytes());
    let (_, _, got) =
        read(send(&door, request(Method::POST, "/", &headers, r#"{"query":"{ hello }"}"#)).await).await;
    assert_eq!(
        got,
        &b"event: next\ndata: {\"data\":{\"hello\":\"Hello\"}}\n\nevent: complete\ndata:\n\n"[..]
    );
    // A client that reads both gets events only where there are some.
    let both = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let (_, _, got) = read(send(&door, request(Method::POST, "/", &both, body)).await).await;
    assert_eq!(got, expected.as_bytes());
    let got = ask(&door, "subscription { watch(count: 2) { id } }").await;
    assert!(first_error(&got).contains("text/event-stream"));
}

struct Client(WebSocketStream<DuplexStream>);

impl Client {
    async fn connect(door: &GraphqlDoor, protocol: &str) -> Result<Self, StatusCode> {
        let headers = [
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", protocol),
        ];
        let mut request = request(Method::GET, "/graphql", &headers, "");
        request.extensions_mut().insert(UpgradeOffer(HeaderValue::from_static("websocket")));
        let response = send(door, request).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(response.status());
        }
        let run = response.extensions().get::<Upgrade>().unwrap().take().unwrap();
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(run(Box::new(theirs), Box::pin(std::future::pending())));
        Ok(Client(WebSocketStream::from_raw_socket(ours, Role::Client, None).await))
    }

    async fn ready(door: &GraphqlDoor) -> Self {
        let mut client = Client::connect(door, "graphql-transport-ws").await.unwrap();
        client.say(json!({ "type": "connection_init" })).await;
        assert_eq!(client.hear().await, json!({ "type": "connection_ack" }));
        client
    }

    async fn say(&mut self, message: Json) {
        self.0.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    async fn hear(&mut self) -> Json {
        match self.0.next().await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The code that the socket is closed with.
    async fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.0.next().await.unwrap().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }
}

#[tokio::test]
async fn operations_of_all_kinds_go_over_one_socket() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let mut client = Client::ready(&door).await;
    client.say(json!({ "type": "ping", "payload": { "a": 1 } })).await;
    assert_eq!(client.hear().await, json!({ "type": "pong", "payload": { "a": 1 } }));
    client.subscribe("1", "subscription { watch(count: 2) { id } }").await;
    for id in 0..2 {
        let next = json!({ "type": "next", "id": "1", "payload": { "data": { "watch": { "id": id } } } });
        assert_eq!(client.hear().await, next);
    }
    assert_eq!(client.hear().await, json!({ "type": "complete", "id": "1" }));
    client.subscribe("1", "{ hello }").await;
    let next = json!({ "type": "next", "id": "1", "payload": { "data": { "hello": "Hello" } } });
    assert_eq!(client.hear().await, next);
    assert_eq!(client.hear().await, json!({ "type": "complete", "id": "1" }));
    client.subscribe("2", "{ nothing }").await;
    let error = client.hear().await;
    assert_eq!(
        (&error["type"], &error["id"], error["payload"].is_array()),
        (&json!("error"), &json!("2"), true)
    );
    // Nothing follows an error: the next is the pong.
    client.say(json!({ "type": "ping" })).await;
    assert_eq!(client.hear().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_by_its_code() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let mut early = Client::connect(&door, "graphql-transport-ws").await.unwrap();
    early.subscribe("1", "{ hello }").await;
    assert_eq!(early.closed().await, 4401);
    let mut twice = Client::ready(&door).await;
    twice.say(json!({ "type": "connection_init" })).await;
    assert_eq!(twice.closed().await, 4429);
    for bad in [json!({ "type": "nonsense" }), json!({ "x": 1 }), json!([]), json!({ "type": "subscribe" })] {
        let mut client = Client::ready(&door).await;
        client.say(bad).await;
        assert_eq!(client.closed().await, 4400);
    }
    assert_eq!(Client::connect(&door, "graphql-ws").await.err(), Some(StatusCode::BAD_REQUEST));
}

/// A plugin whose stream never ends, and which knows whether somebody still listens.
fn endless() -> (Arc<Fake>, Arc<()>) {
    let listening = Arc::new(());
    let held = listening.clone();
    let functions = vec![function("ticks", &[], Output::Stream(Type::U32))];
    let fake = Fake::new("endless", schema(functions, vec![]), move |_, _| {
        let held = held.clone();
        let first = futures_util::stream::iter([Ok(Value::Unsigned(1))]);
        let rest = futures_util::stream::pending().map(move |value: Result<Value, Failure>| {
            let _ = &held;
            value
        });
        Ok(Reply::Stream(Box::pin(first.chain(rest))))
    });
    (fake, listening)
}

#[tokio::test(start_paused = true)]
async fn a_silent_subscription_has_a_comment_every_fifteen_seconds() {
    let (fake, _) = endless();
    let door = door(&[fake], &[], GraphqlConfig::default()).unwrap();
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let asked = request(Method::POST, "/", &headers, r#"{"query":"subscription { ticks }"}"#);
    let mut body = send(&door, asked).await.into_body();
    let began = tokio::time::Instant::now();
    let mut text = String::new();
    for _ in 0..4 {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    assert_eq!(text, "event: next\ndata: {\"data\":{\"ticks\":1}}\n\n:\n\n:\n\n:\n\n");
    assert_eq!(began.elapsed().as_secs(), 45);
}

#[tokio::test]
async fn an_id_is_used_once_at_a_time_and_complete_abandons_the_call() {
    let (fake, listening) = endless();
    let door = door(&[fake], &[], GraphqlConfig::default()).unwrap();
    let mut client = Client::ready(&door).await;
    client.subscribe("a", "subscription { ticks }").await;
    assert_eq!(client.hear().await["payload"]["data"]["ticks"], 1);
    assert_eq!(Arc::strong_count(&listening), 3);
    client.say(json!({ "type": "complete", "id": "a" })).await;
    client.say(json!({ "type": "ping" })).await;
    assert_eq!(client.hear().await, json!({ "type": "pong" }));
    client.say(json!({ "type": "ping" })).await;
    assert_eq!(client.hear().await, json!({ "type": "pong" }));
    assert_eq!(Arc::strong_count(&listening), 2, "nobody listens any more");
    client.subscribe("a", "subscription { ticks }").await;
    assert_eq!(client.hear().await["type"], "next");
    client.subscribe("a", "subscription { ticks }").await;
    assert_eq!(client.closed().await, 4409);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_begins_is_closed() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let mut client = Client::connect(&door, "graphql-transport-ws").await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(client.closed().await, 4408);
    assert_eq!(began.elapsed().as_secs(), Duration::from_secs(3).as_secs());
}

#[tokio::test]
async fn more_operations_than_there_may_be_close_the_socket() {
    let (fake, _) = endless();
    let socket = crate::SocketConfig { operations_max: 2, ..Default::default() };
    let door = door(&[fake], &[], GraphqlConfig { socket, ..GraphqlConfig::default() }).unwrap();
    let mut client = Client::ready(&door).await;
    for id in ["1", "2", "3"] {
        client.subscribe(id, "subscription { ticks }").await;
    }
    assert_eq!(client.closed().await, 4429);
}
