//! How calls that return a value end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wharf_call::{Call, Deadline, Door, HttpService, Kind, LimitSet, Origin, Service, Value};
use wharf_engine::{Isolation, PluginConfig};
use wharf_harness::components;

use super::{config, function, invocation, invoke, plugin, text, value};

async fn service(config: PluginConfig) -> Arc<dyn Service> {
    plugin(components::STREAMS, config).await.service().unwrap()
}

fn number(value: Option<Value>) -> u64 {
    match value {
        Some(Value::Unsigned(number)) => number,
        other => panic!("{other:?} is no number"),
    }
}

/// How many calls the next instance has served.
async fn calls(service: &dyn Service) -> u64 {
    number(value(service, "calls", vec![]).await.unwrap())
}

#[tokio::test]
async fn functions_are_called_in_one_instance_one_after_the_other() {
    let service = service(config()).await;
    let sum = value(&*service, "add", vec![Value::Unsigned(2), Value::Unsigned(3)]).await.unwrap();
    assert_eq!(number(sum), 5);
    assert_eq!(value(&*service, "ping", vec![]).await.unwrap(), None);
    let greeting = value(&*service, "greet", vec![text("you")]).await.unwrap();
    assert_eq!(greeting, Some(text("hello you")));
    assert_eq!(calls(&*service).await, 4);
}

#[tokio::test]
async fn a_declared_error_is_an_answer_and_the_instance_serves_on() {
    let service = service(config()).await;
    let greet = async |name| value(&*service, "greet", vec![text(name)]).await.unwrap_err();
    let cases = [
        ("nobody", Kind::NotFound, "There is no such thing.", Value::Variant(0, None)),
        ("root", Kind::Conflict, "root is taken", Value::Variant(1, Some(Box::new(text("root is taken"))))),
        (
            "",
            Kind::Unprocessable,
            "a name has a letter",
            Value::Variant(2, Some(Box::new(text("a name has a letter")))),
        ),
    ];
    for (name, kind, said, error) in cases {
        let failure = greet(name).await;
        assert_eq!((failure.kind(), failure.public()), (kind, said), "{name:?}");
        assert_eq!(failure.error(), Some(&error), "{name:?}");
    }
    assert_eq!(value(&*service, "either", vec![Value::Bool(true)]).await.unwrap(), None);
    let failure = value(&*service, "either", vec![Value::Bool(false)]).await.unwrap_err();
    assert_eq!((failure.kind(), failure.error()), (Kind::Unprocessable, None));
    assert_eq!(calls(&*service).await, 4);
}

#[tokio::test]
async fn a_trap_costs_the_instance() {
    let service = service(config()).await;
    assert_eq!(calls(&*service).await, 1);
    let failure = value(&*service, "trap", vec![]).await.unwrap_err();
    assert_eq!((failure.kind(), failure.origin()), (Kind::GuestTrapped, Origin::Guest));
    assert_eq!(calls(&*service).await, 1, "a new instance");
}

#[tokio::test]
async fn a_guest_that_computes_too_long_is_ended() {
    let mut config = config();
    config.limits.cpu = Duration::from_millis(50);
    let service = service(config).await;
    let failure = value(&*service, "spin", vec![]).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::CpuExceeded);
    assert_eq!(calls(&*service).await, 1);
}

#[tokio::test]
async fn a_guest_that_waits_too_long_is_ended() {
    let mut config = config();
    config.limits.wall = Duration::from_millis(100);
    let service = service(config).await;
    let failure = value(&*service, "never", vec![]).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Timeout);
    let failure = value(&*service, "sleep", vec![Value::Unsigned(60_000)]).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Timeout);
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call() {
    let service = service(config()).await;
    let call = Call { function: function(&*service, "never"), args: vec![], input: None, door: Door::Grpc };
    let mut invocation = invocation();
    invocation.deadline = Deadline::at(Instant::now() + Duration::from_millis(50));
    let failure = service.invoke(call, invocation).await.map(|_| ()).unwrap_err();
    assert_eq!(failure.kind(), Kind::Timeout);
}

#[tokio::test]
async fn an_abandoned_call_costs_the_instance_and_nothing_else() {
    let service = service(config()).await;
    assert_eq!(calls(&*service).await, 1);
    let abandoned = tokio::time::timeout(Duration::from_millis(50), value(&*service, "never", vec![])).await;
    assert!(abandoned.is_err());
    assert_eq!(calls(&*service).await, 1, "a new instance");
}

#[tokio::test]
async fn arguments_are_bounded_by_what_they_take_in_memory() {
    let mut config = config();
    config.limits.argument_bytes = 64 << 10;
    let service = service(config.clone()).await;
    let data = |length: usize| vec![Value::Bytes(Bytes::from(vec![0; length]))];
    assert_eq!(number(value(&*service, "length", data(800)).await.unwrap()), 800);
    let failure = value(&*service, "length", data(2_000)).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::PayloadTooLarge);
    assert!(failure.private().unwrap().contains("argument_bytes = "), "{failure}");

    config.limits.observed = LimitSet::EMPTY.with(wharf_call::LimitKey::ArgumentBytes);
    let service = self::service(config).await;
    assert_eq!(number(value(&*service, "length", data(2_000)).await.unwrap()), 2_000);
}

#[tokio::test]
async fn what_a_function_returns_is_bounded_as_it_is_copied() {
    let mut config = config();
    config.limits.hostcall_bytes = 64 << 10;
    let service = service(config).await;
    let Some(Value::Bytes(bytes)) = value(&*service, "make", vec![Value::Unsigned(1_000)]).await.unwrap()
    else {
        panic!("no bytes")
    };
    assert_eq!(bytes.len(), 1_000);
    let failure = value(&*service, "make", vec![Value::Unsigned(100_000)]).await.unwrap_err();
    assert!(failure.private().unwrap().contains("limits.hostcall_bytes"), "{failure}");
}

#[tokio::test]
async fn isolation_by_request_gives_every_call_a_new_instance() {
    let mut config = config();
    config.pool.isolation = Isolation::Request;
    let service = service(config).await;
    assert_eq!(calls(&*service).await, 1);
    assert_eq!(calls(&*service).await, 1);
}

#[tokio::test]
async fn a_function_without_its_stream_and_one_with_too_many_are_refused() {
    let service = service(config()).await;
    let failure = invoke(&*service, "sum", vec![], None).await.map(|_| ()).unwrap_err();
    assert_eq!(failure.kind(), Kind::BadRequest);
    let failure = invoke(&*service, "ping", vec![], Some(super::sent(vec![]))).await.map(|_| ()).unwrap_err();
    assert_eq!(failure.kind(), Kind::BadRequest);
}

#[tokio::test]
async fn a_service_takes_no_http_requests() {
    let plugin = plugin(components::STREAMS, config()).await;
    let request = http::Request::new(wharf_call::Body::Empty);
    let failure = plugin.call(request, invocation()).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::NotImplemented);
}

#[tokio::test]
async fn a_plugin_without_interfaces_of_its_own_has_no_service() {
    assert!(plugin(components::RAW_HANDLER, config()).await.service().is_none());
}

#[tokio::test]
async fn the_service_of_a_generation_stays_when_another_is_swapped_in() {
    let plugin = plugin(components::STREAMS, config()).await;
    let old = plugin.service().unwrap();
    let candidate = plugin.prepare(config(), plugin.artifact(), "test").await.unwrap();
    let new = candidate.service().unwrap();
    plugin.swap(candidate);
    assert_eq!((old.generation(), new.generation()), (1, 2));
    assert_eq!(plugin.service().unwrap().generation(), 2);
    for service in [old, new] {
        assert_eq!(value(&*service, "ping", vec![]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn several_calls_at_once_have_an_instance_each_whatever_the_concurrency() {
    let mut config = config();
    config.pool.concurrency = 4;
    let service = service(config).await;
    assert_eq!(calls(&*service).await, 1);
    assert_eq!(calls(&*service).await, 2);
    let nap = || value(&*service, "sleep", vec![Value::Unsigned(50)]);
    let (a, b, c) = tokio::join!(nap(), nap(), nap());
    assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (None, None, None));
}
