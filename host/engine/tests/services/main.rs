//! Typed calls, from the port that the doors use down into real components, in this process.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(missing_docs, reason = "nobody depends on a test")]

#[path = "../../benches/engine/ports.rs"]
mod ports;

mod calls;
mod metadata;
mod schema;
mod streams;
mod types;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use wharf_call::{
    Call, Deadline, Door, Failure, FunctionId, Invocation, Metadata, Reply, RequestId, Service, TraceContext,
    Value, ValueStream,
};
use wharf_engine::{Engine, EngineConfig, Plugin, PluginConfig};

/// One for all tests: it reserves address space for every instance that it may have.
fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let make = || {
        // Compiled components are kept for the next run.
        let cache_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        let config = EngineConfig { cache_dir, instances_max: 64, ..EngineConfig::default() };
        Engine::new(config, ports::ports()).unwrap()
    };
    ENGINE.get_or_init(make).clone()
}

async fn plugin(component: &str, config: PluginConfig) -> Arc<Plugin> {
    let artifact = engine().compile(std::fs::read(component).unwrap().into(), false).await.unwrap();
    Plugin::load(config, artifact, "test").await.unwrap()
}

/// A machine that does other things meanwhile must not end a test.
fn config() -> PluginConfig {
    let mut config = PluginConfig { name: "guest".to_owned(), ..PluginConfig::default() };
    config.limits.cpu = Duration::from_secs(10);
    config.limits.wall = Duration::from_secs(60);
    config
}

fn invocation() -> Invocation {
    Invocation {
        idempotent: false,
        request_id: RequestId::from_bits(7),
        trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap(),
        route: "/".into(),
        params: Vec::new(),
        caller: None,
        peer: "127.0.0.1".into(),
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    }
}

/// The function with this name, of whichever interface.
fn function(service: &dyn Service, name: &str) -> FunctionId {
    let schema = service.schema();
    schema.functions().find(|(_, _, function)| function.name == name).unwrap().0
}

async fn invoke(
    service: &dyn Service,
    name: &str,
    args: Vec<Value>,
    input: Option<ValueStream>,
) -> Result<Reply, Failure> {
    let call = Call { function: function(service, name), args, input, door: Door::Rest };
    service.invoke(call, invocation()).await
}

/// Calls a function that returns a value.
async fn value(service: &dyn Service, name: &str, args: Vec<Value>) -> Result<Option<Value>, Failure> {
    match invoke(service, name, args, None).await? {
        Reply::Value(value) => Ok(value),
        Reply::Stream(_) => panic!("{name} streams"),
    }
}

/// Calls a function that streams.
async fn stream(
    service: &dyn Service,
    name: &str,
    args: Vec<Value>,
    input: Option<ValueStream>,
) -> Result<ValueStream, Failure> {
    match invoke(service, name, args, input).await? {
        Reply::Stream(stream) => Ok(stream),
        Reply::Value(_) => panic!("{name} does not stream"),
    }
}

/// Everything that a stream gives.
async fn all(stream: ValueStream) -> Vec<Result<Value, Failure>> {
    stream.collect().await
}

/// A caller's stream of what is there already.
fn sent(items: Vec<Value>) -> ValueStream {
    Box::pin(futures_util::stream::iter(items.into_iter().map(Ok)))
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
