//! Requests and responses as they are: gRPC-Web, what is no gRPC, broken frames, and two plugins at one door.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::Request;
use http_body_util::BodyExt;
use prost::Message;
use wharf_call::{
    Body, BoxFuture, Call, Failure, HttpService, Invocation, Kind, Output, Refused, Reply, Schema, Service,
    Type, Value,
};
use wharf_doors::testing::{Room, Unbounded};

use super::plugin::{Demo, door, invocation};
use super::wire::{Nothing, Number, text};
use super::{function, interface};
use crate::status::{ErrorInfo, RpcStatus};
use crate::{GrpcConfig, GrpcDoor};

fn request(content_type: &str, method: &str, body: Vec<u8>) -> Request<Body> {
    Request::post(format!("/demo.talk.v2.Chat/{method}"))
        .header("content-type", content_type)
        .body(Body::whole(body))
        .unwrap()
}

fn framed(message: impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
}

#[tokio::test]
async fn a_browser_gets_its_trailers_in_the_body() {
    let door = door(Demo::new());
    let request = |content_type: &str, body| request(content_type, "Count", body);
    let asked = framed(Number { n: 2 });
    let answered =
        door.call(request("application/grpc-web+proto", asked.clone()), invocation()).await.unwrap();
    assert_eq!(answered.headers()["content-type"], "application/grpc-web+proto");
    let body = answered.into_body().collect().await.unwrap().to_bytes();
    let trailers = b"grpc-status:0\r\n";
    let needed = [
        &framed(Number { n: 0 })[..],
        &framed(Number { n: 1 }),
        &[0x80, 0, 0, 0, trailers.len() as u8],
        trailers,
    ];
    assert_eq!(body, needed.concat());

    let answered = door
        .call(request("application/grpc-web-text", STANDARD.encode(&asked).into_bytes()), invocation())
        .await
        .unwrap();
    assert_eq!(answered.headers()["content-type"], "application/grpc-web-text+proto");
    let mut text = Vec::new();
    let mut body = answered.into_body();
    while let Some(frame) = body.frame().await {
        text.extend(STANDARD.decode(frame.unwrap().into_data().unwrap()).unwrap());
    }
    assert_eq!(text, needed.concat());
    let broken =
        door.call(request("application/grpc-web-text", b"====".to_vec()), invocation()).await.unwrap();
    assert_eq!(broken.headers()["grpc-status"], "3");
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so() {
    let door = door(Demo::new());
    // gRPC itself needs HTTP/2, and this request is of HTTP/1.1.
    for content_type in
        ["application/grpc", "application/json", "application/grpc+json", "application/grpcfoo"]
    {
        let answered = door.call(request(content_type, "Echo", Vec::new()), invocation()).await.unwrap();
        assert_eq!(answered.status(), 415, "{content_type}");
        assert!(answered.extensions().get::<Refused>().is_some());
    }
    let get = Request::get("/").header("content-type", "application/grpc-web").body(Body::Empty).unwrap();
    assert_eq!(door.call(get, invocation()).await.unwrap_err().kind().status(), 405);
}

#[tokio::test]
async fn frames_that_are_none_are_refused_at_their_first_bytes() {
    let door = door(Demo::new());
    for (body, status) in [
        (vec![], "12"),
        (vec![0, 0, 0], "3"),
        (vec![0, 0xff, 0xff, 0xff, 0xff, 1], "8"),
        (vec![0, 0, 0, 0, 9, 1], "3"),
        (vec![1, 0, 0, 0, 0], "13"),
        (vec![77, 0, 0, 0, 0], "3"),
        ([framed(text("a")), framed(text("b"))].concat(), "12"),
    ] {
        let shown = format!("{body:?}");
        let answered = door.call(request("application/grpc-web", "Echo", body), invocation()).await.unwrap();
        assert_eq!(answered.headers()["grpc-status"], status, "{shown}");
        assert!(answered.extensions().get::<Refused>().is_some());
    }
}

/// A plugin of the name with one function that returns the name.
struct Named(&'static str, Arc<Schema>);

impl Named {
    fn service(plugin: &'static str, name: &str) -> Arc<dyn Service> {
        let who = function("who", vec![], Output::Value(Type::String));
        let interfaces = vec![interface("demo:names", name, vec![who])];
        let schema = Schema { interfaces, types: Vec::new() };
        Arc::new(Named(plugin, schema.into()))
    }
}

impl Service for Named {
    fn plugin(&self) -> &str {
        self.0
    }

    fn generation(&self) -> u64 {
        1
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.1
    }

    fn invoke<'a>(&'a self, _: Call, _: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        let name = Value::String(self.0.repeat(10));
        Box::pin(async { Ok(Reply::Value(Some(name))) })
    }
}

fn names(bytes_max: usize) -> GrpcDoor {
    // The interfaces in another order than the plugins.
    let services = [Named::service("one", "zulu"), Named::service("two", "alpha")];
    let memory = Arc::new(Unbounded);
    let config = GrpcConfig { message_out_bytes_max: bytes_max, ..GrpcConfig::new(memory) };
    GrpcDoor::new(&services, config).unwrap()
}

fn who(service: &str) -> Request<Body> {
    Request::post(format!("/demo.names.{service}/Who"))
        .header("content-type", "application/grpc-web")
        .body(Body::whole(framed(Nothing {})))
        .unwrap()
}

#[tokio::test]
async fn every_interface_is_answered_by_the_plugin_that_exports_it() {
    let door = names(1 << 10);
    for (service, plugin) in [("Zulu", "one"), ("Alpha", "two")] {
        let answered = door.call(who(service), invocation()).await.unwrap();
        let body = answered.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(&framed(text(&plugin.repeat(10)))), "{body:?}");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_sent() {
    let answered = names(20).call(who("Zulu"), invocation()).await.unwrap();
    assert_eq!(answered.headers()["grpc-status"], "8");
    assert!(answered.headers()["grpc-message"].to_str().unwrap().contains("larger than 20 bytes"));
}

#[tokio::test]
async fn an_answer_that_there_is_no_memory_for_is_not_sent() {
    let room = Room::of(30_000);
    let services: [Arc<dyn Service>; 1] = [Arc::new(Demo::new())];
    let door = GrpcDoor::new(&services, GrpcConfig::new(room.clone())).unwrap();
    let ask = |method| {
        door.call(request("application/grpc-web", method, framed(text(&"x".repeat(20_000)))), invocation())
    };
    let no_memory = "grpc-message:The host has no memory for this answer now.";

    let first = ask("Echo").await.unwrap();
    assert!(room.left() < 10_000, "it is paid for while it is here");
    let second = ask("Echo").await.unwrap();
    assert_eq!(second.headers()["grpc-status"], "14");
    assert!(no_memory.ends_with(second.headers()["grpc-message"].to_str().unwrap()));
    // A stream has begun by then.
    let stream = ask("Chat").await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&stream).contains(no_memory), "{stream:?}");

    drop(first);
    assert_eq!(room.left(), 30_000);
    for method in ["Echo", "Chat"] {
        let body = ask(method).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(&framed(text(&"x".repeat(20_000)))), "{method}");
    }
}

#[test]
fn a_refusal_of_the_gateway_is_a_status_with_the_requests_id() {
    let failure = Failure::new(Kind::RateLimited, "Slow down.");
    let answered = door(Demo::new()).refuse(&failure, "id-9").unwrap();
    assert_eq!(
        (answered.status().as_u16(), &answered.headers()["grpc-status"]),
        (200, &"8".parse().unwrap())
    );
    let details = answered.headers()["grpc-status-details-bin"].as_bytes();
    let details = STANDARD_NO_PAD.decode(details).unwrap();
    let info = RpcStatus::decode(&details[..]).unwrap().details.remove(0);
    assert_eq!(ErrorInfo::decode(&info.value[..]).unwrap().metadata["request_id"], "id-9");
}
