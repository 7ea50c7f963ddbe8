//! Every kind of stream, and every way for one to end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use wharf_call::{Failure, Kind, Reply, Service, Value, ValueStream};
use wharf_engine::PluginConfig;
use wharf_harness::components;

use super::{all, config, invoke, plugin, sent, stream, text, value};

async fn service(config: PluginConfig) -> Arc<dyn Service> {
    plugin(components::STREAMS, config).await.service().unwrap()
}

fn numbers(numbers: impl IntoIterator<Item = u64>) -> Vec<Value> {
    numbers.into_iter().map(Value::Unsigned).collect()
}

fn row(id: u64) -> Value {
    Value::Record(vec![Value::Unsigned(id), text(&format!("row {id}"))])
}

fn rows(count: u64, fail_at: Option<u64>, trap_at: Option<u64>) -> Vec<Value> {
    let option = |n: Option<u64>| n.map_or(Value::NONE, |n| Value::some(Value::Unsigned(n)));
    vec![Value::Unsigned(count), option(fail_at), option(trap_at)]
}

fn good(items: Vec<Result<Value, Failure>>) -> Vec<Value> {
    items.into_iter().map(Result::unwrap).collect()
}

async fn number(service: &dyn Service, name: &str) -> u64 {
    match value(service, name, vec![]).await.unwrap() {
        Some(Value::Unsigned(number)) => number,
        other => panic!("{other:?} is no number"),
    }
}

/// A stream whose items the test sends, and whether somebody still reads it.
fn by_hand() -> (mpsc::Sender<Result<Value, Failure>>, ValueStream) {
    let (sender, mut receiver) = mpsc::channel(1);
    (sender, Box::pin(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx))))
}

#[tokio::test]
async fn a_stream_of_scalars_comes_out_item_by_item() {
    let service = service(config()).await;
    let counted = stream(&*service, "count", numbers([1_000]), None).await.unwrap();
    assert_eq!(good(all(counted).await), numbers(0..1_000));
    let words = stream(&*service, "words", vec![text("to be or")], None).await.unwrap();
    assert_eq!(good(all(words).await), ["to", "be", "or"].map(text));
    let failure = invoke(&*service, "words", vec![text("")], None).await.map(|_| ()).unwrap_err();
    assert_eq!((failure.kind(), failure.public()), (Kind::Unprocessable, "no text"));
}

#[tokio::test]
async fn a_stream_of_bytes_comes_out_in_pieces() {
    let service = service(config()).await;
    let pieces = stream(&*service, "download", numbers([300_000]), None).await.unwrap();
    let mut bytes = Vec::new();
    for piece in good(all(pieces).await) {
        let Value::Bytes(piece) = piece else { panic!("{piece:?}") };
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes.len(), 300_000);
    assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
}

#[tokio::test]
async fn an_instance_serves_on_after_its_streams_have_ended() {
    let service = service(config()).await;
    for _ in 0..3 {
        let rows = stream(&*service, "list-rows", rows(3, None, None), None).await.unwrap();
        assert_eq!(good(all(rows).await), [row(0), row(1), row(2)]);
        let counted = stream(&*service, "count", numbers([3]), None).await.unwrap();
        assert_eq!(good(all(counted).await), numbers(0..3));
    }
    // The instance comes back a moment after the end of its stream.
    let (mut calls, mut dropped) = (0, 0);
    for _ in 0..100 {
        (calls, dropped) = (number(&*service, "calls").await, number(&*service, "dropped").await);
        if dropped == 3 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(dropped, 3, "every resource was dropped");
    assert!(calls >= 7, "{calls} calls in one instance");
}

#[tokio::test]
async fn an_error_ends_a_stream_before_it_begins_or_in_its_middle() {
    let service = service(config()).await;
    let failure = invoke(&*service, "list-rows", rows(0, None, None), None).await.map(|_| ()).unwrap_err();
    assert_eq!(failure.kind(), Kind::NotFound);
    let cut = stream(&*service, "list-rows", rows(5, Some(2), None), None).await.unwrap();
    let mut items = all(cut).await;
    let last = items.pop().unwrap().unwrap_err();
    assert_eq!((last.kind(), last.public()), (Kind::Unprocessable, "row 2"));
    assert_eq!(good(items), [row(0), row(1)]);
}

#[tokio::test]
async fn a_trap_is_never_mistaken_for_the_end_of_a_stream() {
    let service = service(config()).await;
    let cut = stream(&*service, "list-rows", rows(5, None, Some(1)), None).await.unwrap();
    let mut items = all(cut).await;
    assert_eq!(items.pop().unwrap().unwrap_err().kind(), Kind::GuestTrapped);
    assert_eq!(good(items), [row(0)]);
    let cut = stream(&*service, "count-and-trap", vec![], None).await.unwrap();
    let mut items = all(cut).await;
    assert_eq!(items.pop().unwrap().unwrap_err().kind(), Kind::GuestTrapped);
    assert_eq!(good(items), numbers([0]));
}

#[tokio::test]
async fn items_are_made_when_they_are_asked_for_and_a_reader_may_leave_between_two() {
    let service = service(config()).await;
    let mut rows = stream(&*service, "list-rows", rows(1_000_000, None, None), None).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap(), row(0));
    assert_eq!(rows.next().await.unwrap().unwrap(), row(1));
    drop(rows);
    let mut dropped = 0;
    for _ in 0..1_000 {
        dropped = number(&*service, "dropped").await;
        if dropped == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(dropped, 1, "the instance has dropped the resource and serves on");
}

#[tokio::test]
async fn a_reader_that_leaves_a_guest_at_work_costs_the_instance() {
    let service = service(config()).await;
    let mut stuck = stream(&*service, "stuck", vec![], None).await.unwrap();
    assert_eq!(stuck.next().await.unwrap().unwrap(), row(0));
    assert!(tokio::time::timeout(Duration::from_millis(50), stuck.next()).await.is_err());
    drop(stuck);
    assert_eq!(number(&*service, "calls").await, 1);
    let mut counted = stream(&*service, "count", numbers([1_000_000]), None).await.unwrap();
    counted.next().await.unwrap().unwrap();
    drop(counted);
    assert_eq!(number(&*service, "dropped").await, 0);
}

#[tokio::test]
async fn a_silent_stream_is_cut() {
    let mut config = config();
    config.limits.stream_idle = Duration::from_millis(100);
    let service = service(config).await;
    let mut items = all(stream(&*service, "stuck", vec![], None).await.unwrap()).await;
    let cut = items.pop().unwrap().unwrap_err();
    assert_eq!(cut.kind(), Kind::Timeout);
    assert!(cut.private().unwrap().contains("stream_idle"), "{cut}");
    assert_eq!(good(items), [row(0)]);
}

#[tokio::test]
async fn a_stream_is_held_to_its_total_time() {
    let mut config = config();
    config.limits.stream_total = Duration::from_millis(100);
    let service = service(config).await;
    let rows = stream(&*service, "list-rows", rows(10, None, None), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let cut = all(rows).await.pop().unwrap().unwrap_err();
    assert_eq!(cut.kind(), Kind::Timeout);
    assert!(cut.private().unwrap().contains("stream_total"), "{cut}");
}

#[tokio::test]
async fn a_stream_is_held_to_its_total_size() {
    let mut config = config();
    config.limits.response_body_bytes = 100;
    let service = service(config).await;
    let counted = stream(&*service, "count", numbers([1_000]), None).await.unwrap();
    let mut items = all(counted).await;
    assert_eq!(items.pop().unwrap().unwrap_err().kind(), Kind::ResponseTooLarge);
    assert_eq!(good(items), numbers(0..12), "eight bytes each");
}

#[tokio::test]
async fn a_caller_streams_scalars_and_bytes() {
    let service = service(config()).await;
    let called = invoke(&*service, "sum", vec![], Some(sent(numbers(1..=100)))).await.unwrap();
    assert!(matches!(called, Reply::Value(Some(Value::Unsigned(5_050)))));
    let data: Vec<u8> = (0..100_000).map(|n| (n % 251) as u8).collect();
    let expected = data.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    let pieces = data.chunks(7_000).map(|piece| Value::Bytes(Bytes::copy_from_slice(piece))).collect();
    let called = invoke(&*service, "checksum", vec![], Some(sent(pieces))).await.unwrap();
    assert!(matches!(called, Reply::Value(Some(Value::Unsigned(sum))) if sum == expected));
}

#[tokio::test]
async fn a_caller_streams_records_to_a_resource() {
    let service = service(config()).await;
    let upload = |items| invoke(&*service, "start-upload", vec![], Some(sent(items)));
    assert!(matches!(upload(vec![row(1), row(2)]).await.unwrap(), Reply::Value(Some(Value::Unsigned(2)))));
    let empty = upload(vec![]).await.map(|_| ()).unwrap_err();
    assert_eq!(empty.kind(), Kind::NotFound);
    let bad = Value::Record(vec![Value::Unsigned(2), text("bad")]);
    let failure = upload(vec![row(1), bad, row(3)]).await.map(|_| ()).unwrap_err();
    assert_eq!(failure.public(), "row 2 is bad");
    let wrong = upload(vec![row(1), text("no row")]).await.map(|_| ()).unwrap_err();
    assert_eq!((wrong.kind(), wrong.public()), (Kind::BadRequest, "an item of the stream is not a row"));
}

#[tokio::test]
async fn a_callers_stream_that_breaks_off_is_not_taken_for_whole() {
    let service = service(config()).await;
    let broken = |items: Vec<Value>| -> ValueStream {
        let end = Err(Failure::new(Kind::RequestTimeout, "too slow"));
        Box::pin(futures_util::stream::iter(items.into_iter().map(Ok).chain([end])))
    };
    let sum = invoke(&*service, "sum", vec![], Some(broken(numbers([1, 2])))).await.map(|_| ()).unwrap_err();
    assert_eq!((sum.kind(), sum.public()), (Kind::RequestTimeout, "too slow"));
    let upload = invoke(&*service, "start-upload", vec![], Some(broken(vec![row(1)])));
    assert_eq!(upload.await.map(|_| ()).unwrap_err().kind(), Kind::RequestTimeout);
}

#[tokio::test]
async fn a_callers_stream_is_bounded() {
    let mut config = config();
    config.limits.request_body_bytes = 100;
    let service = service(config).await;
    let sum = invoke(&*service, "sum", vec![], Some(sent(numbers(0..100)))).await.map(|_| ()).unwrap_err();
    assert_eq!(sum.kind(), Kind::PayloadTooLarge);
    let upload = invoke(&*service, "start-upload", vec![], Some(sent((0..100).map(row).collect())));
    assert_eq!(upload.await.map(|_| ()).unwrap_err().kind(), Kind::PayloadTooLarge);
}

#[tokio::test]
async fn both_stream_scalars_at_once() {
    let service = service(config()).await;
    let (sender, input) = by_hand();
    let mut doubled = stream(&*service, "double", vec![], Some(input)).await.unwrap();
    for number in 0..10 {
        sender.send(Ok(Value::Unsigned(number))).await.unwrap();
        assert_eq!(doubled.next().await.unwrap().unwrap(), Value::Unsigned(number * 2));
    }
    drop(sender);
    assert!(doubled.next().await.is_none());
}

#[tokio::test]
async fn both_stream_through_a_resource_and_neither_waits_for_the_other() {
    let service = service(config()).await;
    let (sender, input) = by_hand();
    let mut chat = stream(&*service, "start-chat", vec![text("eve")], Some(input)).await.unwrap();
    // The guest waits for a line while it is asked for one.
    assert!(tokio::time::timeout(Duration::from_millis(50), chat.next()).await.is_err());
    for line in ["a", "b", "c"] {
        sender.send(Ok(text(line))).await.unwrap();
        assert_eq!(chat.next().await.unwrap().unwrap(), text(&format!("eve: {line}")));
    }
    drop(sender);
    assert!(chat.next().await.is_none());
    drop(chat);
    let (sender, input) = by_hand();
    let mut chat = stream(&*service, "start-chat", vec![text("eve")], Some(input)).await.unwrap();
    sender.send(Ok(text("bad"))).await.unwrap();
    assert_eq!(chat.next().await.unwrap().unwrap_err().public(), "mind your words");
    assert!(chat.next().await.is_none());
}

#[tokio::test]
async fn nobody_holds_on_to_a_callers_stream_when_the_call_is_over() {
    let service = service(config()).await;
    let (sender, input) = by_hand();
    let failure = invoke(&*service, "start-chat", vec![text("")], Some(input)).await.map(|_| ()).unwrap_err();
    assert_eq!(failure.kind(), Kind::Unprocessable);
    tokio::time::timeout(Duration::from_secs(10), sender.closed()).await.unwrap();
}
