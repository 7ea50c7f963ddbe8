#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use futures_util::{SinkExt, StreamExt};
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message as Wire, Role};
use wharf_call::{Body, Failure, HttpService, Kind, Refused, Upgrade, UpgradeOffer};

use super::{JsonRpcConfig, JsonRpcDoor};
use crate::DoorConfig;
use crate::testing::{Room, invocation};
use crate::tests_demo::{config, plugin, talkative, versioned};

fn door() -> JsonRpcDoor {
    let config = JsonRpcConfig { batch_max: 3, streams_max: 2, ..JsonRpcConfig::new(config()) };
    JsonRpcDoor::new(&[plugin("users")], config).unwrap()
}

async fn ask(door: &JsonRpcDoor, body: &str) -> Option<String> {
    let request = Request::builder().method("POST").uri("/jsonrpc").header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::whole(body.to_owned())).unwrap();
    let response = door.call(request, invocation(&[])).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (!bytes.is_empty()).then(|| String::from_utf8(bytes.to_vec()).unwrap())
}

fn failed(code: i64, message: &str, kind: &str, id: &str) -> String {
    let message = json!(message);
    format!(
        r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":{message},"data":{{"kind":"{kind}","request_id":"test"}}}},"id":{id}}}"#
    )
}

const ADA: &str = r#"{"userId":"7","name":"Ada","nick":null}"#;

#[tokio::test]
async fn calls_are_answered_as_the_specification_has_it() {
    let door = door();
    let ada = |id: &str| format!(r#"{{"jsonrpc":"2.0","result":{ADA},"id":{id}}}"#);
    let bad = |text: &str| failed(-32600, text, "bad_request", "null");
    let rows = [
        (r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":{"userId":"7"},"id":1}"#, ada("1")),
        (r#"{"id":"a\"b","params":[7],"method":"accounts.getUser","jsonrpc":"2.0"}"#, ada(r#""a\"b""#)),
        (r#"{"jsonrpc":"2.0","method":"demo.users.v1.accounts.getUser","params":{"userId":"7"},"id":null}"#, ada("null")),
        (r#"{"jsonrpc":"2.0","method":"accounts.deleteUser","params":[7],"id":2}"#, r#"{"jsonrpc":"2.0","result":null,"id":2}"#.into()),
        (
            r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":[404],"id":3}"#,
            r#"{"jsonrpc":"2.0","error":{"code":404,"message":"There is no such user.","data":{"kind":"not_found","request_id":"test","error":"notFound"}},"id":3}"#.into(),
        ),
        (r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":[500],"id":3}"#, failed(500, "The plugin failed.", "guest_trapped", "3")),
        (r#"{"jsonrpc":"2.0","method":"accounts.getUser","id":3}"#, failed(-32602, "userId: is missing; expected a string with a whole number from 0, of 64 bits", "bad_request", "3")),
        (r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":{"userID":1},"id":3}"#, failed(-32602, "userID: is not known here; did you mean \"userId\"?", "bad_request", "3")),
        (r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":[1,2],"id":3}"#, failed(-32602, "there are 1 parameters, and more values", "bad_request", "3")),
        (r#"{"jsonrpc":"2.0","method":"accounts.getUsr","id":4}"#, failed(-32601, "There is no method \"accounts.getUsr\"; did you mean \"accounts.getUser\"?", "not_found", "4")),
        (r#"{"jsonrpc":"2.0","method":"accounts.watch","params":[1],"id":5}"#, failed(501, "This method streams: call it by itself over WebSocket at this address, with an id, or with REST or gRPC.", "not_implemented", "5")),
        (r#"{"jsonrpc":"2.0","method":"accounts.sum","params":[1],"id":5}"#, failed(501, "This method takes a stream, which JSON-RPC has no form for: call it with REST or gRPC.", "not_implemented", "5")),
        ("{", failed(-32700, "This is not JSON: EOF while parsing an object at line 1 column 1", "bad_request", "null")),
        ("1", bad("A request is an object.")),
        ("[]", bad("A batch has at least one call.")),
        ("[1,2,3,4]", bad("A batch has at most 3 calls.")),
        (r#"{"method":"x","id":1}"#, failed(-32600, "`jsonrpc` has to be \"2.0\".", "bad_request", "1")),
        (r#"{"jsonrpc":"2.0","id":1}"#, failed(-32600, "`method` has to be a string.", "bad_request", "1")),
        (r#"{"jsonrpc":"2.0","method":"x","params":1,"id":1}"#, failed(-32600, "`params` has to be an object or an array.", "bad_request", "1")),
        (r#"{"jsonrpc":"2.0","method":"x","id":{}}"#, bad("`id` has to be a string, a number or null.")),
    ];
    for (body, answer) in rows {
        assert_eq!(ask(&door, body).await.as_ref(), Some(&answer), "{body}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_without_the_notifications() {
    let door = door();
    let batch = r#"[{"jsonrpc":"2.0","method":"accounts.getUser","params":[7],"id":1},
        {"jsonrpc":"2.0","method":"accounts.deleteUser","params":[7]}, 1]"#;
    let invalid = failed(-32600, "A request is an object.", "bad_request", "null");
    assert_eq!(
        ask(&door, batch).await.unwrap(),
        format!(r#"[{{"jsonrpc":"2.0","result":{ADA},"id":1}},{invalid}]"#)
    );
    assert_eq!(ask(&door, r#"{"jsonrpc":"2.0","method":"accounts.nothing"}"#).await, None);
    assert_eq!(ask(&door, r#"[{"jsonrpc":"2.0","method":"accounts.deleteUser","params":[7]}]"#).await, None);
}

#[tokio::test]
async fn a_hundred_thousand_nested_arrays_are_refused() {
    let door = JsonRpcDoor::new(
        &[plugin("users")],
        JsonRpcConfig::new(crate::DoorConfig { body_bytes_max: 1 << 20, ..config() }),
    )
    .unwrap();
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body =
        format!(r#"{{"jsonrpc":"2.0","method":"accounts.search","params":{{"names":{nested}}},"id":1}}"#);
    let answer = failed(-32602, "names[0]: expected a string, got an array", "bad_request", "1");
    assert_eq!(ask(&door, &body).await.unwrap(), answer);
    assert_eq!(
        ask(&door, &nested).await.unwrap(),
        format!("[{}]", failed(-32600, "A request is an object.", "bad_request", "null"))
    );
}

#[tokio::test]
async fn what_is_refused_before_it_is_read_is_a_json_rpc_error_too() {
    let door = door();
    let plain = Request::builder().method("POST").uri("/").header(CONTENT_TYPE, "text/plain");
    let failure = door.call(plain.body(Body::Empty).unwrap(), invocation(&[])).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::UnsupportedMediaType);
    let get = Request::builder().method("GET").uri("/").body(Body::Empty).unwrap();
    let failure = door.call(get, invocation(&[])).await.unwrap_err();
    let response = door.refuse(&failure, "test").unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = "Send JSON-RPC with POST, or open a WebSocket here.";
    assert_eq!(body, failed(405, text, "method_not_allowed", "null"));
    let call = r#"{"jsonrpc":"2.0","method":"x","id":1}"#;
    let request = Request::builder().method("POST").uri("/").header(CONTENT_TYPE, "application/json");
    let response = door.call(request.body(Body::whole(call)).unwrap(), invocation(&[])).await.unwrap();
    assert_eq!(response.extensions().get::<Refused>().unwrap().0.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_short_name_that_two_versions_have_is_served_in_full_only() {
    let services = [plugin("users"), versioned("users-next", "2.0.0")];
    let door = JsonRpcDoor::new(&services, JsonRpcConfig::new(config())).unwrap();
    let text = "Several methods are called accounts.getUser: use one of demo.users.v1.accounts.getUser, \
                demo.users.v2.accounts.getUser.";
    let call = r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":[7],"id":1}"#;
    assert_eq!(ask(&door, call).await.unwrap(), failed(-32601, text, "not_found", "1"));
    let call = r#"{"jsonrpc":"2.0","method":"demo.users.v2.accounts.getUser","params":[7],"id":1}"#;
    assert!(ask(&door, call).await.unwrap().contains(ADA));
    assert!(JsonRpcDoor::new(&[plugin("a"), plugin("b")], JsonRpcConfig::new(config())).is_err());
}

#[tokio::test]
async fn the_methods_are_listed() {
    let door = door();
    let answer = ask(&door, r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).await.unwrap();
    let answer: Json = serde_json::from_str(&answer).unwrap();
    let document = &answer["result"];
    assert_eq!(*document, door.document());
    assert_eq!(document["openrpc"], "1.3.2");
    let names: Vec<_> = document["methods"].as_array().unwrap().iter().map(|m| m["name"].as_str()).collect();
    let methods = ["getUser", "putUser", "deleteUser", "search", "watch"];
    assert_eq!(names, methods.map(|name| format!("accounts.{name}")).each_ref().map(|name| Some(&**name)));
    assert_eq!(document["methods"][2]["deprecated"], true);
    assert_eq!(document["methods"][0]["result"]["schema"]["$ref"], "#/components/schemas/User");
}

/// A client, and the host's end on a task of its own.
async fn connect(door: &JsonRpcDoor) -> WebSocketStream<tokio::io::DuplexStream> {
    let request = Request::builder()
        .uri("/jsonrpc")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .extension(UpgradeOffer("websocket".parse().unwrap()));
    let response = door.call(request.body(Body::Empty).unwrap(), invocation(&[])).await.unwrap();
    assert_eq!(response.status(), 101);
    let run = response.extensions().get::<Upgrade>().unwrap().take().unwrap();
    let (ours, theirs) = tokio::io::duplex(1024);
    tokio::spawn(run(Box::new(theirs), Box::pin(std::future::pending())));
    WebSocketStream::from_raw_socket(ours, Role::Client, None).await
}

async fn exchange(client: &mut WebSocketStream<tokio::io::DuplexStream>, call: &str, answers: &[&str]) {
    client.send(Wire::text(call)).await.unwrap();
    for answer in answers {
        let message = client.next().await.unwrap().unwrap();
        assert_eq!(message.to_text().unwrap(), *answer, "{call}");
    }
}

#[tokio::test]
async fn a_socket_carries_calls_and_streams() {
    let door = door();
    let mut client = connect(&door).await;
    let ada = |id: u32| ADA.replace('7', &id.to_string());
    let call = r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":[7],"id":1}"#;
    exchange(&mut client, call, &[&format!(r#"{{"jsonrpc":"2.0","result":{ADA},"id":1}}"#)]).await;
    let next = |stream: u32, id: u32| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"rpc.next","params":{{"stream":{stream},"item":{}}}}}"#,
            ada(id)
        )
    };
    let watch = r#"{"jsonrpc":"2.0","method":"accounts.watch","params":{"count":2},"id":"w"}"#;
    let begun = r#"{"jsonrpc":"2.0","result":{"stream":1},"id":"w"}"#;
    let end = r#"{"jsonrpc":"2.0","method":"rpc.end","params":{"stream":1}}"#;
    exchange(&mut client, watch, &[begun, &next(1, 0), &next(1, 1), end]).await;

    let watch = r#"{"jsonrpc":"2.0","method":"accounts.watch","params":{"count":3},"id":"w"}"#;
    let begun = r#"{"jsonrpc":"2.0","result":{"stream":2},"id":"w"}"#;
    let end = r#"{"jsonrpc":"2.0","method":"rpc.end","params":{"stream":2,"error":{"code":504,"message":"Too late.","data":{"kind":"timeout","request_id":"test"}}}}"#;
    exchange(&mut client, watch, &[begun, &next(2, 0), &next(2, 1), end]).await;

    let cancel = r#"{"jsonrpc":"2.0","method":"rpc.cancel","params":{"stream":2},"id":9}"#;
    exchange(&mut client, cancel, &[r#"{"jsonrpc":"2.0","result":false,"id":9}"#]).await;
    exchange(
        &mut client,
        "x",
        &[&failed(-32700, "This is not JSON: expected value at line 1 column 1", "bad_request", "null")],
    )
    .await;
    client.close(None).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_cancelled_says_no_more() {
    use crate::testing::fake;
    let schema = crate::tests_demo::schema("1.2.0");
    let endless = fake("users", schema, |_| async {
        let first = futures_util::stream::iter([Ok::<_, Failure>(crate::tests_demo::user(7))]);
        Ok(wharf_call::Reply::Stream(Box::pin(first.chain(futures_util::stream::pending()))))
    });
    let config = JsonRpcConfig { streams_max: 1, ..JsonRpcConfig::new(config()) };
    let door = JsonRpcDoor::new(&[endless], config).unwrap();
    let mut client = connect(&door).await;
    let watch = r#"{"jsonrpc":"2.0","method":"accounts.watch","params":[1],"id":1}"#;
    let begun = r#"{"jsonrpc":"2.0","result":{"stream":1},"id":1}"#;
    let next = format!(r#"{{"jsonrpc":"2.0","method":"rpc.next","params":{{"stream":1,"item":{ADA}}}}}"#);
    exchange(&mut client, watch, &[begun, &next]).await;
    let many =
        failed(429, "There are as many streams on this socket as may be: cancel one.", "rate_limited", "1");
    exchange(&mut client, watch, &[&many]).await;
    let cancel = r#"{"jsonrpc":"2.0","method":"rpc.cancel","params":{"stream":1},"id":2}"#;
    exchange(&mut client, cancel, &[r#"{"jsonrpc":"2.0","result":true,"id":2}"#]).await;
    exchange(&mut client, cancel, &[r#"{"jsonrpc":"2.0","result":false,"id":2}"#]).await;
}

#[tokio::test]
async fn an_answer_that_there_is_no_memory_for_is_not_sent() {
    let memory = Room::of(10_000);
    let config = JsonRpcConfig::new(DoorConfig { memory, ..config() });
    let door = JsonRpcDoor::new(&[talkative()], config).unwrap();
    let body = r#"{"jsonrpc":"2.0","method":"accounts.getUser","params":[7],"id":1}"#;
    let request = Request::post("/jsonrpc").header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::whole(body)).unwrap();
    let refused = door.call(request, invocation(&[])).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.public()),
        (Kind::Overloaded, "The host has no memory for this answer now.")
    );
}
