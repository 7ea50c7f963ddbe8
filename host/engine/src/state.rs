//! What the host keeps for an instance: the data of its store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime::WasmCoreDump;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wharf_call::Peers;

use crate::berth::Berth;
use crate::capabilities::Capabilities;
use crate::config::PluginConfig;
use crate::epoch::Meter;
use crate::imports::http::GuestEgress;
use crate::imports::keyvalue::Values;
use crate::imports::output::{GuestLog, Output};
use crate::imports::sockets;
use crate::limits::MemoryLimiter;
use crate::shared::Ledger;

/// The most random bytes that a guest may ask for in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

pub(crate) struct State {
    pub(crate) plugin: Arc<PluginConfig>,
    pub(crate) berth: Arc<Berth>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) egress: GuestEgress,
    pub(crate) peers: Option<Arc<dyn Peers>>,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(crate) table: ResourceTable,
    pub(crate) values: Values,
    /// Where several calls work in the instance: who is billed for what it computes.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// Host calls with an effect outside of the instance.
    pub(crate) effects: Arc<AtomicU64>,
    /// Of the trap that has ended the guest, where the plugin wants one.
    pub(crate) core_dump: Option<WasmCoreDump>,
}

impl State {
    /// # Errors
    /// When a granted directory cannot be given.
    pub(crate) fn new(
        plugin: Arc<PluginConfig>,
        generation: u64,
        berth: Arc<Berth>,
        granted: &Capabilities,
    ) -> wasmtime::Result<Self> {
        let log = GuestLog::new(plugin.clone(), generation, berth.clone());
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Output::new("stdout", log.clone()))
            .stderr(Output::new("stderr", log.clone()))
            .max_random_size(RANDOM_BYTES_MAX);
        for (name, value) in &plugin.grants.env {
            wasi.env(name, value);
        }
        for dir in &granted.dirs {
            dir.give(&mut wasi)?;
        }
        sockets::give(granted.peers.as_ref(), &mut wasi);
        let effects = Arc::<AtomicU64>::default();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(plugin.limits.response_header_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(plugin.limits.handles);
        Ok(State {
            meter: Arc::new(Meter::new(plugin.limits.cpu)),
            limiter: MemoryLimiter::new(plugin.limits.memory_bytes, berth.ports.memory.clone()),
            egress: GuestEgress::new(granted.egress.clone(), effects.clone()),
            wasi: wasi.build(),
            log,
            http,
            peers: granted.peers.clone(),
            table,
            values: Values::default(),
            ledger: None,
            effects,
            core_dump: None,
            plugin,
            berth,
        })
    }
}

impl State {
    /// Something outside of the instance is changed on behalf of the guest, or may be.
    pub(crate) fn had_an_effect(&self) {
        self.effects.fetch_add(1, Relaxed);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.egress, table: &mut self.table, ctx: &mut self.http }
    }
}
