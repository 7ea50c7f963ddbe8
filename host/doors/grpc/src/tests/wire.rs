//! Over a socket, with a stock client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::plugin::{Channel, Demo, connect, door};
use crate::status::{ErrorInfo, RetryInfo, RpcStatus};

/// `EchoRequest`, `FailRequest`, `ChatRequest`, and responses of text.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Text {
    #[prost(string, tag = "1")]
    pub(super) text: String,
}

/// `CountRequest`, and responses of numbers.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Number {
    #[prost(uint64, tag = "1")]
    pub(super) n: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SumRequest {
    #[prost(uint32, tag = "1")]
    start: u32,
    #[prost(uint32, optional, tag = "2")]
    item: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Nothing {}

pub(super) fn text(text: &str) -> Text {
    Text { text: text.into() }
}

fn path(method: &str) -> http::uri::PathAndQuery {
    format!("/demo.talk.v2.Chat/{method}").parse().unwrap()
}

async fn client() -> (Grpc<Channel>, Arc<AtomicUsize>) {
    let demo = Demo::new();
    let dropped = demo.dropped.clone();
    let mut client = Grpc::new(connect(door(demo)).await);
    client.ready().await.unwrap();
    (client, dropped)
}

async fn unary<A, B>(client: &mut Grpc<Channel>, method: &str, request: A) -> Result<Response<B>, Status>
where
    A: Message + Send + Sync + 'static,
    B: Message + Default + Send + Sync + 'static,
{
    client.ready().await.unwrap();
    client.unary(tonic::Request::new(request), path(method), ProstCodec::default()).await
}

async fn count(
    client: &mut Grpc<Channel>,
    request: tonic::Request<Number>,
) -> Result<Streaming<Number>, Status> {
    client.ready().await.unwrap();
    let answered = client.server_streaming(request, path("Count"), ProstCodec::default()).await?;
    Ok(answered.into_inner())
}

#[tokio::test]
async fn a_unary_call_is_answered() {
    let (mut client, _) = client().await;
    let answered: Response<Text> = unary(&mut client, "Echo", text("ahoy")).await.unwrap();
    assert_eq!(answered.get_ref().text, "ahoy");
    assert_eq!(answered.metadata().get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn a_declared_error_goes_along_typed_and_with_its_reason() {
    let (mut client, _) = client().await;
    let status = unary::<_, Text>(&mut client, "Fail", text("missing")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "not found."));
    let status = unary::<_, Text>(&mut client, "Fail", text("too\nlong")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "too\nlong"));
    let rich = RpcStatus::decode(status.details()).unwrap();
    assert_eq!((rich.code, rich.message.as_str()), (9, "too\nlong"));
    assert_eq!(rich.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = ErrorInfo::decode(&rich.details[0].value[..]).unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID", "wharf"));
    assert_eq!(info.metadata["plugin"], "demo");
    assert_eq!(info.metadata["request_id"], format!("{:032x}", 7));
    assert_eq!(rich.details[1].type_url, "type.googleapis.com/demo.talk.v2.Failure");
    // Case 2 of the variant.
    assert_eq!(rich.details[1].value, [&[2 << 3 | 2, 8][..], b"too\nlong"].concat());
}

#[tokio::test]
async fn a_client_is_told_when_to_come_back() {
    let (mut client, _) = client().await;
    let status = unary::<_, Text>(&mut client, "Fail", text("busy")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "é 100%"));
    let rich = RpcStatus::decode(status.details()).unwrap();
    let retry = RetryInfo::decode(&rich.details[1].value[..]).unwrap();
    assert_eq!(retry.retry_delay.unwrap().seconds, 3);
}

#[tokio::test]
async fn a_plugin_streams() {
    let (mut client, _) = client().await;
    let numbers = count(&mut client, tonic::Request::new(Number { n: 10_000 })).await.unwrap();
    let numbers: Vec<u64> = numbers.map(|number| number.unwrap().n).collect().await;
    assert_eq!(numbers, (0..10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_streams_after_the_parameters() {
    let (mut client, _) = client().await;
    let first = |item| SumRequest { start: 100, item };
    let next = |item| SumRequest { start: 0, item: Some(item) };
    for (requests, sum) in [
        (vec![first(None), next(1), next(2)], 103),
        (vec![first(Some(7)), next(1)], 108),
        (vec![first(None)], 100),
    ] {
        client.ready().await.unwrap();
        let request = tonic::Request::new(stream::iter(requests));
        let answered: Response<Number> =
            client.client_streaming(request, path("Sum"), ProstCodec::default()).await.unwrap();
        assert_eq!(answered.get_ref().n, sum);
    }
    for (requests, code) in
        [(vec![], Code::Unimplemented), (vec![first(None), first(None)], Code::InvalidArgument)]
    {
        client.ready().await.unwrap();
        let request = tonic::Request::new(stream::iter(requests));
        let answered: Result<Response<Number>, _> =
            client.client_streaming(request, path("Sum"), ProstCodec::default()).await;
        assert_eq!(answered.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn both_stream_and_neither_waits_for_the_others_end() {
    let (mut client, _) = client().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let said = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let answered: Response<Streaming<Text>> =
        client.streaming(tonic::Request::new(said), path("Chat"), ProstCodec::default()).await.unwrap();
    let mut answers = answered.into_inner();
    for word in ["a", "b", "c"] {
        sender.send(text(word)).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().text, word);
    }
    drop(sender);
    assert_eq!(answers.message().await.unwrap(), None);
}

/// Waits until the plugin's call is gone.
async fn gone(dropped: &AtomicUsize) {
    let wait = async {
        while dropped.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let (mut slow, dropped) = client().await;
    let call = unary::<_, Nothing>(&mut slow, "Slow", Nothing {});
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    gone(&dropped).await;

    let (mut client, dropped) = client().await;
    let mut numbers = count(&mut client, tonic::Request::new(Number { n: u32::MAX.into() })).await.unwrap();
    assert_eq!(numbers.message().await.unwrap().unwrap().n, 0);
    drop(numbers);
    gone(&dropped).await;
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_a_stream() {
    let (mut client, dropped) = client().await;
    let mut request = tonic::Request::new(Nothing {});
    request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
    let ended: Result<Response<Nothing>, _> =
        client.unary(request, path("Slow"), ProstCodec::default()).await;
    assert_eq!(ended.unwrap_err().code(), Code::DeadlineExceeded);
    gone(&dropped).await;

    let mut request = tonic::Request::new(Number { n: u32::MAX.into() });
    request.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let mut numbers = count(&mut client, request).await.unwrap();
    let ended = loop {
        if let Err(status) = numbers.message().await {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded);

    let mut request = tonic::Request::new(Number { n: 1 });
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    assert_eq!(count(&mut client, request).await.err().unwrap().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented() {
    let (mut client, _) = client().await;
    let status = unary::<_, Nothing>(&mut client, "Nowhere", Nothing {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_the_field_of_a_bad_one_named() {
    let (mut client, _) = client().await;
    let status = unary::<_, Text>(&mut client, "Echo", text(&"x".repeat(65 << 10))).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let status = unary::<_, Text>(&mut client, "Echo", Number { n: 5 }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("text: has the wire type"), "{status:?}");
}

#[tokio::test]
async fn messages_are_compressed_both_ways_and_a_bomb_does_not_go_off() {
    let demo = Demo::new();
    let client = Grpc::new(connect(door(demo)).await);
    let mut client =
        client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
    let long = "ahoy ".repeat(10_000);
    let answered: Response<Text> = unary(&mut client, "Echo", text(&long)).await.unwrap();
    assert_eq!(answered.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(answered.get_ref().text, long);
    // 8 MiB of zeros are 8 KiB on the wire.
    let bomb = unary::<_, Text>(&mut client, "Echo", text(&"\0".repeat(8 << 20))).await.unwrap_err();
    assert_eq!(bomb.code(), Code::ResourceExhausted, "{bomb:?}");
    assert!(bomb.message().contains("unfolds"), "{bomb:?}");
}

#[tokio::test]
async fn reflection_and_health_know_every_service() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Ask;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Said;
    let served = door(Demo::new());
    let names = served.service_names().to_vec();
    let channel = connect(served).await;
    let ask = |ask| ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let asked = vec![
        ask(Ask::ListServices(String::new())),
        ask(Ask::FileContainingSymbol("demo.talk.v2.Chat".into())),
        ask(Ask::FileByFilename("google/protobuf/empty.proto".into())),
    ];
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(stream::iter(asked)).await.unwrap().into_inner();
    let mut files = Vec::new();
    for answer in answers.map(|answer| answer.unwrap().message_response.unwrap()).collect::<Vec<_>>().await {
        match answer {
            Said::ListServicesResponse(list) => {
                let mut listed: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
                listed.sort();
                assert_eq!(listed, names);
                assert_eq!(listed.len(), 4, "{listed:?}");
            }
            Said::FileDescriptorResponse(file) => {
                let decode = |file: &Vec<u8>| prost_types::FileDescriptorProto::decode(&file[..]).unwrap();
                files.extend(file.file_descriptor_proto.iter().map(decode));
            }
            other => panic!("{other:?}"),
        }
    }
    files.reverse();
    let pool = prost_reflect::DescriptorPool::from_file_descriptor_set(prost_types::FileDescriptorSet {
        file: files,
    });
    assert_eq!(pool.unwrap().get_service_by_name("demo.talk.v2.Chat").unwrap().methods().count(), 6);

    use tonic_health::pb::HealthCheckRequest;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    for (service, known) in [("", true), ("demo.talk.v2.Chat", true), ("demo.talk.v2.Other", false)] {
        let answered = health.check(HealthCheckRequest { service: service.into() }).await;
        match answered {
            Ok(answered) => assert!(known && answered.get_ref().status == 1),
            Err(status) => assert!(!known && status.code() == Code::NotFound),
        }
    }
    let mut watched = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 1);
}
