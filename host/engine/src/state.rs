//! What the host keeps for an instance: the data of its store.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as HttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};
use wharf_call::Memory;

use crate::config::PluginConfig;
use crate::epoch::Meter;
use crate::imports::output::{GuestLog, Output};
use crate::limits::MemoryLimiter;

/// Handles to host resources that one instance may hold at a time.
const HANDLES_MAX: usize = 10_000;
/// The most random bytes that a guest may ask for in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

pub(crate) struct State {
    pub(crate) plugin: Arc<PluginConfig>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) log: Arc<GuestLog>,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoEgress,
    table: ResourceTable,
}

impl State {
    pub(crate) fn new(plugin: Arc<PluginConfig>, generation: u64, budget: Arc<dyn Memory>) -> Self {
        let log = GuestLog::new(&plugin.name, generation);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Output::new("stdout", log.clone()))
            .stderr(Output::new("stderr", log.clone()))
            .max_random_size(RANDOM_BYTES_MAX);
        for (name, value) in &plugin.grants.env {
            wasi.env(name, value);
        }
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(plugin.limits.response_header_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        State {
            meter: Arc::new(Meter::new(plugin.limits.cpu)),
            limiter: MemoryLimiter::new(plugin.limits.memory_bytes, budget),
            wasi: wasi.build(),
            log,
            http,
            hooks: NoEgress,
            table,
            plugin,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// No outbound HTTP interface is linked, so nothing can reach this; if something did, it would be denied.
struct NoEgress;

type Sent =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>), HttpError>;

impl WasiHttpHooks for NoEgress {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }
}
