//! What goes with a call beside its arguments, in and out.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use http::{HeaderMap, HeaderName};
use wharf_call::{
    Call, Deadline, Door, Failure, Kind, LimitKey, LimitSet, Metadata, Reply, Service, Value, ValueStream,
};
use wharf_engine::PluginConfig;
use wharf_harness::components;

use super::{config, function, invocation, plugin, sent, text};

async fn service(config: PluginConfig) -> std::sync::Arc<dyn Service> {
    plugin(components::GREETER_SERVICE, config).await.service().unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn header(name: &str, value: &[u8]) -> Value {
    Value::Record(vec![text(name), Value::Bytes(value.to_vec().into())])
}

async fn call(
    service: &dyn Service,
    name: &str,
    args: Vec<Value>,
    input: Option<ValueStream>,
    metadata: &Metadata,
) -> Result<Reply, Failure> {
    let call = Call { function: function(service, name), args, input, door: Door::Grpc };
    let mut invocation = invocation();
    invocation.deadline = Deadline::at(Instant::now() + Duration::from_secs(30));
    invocation.metadata = metadata.clone();
    service.invoke(call, invocation).await
}

fn value(reply: Reply) -> Value {
    match reply {
        Reply::Value(Some(value)) => value,
        _ => panic!("no value"),
    }
}

/// What a response would have of it.
fn answered(metadata: &Metadata) -> Vec<(String, String)> {
    let mut response = HeaderMap::new();
    metadata.write_answer(&mut response);
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    response.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn one(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

/// What the function `answer` says became of setting each of `fields`.
async fn outcomes(service: &dyn Service, fields: Vec<Value>, metadata: &Metadata) -> Vec<String> {
    let reply = call(service, "answer", vec![Value::List(fields)], None, metadata).await.unwrap();
    let Value::List(outcomes) = value(reply) else { panic!("a list") };
    let text = |value| match value {
        Value::String(text) => text,
        other => panic!("{other:?}"),
    };
    outcomes.into_iter().map(text).collect()
}

#[tokio::test]
async fn a_guest_sees_who_calls_and_what_came_along() {
    let service = service(config()).await;
    let sent =
        headers(&[("x-user", "ann"), ("key-bin", "AP8="), ("content-type", "a/b"), ("grpc-timeout", "1S")]);
    let Value::Record(known) =
        value(call(&*service, "who", vec![], None, &Metadata::of(sent)).await.unwrap())
    else {
        panic!("a record")
    };
    assert_eq!(known[0], text(invocation().request_id.as_str()));
    assert_eq!(known[1], text("/"));
    let Value::Unsigned(deadline_ms) = known[2] else { panic!("a number") };
    assert!((1..=30_000).contains(&deadline_ms), "{deadline_ms}");
    assert_eq!(known[3], Value::List(vec![header("x-user", b"ann"), header("key-bin", &[0, 255])]));
    // The next call in the same instance has nothing of it.
    let next = call(&*service, "who", vec![], None, &Metadata::default()).await.unwrap();
    let Value::Record(known) = value(next) else { panic!("a record") };
    assert_eq!(known[3], Value::List(vec![]));
}

#[tokio::test]
async fn what_a_guest_sets_goes_with_its_value_its_error_its_stream_and_its_summary() {
    let service = service(config()).await;
    let metadata = || Metadata::of(HeaderMap::new());
    let field = || header("x-tag", b"1");

    let of = metadata();
    assert_eq!(outcomes(&*service, vec![field(), header("raw-bin", &[0, 255])], &of).await, ["", ""]);
    assert_eq!(answered(&of), [one("x-tag", "1"), one("raw-bin", "AP8")].concat());

    for (function, kind) in [("refuse", Kind::NotFound), ("fail", Kind::Unprocessable)] {
        let of = metadata();
        let failure = call(&*service, function, vec![field()], None, &of).await.map(drop).unwrap_err();
        assert_eq!((failure.kind(), answered(&of)), (kind, one("x-tag", "1")));
    }

    let of = metadata();
    let Ok(Reply::Stream(stream)) = call(&*service, "answer-late", vec![field()], None, &of).await else {
        panic!("a stream")
    };
    assert_eq!(answered(&of), one("x-tag", "1"));
    let items: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert_eq!(items, [text("TooLate"), text("TooLate")]);
    assert_eq!(answered(&of), []);

    let of = metadata();
    let input = sent(vec![field(), header("x-tag", b"2")]);
    let last = call(&*service, "answer-each", vec![], Some(input), &of).await.unwrap();
    assert_eq!(value(last), text(""));
    assert_eq!(answered(&of), [one("x-tag", "1"), one("x-tag", "2")].concat());

    let of = metadata();
    let failure = call(&*service, "crash", vec![field()], None, &of).await.map(drop).unwrap_err();
    assert_eq!((failure.kind(), answered(&of)), (Kind::GuestTrapped, vec![]));
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_with_the_reason() {
    let mut config = config();
    config.limits.response_header_count = 2;
    config.limits.response_header_bytes = 100;
    let service = service(config.clone()).await;
    let alone = Metadata::of(HeaderMap::new());
    let fields = vec![
        header("content-type", b"text/html"),
        header("X-Tag", b"1"),
        header("x-tag", b"\n"),
        header("x-long", &[b'x'; 100]),
        header("long-bin", &[0; 80]),
        header("x-a", b"1"),
        header("x-b", b"2"),
        header("x-c", b"3"),
    ];
    let told = outcomes(&*service, fields, &alone).await;
    for (outcome, says) in told.iter().zip([
        "Reserved(\"\\\"content-type\\\" says how the door",
        "Invalid(\"\\\"X-Tag\\\" is no name",
        "Invalid(\"the value of \\\"x-tag\\\"",
        "TooMuch(\"limits.response_headers is 100B",
        "TooMuch(\"limits.response_headers is 100B",
        "",
        "",
        "TooMuch(\"limits.response_header_count is 2; 3 were asked for",
    ]) {
        assert!(outcome.starts_with(says) && outcome.is_empty() == says.is_empty(), "{outcome} for {says}");
    }
    assert_eq!(answered(&alone), [one("x-a", "1"), one("x-b", "2")].concat());

    let shared = alone.without_answer();
    assert_eq!(outcomes(&*service, vec![header("x-a", b"1")], &shared).await, ["NotCarried"]);
    let start = call(&*service, "at-start", vec![], None, &shared).await.unwrap();
    assert_eq!(value(start), text("false 0 NoCall"));

    config.limits.observed = LimitSet::EMPTY.with(LimitKey::ResponseHeaderCount);
    let service = self::service(config).await;
    let fields = ["x-a", "x-b", "x-c"].map(|name| header(name, b"1")).to_vec();
    assert_eq!(outcomes(&*service, fields, &alone).await, ["", "", ""]);
}

#[tokio::test]
async fn more_than_a_plugin_takes_with_a_request_is_refused_before_it_is_called() {
    let mut config = config();
    config.limits.request_header_count = Some(1);
    let service = service(config).await;
    let few = Metadata::of(headers(&[("x-a", "1")]));
    assert!(call(&*service, "who", vec![], None, &few).await.is_ok());
    let many = Metadata::of(headers(&[("x-a", "1"), ("x-b", "2")]));
    let failure = call(&*service, "who", vec![], None, &many).await.map(drop).unwrap_err();
    assert_eq!(failure.kind(), Kind::HeadersTooLarge);
}
