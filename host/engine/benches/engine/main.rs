//! What the parts of a call cost, in process: `cargo bench -p wharf -p wharf-engine --bench engine`.
//!
//! - `instantiate`: a store with everything in it, instantiated and dropped, as a cold start does it;
//! - `lease`: an instance borrowed and given back, with no call in between;
//! - `call`: a whole call through the same door that the gateway uses;
//! - `typed`: a whole call of a function, through the port that the doors use;
//! - `convert`: a record of a kibibyte, to what wasmtime takes and back;
//! - `lower`, `lift`, `echo`: the same call with a body into the guest, out of it, or both.
//!
//! There are no metrics and no log here: nothing is installed behind their facades.
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]
#![allow(missing_docs, reason = "nobody depends on a benchmark")]

mod ports;
mod typed;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use tokio::runtime::Runtime;
use wharf_call::{Body, Deadline, HttpService, Invocation, Metadata, RequestId, TraceContext};
use wharf_engine::{Engine, EngineConfig, Isolation, Plugin, PluginConfig};
use wharf_harness::{TempDir, components};

/// The allocator of the host: a call allocates.
#[global_allocator]
static ALLOCATOR: wharf_allocator::Mimalloc = wharf_allocator::Mimalloc;

const SIZES: [usize; 4] = [14, 1 << 10, 64 << 10, 1 << 20];

/// An engine with everything as by default, and a runtime with one thread.
struct Bench {
    engine: Engine,
    runtime: Runtime,
    _cache: TempDir,
}

impl Bench {
    fn new() -> Self {
        let cache = TempDir::new();
        let config = EngineConfig { cache_dir: cache.path().to_owned(), ..EngineConfig::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Bench { engine: Engine::new(config, ports::ports()).unwrap(), runtime, _cache: cache }
    }

    fn plugin(&self, component: &str, isolation: Isolation) -> Arc<Plugin> {
        let mut config = PluginConfig { name: "bench".to_owned(), ..PluginConfig::default() };
        config.pool.isolation = isolation;
        self.runtime.block_on(async {
            let artifact =
                self.engine.compile(std::fs::read(component).unwrap().into(), false).await.unwrap();
            Plugin::load(config, artifact, "bench").await.unwrap()
        })
    }

    /// Measures `once`, again and again in one entry of the runtime, so that entering it is not measured.
    fn measure(&self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str, once: impl AsyncFn()) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                self.runtime.block_on(async {
                    let begun = Instant::now();
                    for _ in 0..count {
                        once().await;
                    }
                    begun.elapsed()
                })
            });
        });
    }
}

fn instantiate(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("instantiate");
    for (name, component, start) in [
        ("raw handler, untouched", components::RAW_HANDLER, false),
        ("SDK handler, untouched", components::KITCHEN, false),
        ("SDK handler, started", components::KITCHEN, true),
        ("yardstick, untouched", components::YARDSTICK, false),
        ("yardstick, started and 64 KiB touched", components::YARDSTICK, true),
    ] {
        let plugin = bench.plugin(component, Isolation::Plugin);
        bench.measure(&mut group, name, async || plugin.probe_instance(start).await.unwrap());
    }
}

fn lease(criterion: &mut Criterion) {
    let bench = Bench::new();
    let plugin = bench.plugin(components::RAW_HANDLER, Isolation::Plugin);
    let invocation = invocation();
    let mut group = criterion.benchmark_group("lease");
    bench.measure(&mut group, "idle instance", async || plugin.probe_lease(&invocation).await.unwrap());
}

fn call(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("call");
    for (name, component, path, isolation) in [
        ("raw handler", components::RAW_HANDLER, "/", Isolation::Plugin),
        ("SDK handler", components::KITCHEN, "/hello", Isolation::Plugin),
        ("raw handler, fresh instance", components::RAW_HANDLER, "/", Isolation::Request),
        ("SDK handler, fresh instance", components::KITCHEN, "/hello", Isolation::Request),
        ("wasi:http 0.3", components::WASIP3_HTTP, "/", Isolation::Plugin),
        ("wasi:http 0.2", components::WSTD_HTTP, "/", Isolation::Plugin),
    ] {
        let plugin = bench.plugin(component, isolation);
        bench.measure(&mut group, name, async || answered(&plugin, path, Body::Empty).await);
    }
}

fn bodies(criterion: &mut Criterion) {
    let bench = Bench::new();
    let plugin = bench.plugin(components::YARDSTICK, Isolation::Plugin);
    for direction in ["lower", "lift", "echo"] {
        let mut group = criterion.benchmark_group(direction);
        for size in SIZES {
            let sent = Bytes::from(vec![b'x'; size]);
            let (path, body) = match direction {
                "lower" => ("/sink".to_owned(), Some(sent)),
                "lift" => (format!("/source/{size}"), None),
                _ => ("/echo".to_owned(), Some(sent)),
            };
            group.throughput(Throughput::Bytes(size as u64));
            bench.measure(&mut group, &format!("{size} bytes"), async || {
                answered(&plugin, &path, body.clone().map_or(Body::Empty, Body::whole)).await;
            });
        }
    }
}

/// One call, to the last byte of its answer.
async fn answered(plugin: &Plugin, path: &str, body: Body) {
    let request = Request::builder()
        .uri(path)
        .header("host", "bench.example.com")
        .header("user-agent", "bench/1.0")
        .header("accept", "*/*")
        .body(body)
        .unwrap();
    let response = plugin.call(request, invocation()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        frame.unwrap();
    }
}

/// What the gateway knows of a request.
fn invocation() -> Invocation {
    Invocation {
        idempotent: false,
        request_id: RequestId::from_bits(7),
        trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap(),
        route: "/{*rest}".into(),
        params: Vec::new(),
        caller: None,
        peer: "127.0.0.1".into(),
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    }
}

criterion_group!(benches, instantiate, lease, call, typed::calls, typed::conversion, bodies);
criterion_main!(benches);
