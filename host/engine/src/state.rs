//! What the host keeps for an instance: the data of its store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime::WasmCoreDump;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wharf_call::{Failure, Kind, LimitGuard, LimitKey, Peers};

use crate::capabilities::Capabilities;
use crate::enforcer::Enforcer;
use crate::epoch::Meter;
use crate::imports::call::TypedCall;
use crate::imports::http::GuestEgress;
use crate::imports::keyvalue::Values;
use crate::imports::output::{GuestLog, Output};
use crate::imports::sockets;
use crate::memory::{Denied, MemoryLimiter};
use crate::shared::Ledger;

pub(crate) struct State {
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) egress: GuestEgress,
    /// The typed call that it works on, if it works on one.
    pub(crate) call: Option<TypedCall>,
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
    handles: Handles,
}

impl State {
    /// # Errors
    /// When the host has no memory for one more, or a granted directory cannot be given.
    pub(crate) fn new(enforcer: &Arc<Enforcer>, granted: &Capabilities) -> Result<Self, Failure> {
        let limiter = MemoryLimiter::new(enforcer.clone()).map_err(Denied::into_failure)?;
        let plugin = &enforcer.plugin;
        let log = GuestLog::new(enforcer.clone());
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Output::new("stdout", log.clone()))
            .stderr(Output::new("stderr", log.clone()))
            .max_random_size(enforcer.allowed(LimitKey::RandomBytes));
        for (name, value) in &plugin.grants.env {
            wasi.env(name, value);
        }
        for dir in &granted.dirs {
            dir.give(&mut wasi).map_err(|error| {
                Failure::new(Kind::Internal, Kind::Internal.title()).with_private(format!("{error:#}"))
            })?;
        }
        sockets::give(granted.peers.as_ref(), &mut wasi);
        let effects = Arc::<AtomicU64>::default();
        let mut http = WasiHttpCtx::new();
        // Twice as much, because a response that has more is told of by name: this bounds what is built up.
        http.set_field_size_limit(enforcer.allowed_usize(LimitKey::ResponseHeaders).saturating_mul(2));
        let mut table = ResourceTable::new();
        table.set_max_capacity(enforcer.allowed_usize(LimitKey::Handles));
        Ok(State {
            meter: Arc::new(Meter::new(enforcer.clone())),
            limiter,
            egress: GuestEgress::new(granted.egress.clone(), plugin.limits.chunk_bytes, effects.clone()),
            call: None,
            wasi: wasi.build(),
            log,
            http,
            peers: granted.peers.clone(),
            table,
            values: Values::default(),
            ledger: None,
            effects,
            core_dump: None,
            handles: Handles { watched: enforcer.observes(LimitKey::Handles), exceeded: false },
            enforcer: enforcer.clone(),
        })
    }

    /// Whether not one more resource fits into the instance's table.
    pub(crate) fn handles_are_full(&mut self) -> bool {
        let max = self.table.max_capacity();
        !has_room(&mut self.table, max)
    }

    /// Sees whether there are more resources than an observed `limits.handles`. The table does not tell how
    /// many it holds, so this tries to add one; what the guest asks for next finds it as it was.
    pub(crate) fn watch_handles(&mut self) {
        if !self.handles.watched || self.handles.exceeded {
            return;
        }
        let limit = self.enforcer.plugin.limits.handles;
        if !has_room(&mut self.table, limit + 1) {
            self.handles.exceeded = self.enforcer.exceeded(LimitKey::Handles, limit as u64 + 1).is_ok();
        }
    }
}

/// Whether `limits.handles` is observed, and whether it is known to be exceeded.
struct Handles {
    watched: bool,
    exceeded: bool,
}

/// Whether a table of at most `max` resources could take one more.
fn has_room(table: &mut ResourceTable, max: usize) -> bool {
    let capacity = table.max_capacity();
    table.set_max_capacity(max);
    let pushed = table.push(());
    table.set_max_capacity(capacity);
    pushed.is_ok_and(|probe| table.delete(probe).is_ok())
}

impl State {
    /// Something outside of the instance is changed on behalf of the guest, or may be.
    pub(crate) fn had_an_effect(&self) {
        self.effects.fetch_add(1, Relaxed);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.watch_handles();
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.watch_handles();
        WasiHttpCtxView { hooks: &mut self.egress, table: &mut self.table, ctx: &mut self.http }
    }
}
