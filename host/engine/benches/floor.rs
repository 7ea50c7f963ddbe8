//! The floor: as little as a host of the handler world can do with hyper and wasmtime.
//!
//! An HTTP/1.1 server like the bare one of `wharf-bench`, which calls `handle` of the component that is named first and
//! reuses its instances or, with `fresh` after that name, makes one for each request, from a pool of slots as the host's.
//! The guest gets what its contract promises it: a request with its authority, and a context with
//! an id, a trace and a route, though always the same ones. It can be interrupted, by an epoch ticker as the host has one,
//! because code that cannot be is code that no host may run. Nothing more: no deadline, no bill for computing, no bound
//! on memory, tables or bodies; a stack is left as it was used; a trap ends the connection. There are no routes, no metrics and no log. What the
//! host costs above this is what all of that costs.
//!
//! `wharf-bench` builds it and runs it between the others.
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]
#![allow(missing_docs, reason = "nobody depends on a benchmark")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wharf_bindings::handler_0_1::wharf::plugin::types as wit;
use wharf_bindings::handler_0_1::{HandlerOnly, HandlerOnlyIndices};
use wharf_bindings::lifecycle_0_1::{LifecyclePlugin, LifecyclePluginIndices};
use wharf_engine::Residency;

/// The allocator of the host.
#[global_allocator]
static ALLOCATOR: wharf_allocator::Mimalloc = wharf_allocator::Mimalloc;

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

struct Guest {
    store: Store<State>,
    exports: HandlerOnly,
    hooks: Option<LifecyclePlugin>,
}

thread_local! {
    /// The idle instances of this thread.
    static IDLE: RefCell<Vec<Guest>> = const { RefCell::new(Vec::new()) };
}

struct Host {
    engine: Engine,
    pre: InstancePre<State>,
    exports: HandlerOnlyIndices,
    hooks: Option<LifecyclePluginIndices>,
    fresh: bool,
}

impl Host {
    fn new(component: &str, fresh: bool) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.wasm_component_model_async(true).epoch_interruption(true);
        if fresh {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots()));
        }
        let engine = Engine::new(&config)?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = linker.instantiate_pre(&component)?;
        let exports = HandlerOnlyIndices::new(&pre)?;
        let hooks = LifecyclePluginIndices::new(&pre).ok();
        Ok(Host { engine, pre, exports, hooks, fresh })
    }

    async fn instantiate(&self) -> wasmtime::Result<Guest> {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let exports = self.exports.load(&mut store, &instance)?;
        let hooks = self.hooks.as_ref().map(|hooks| hooks.load(&mut store, &instance)).transpose()?;
        if let Some(hooks) = &hooks {
            let started = store
                .run_concurrent(async |accessor| hooks.wharf_plugin_lifecycle().call_start(accessor).await);
            started.await??.map_err(|failure| wasmtime::Error::msg(failure.message))?;
        }
        Ok(Guest { store, exports, hooks })
    }

    async fn answer(&self, request: Request<Incoming>) -> wasmtime::Result<Response<Full<Bytes>>> {
        let idle = IDLE.with_borrow_mut(Vec::pop);
        let mut guest = match idle {
            Some(guest) => guest,
            None => self.instantiate().await?,
        };
        let Guest { store, exports, .. } = &mut guest;
        let (request, context) = lower(request);
        store.set_epoch_deadline(1);
        let called = store.run_concurrent(async |accessor| {
            exports.wharf_plugin_handler().call_handle(accessor, request, context).await
        });
        let returned = called.await??;
        if self.fresh {
            tokio::spawn(guest.stop());
        } else {
            IDLE.with_borrow_mut(|idle| idle.push(guest));
        }
        match returned {
            Ok(response) => Ok(lift(response)?),
            Err(failure) => Err(wasmtime::Error::msg(failure.message)),
        }
    }
}

impl Guest {
    async fn stop(mut self) {
        if let Some(hooks) = &self.hooks {
            let stopped = self
                .store
                .run_concurrent(async |accessor| hooks.wharf_plugin_lifecycle().call_stop(accessor).await);
            stopped.await.unwrap().unwrap();
        }
    }
}

/// Slots that keep as much resident as the host's do by default.
fn slots() -> PoolingAllocationConfig {
    let kept = Residency::default();
    let mut slots = PoolingAllocationConfig::new();
    slots
        .linear_memory_keep_resident(kept.memory_bytes)
        .table_keep_resident(kept.table_bytes)
        .async_stack_keep_resident(kept.stack_bytes)
        .pagemap_scan(Enabled::Auto);
    slots
}

fn lower(request: Request<Incoming>) -> (wit::Request, wit::Context) {
    let (head, _) = request.into_parts();
    let headers = head.headers.iter();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let request = wit::Request {
        method: head.method.as_str().to_owned(),
        scheme: "http".to_owned(),
        authority: host.unwrap_or_default().to_owned(),
        path_with_query: head.uri.path().to_owned(),
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
        body: wit::Body::Empty,
    };
    let context = wit::Context {
        request_id: "0123456789abcdef0123456789abcdef".to_owned(),
        traceparent: "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00".to_owned(),
        route: "/{*rest}".to_owned(),
        params: Vec::new(),
        caller: None,
        deadline_ms: 30_000,
        attributes: Vec::new(),
    };
    (request, context)
}

fn lift(response: wit::Response) -> wasmtime::Result<Response<Full<Bytes>>> {
    let wit::Body::Whole(body) = response.body else {
        return Err(wasmtime::Error::msg("the floor knows whole bodies only"));
    };
    let mut lifted = Response::new(Full::from(body));
    *lifted.status_mut() = response.status.try_into()?;
    for (name, value) in response.headers {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        lifted.headers_mut().append(name, HeaderValue::from_maybe_shared(Bytes::from(value))?);
    }
    Ok(lifted)
}

#[tokio::main]
async fn main() -> wasmtime::Result<()> {
    // `cargo bench` runs every benchmark, with `--bench`: this one needs somebody to measure it.
    let mut arguments = std::env::args().skip(1);
    let Some(component) = arguments.next().filter(|argument| !argument.starts_with('-')) else {
        return Ok(());
    };
    let fresh = arguments.next().is_some_and(|argument| argument == "fresh");
    let host = Arc::new(Host::new(&component, fresh)?);
    let engine = host.engine.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(1));
            engine.increment_epoch();
        }
    });
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let host = host.clone();
        tokio::spawn(async move {
            let service = service_fn(async |request| {
                host.answer(request).await.inspect_err(|error| eprintln!("{error:?}"))
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
