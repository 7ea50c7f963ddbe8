//! The engine: wasmtime as this host sets it up, and components made ready for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Enabled, GuestProfiler, InstanceAllocationStrategy, PoolingAllocationConfig};
use wharf_call::ports::{Refusal, Stage};
use wharf_call::units::show_size;

use crate::berth::Berth;
use crate::capabilities::Ports;
use crate::compile::{CodeSettings, Compiler};
use crate::config::{EngineConfig, PluginConfig};
use crate::cores::Cores;
use crate::enforcer::{Enforcer, HostWide};
use crate::epoch::{QUIET, Quiet, Ticker};
use crate::imports;
use crate::inspect::{Inspection, inspect_and_plan, recognise, sha256_hex};
use crate::memory::{Kept, Slots};
use crate::metrics;
use crate::schema::Plan;
use crate::service::ServiceExports;
use crate::state::State;
use crate::turns::Turns;
use crate::worlds::{Exports, WorldKind};

/// What host functions have of a call's stack, beside the guest's part.
const HOST_STACK_BYTES: usize = 512 << 10;
/// Memories and tables of one component: adapters and compositions have several.
const MEMORIES_PER_COMPONENT: u32 = 8;
const TABLES_PER_COMPONENT: u32 = 16;
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Memories that there is room for on average: most components have one.
const MEMORIES_PER_INSTANCE: u32 = 2;
/// All that an index of 32 bits can name. Where a memory has that much address space to itself, whatever may be
/// behind its end is unmapped, and compiled guests check no bounds. It costs addresses, not memory.
const WHOLE_MEMORY_BYTES: u64 = 4 << 30;
/// How much address space is taken for that; a process on x86-64 and AArch64 has 128 TiB. With more instances,
/// or where the system has not so much to give (`ulimit -v`), a memory gets what `[engine] memory` says.
const ADDRESS_SPACE_MAX: u64 = 32 << 40;

/// Compiles components and runs them. One for a host; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    compiler: Arc<Compiler>,
    linker: Linker<State>,
    config: EngineConfig,
    ports: Ports,
    cores: Arc<Cores>,
    slots: Arc<Slots>,
    ticker: Ticker,
    turns: Turns,
}

impl Engine {
    /// Sets wasmtime up: reserves address space for the pool, opens the cache, starts the ticker.
    ///
    /// # Errors
    /// When the machine cannot give the address space, or the cache directory cannot be used; the text
    /// names the manifest key.
    pub fn new(config: EngineConfig, ports: Ports) -> Result<Self, String> {
        metrics::describe();
        let (engine, settings) = wasmtime_engine(&config).map_err(|error| {
            format!(
                "the address space for [engine] instances = {} with memory = {} bytes cannot be reserved; \
                 lower one of them, or raise `ulimit -v`: {error:#}",
                config.instances_max, config.memory_bytes_max
            )
        })?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(|error| format!("linking the host's interfaces: {error:#}"))?;
        let ticker = Ticker::start(engine.clone(), config.tick, Quiet::new(QUIET, ports.when_quiet))
            .map_err(|error| format!("the ticker thread cannot be started: {error}"))?;
        let compiler = Compiler::open(engine, settings, &config, ports.memory.clone()).map_err(|error| {
            format!("[engine] cache = {:?} cannot be used: {error}", config.cache_dir.display())
        })?;
        let cores = Cores::new(config.core_dumps_dir.clone(), config.core_dump_bytes_max);
        let slots = Slots::new(ports.memory.clone());
        Ok(Engine(Arc::new(Inner {
            compiler,
            linker,
            config,
            ports,
            cores,
            slots,
            ticker,
            turns: Turns::new(),
        })))
    }

    /// Makes a component ready to run: inspects it, and compiles it or finds it in the cache. Dropping the
    /// future ends the process that compiles. `debug_info` keeps what is in it of that, as
    /// [`PluginConfig::debug_info`](crate::PluginConfig) says.
    ///
    /// # Errors
    /// [`Stage::Inspect`] when it is no component that the host understands, [`Stage::Compile`] when it
    /// does not compile, or not within `[engine] compile_time` and `compile_memory`.
    pub async fn compile(&self, bytes: Bytes, debug_info: bool) -> Result<Arc<Artifact>, Refusal> {
        let max = self.0.config.component_bytes_max;
        if bytes.len() as u64 > max {
            return Err(Refusal::new(
                Stage::Inspect,
                format!(
                    "the component has {} bytes; [engine] component_bytes is {}. To allow more, write in wharf.toml, \
                     and restart:\n  [engine]\n  component_bytes = {:?}",
                    bytes.len(),
                    show_size(max),
                    show_size((bytes.len() as u64).next_multiple_of(1 << 20))
                ),
            ));
        }
        let sha256 = off_the_executor(bytes.clone(), |bytes| {
            recognise(bytes)?;
            Ok(sha256_hex(bytes))
        });
        let sha256 = sha256.await?;
        let compiler = &self.0.compiler;
        let inspect = |bytes| off_the_executor(bytes, inspect_and_plan);
        // Who compiles it inspects it first, where a component that attacks the decoder ends nothing but itself. So one
        // whose code was kept has been inspected, and the host can do it while the code is loaded.
        let (component, inspected) = match compiler.kept(&sha256, debug_info).await? {
            Some(kept) => {
                let (component, inspected) = tokio::join!(kept.load(), inspect(bytes.clone()));
                (component?, Some(inspected?))
            }
            None => (None, None),
        };
        let component = match component {
            Some(component) => component,
            None => compiler.component(&sha256, bytes.clone(), debug_info).await?,
        };
        let (inspection, plan) = match inspected {
            Some(inspected) => inspected,
            None => inspect(bytes).await?,
        };
        let kind = inspection.kind()?;
        Ok(Arc::new(Artifact { inspection, plan: Arc::new(plan), kind, component, engine: self.clone() }))
    }
}

async fn off_the_executor<T: Send + 'static>(
    bytes: Bytes,
    work: impl FnOnce(&[u8]) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let worked = tokio::task::spawn_blocking(move || work(&bytes)).await;
    worked.unwrap_or_else(|_| Err(Refusal::new(Stage::Inspect, "reading this component panicked")))
}

/// A component with its code. Shared by all generations that run it.
pub struct Artifact {
    inspection: Inspection,
    plan: Arc<Plan>,
    kind: WorldKind,
    component: Component,
    engine: Engine,
}

impl Artifact {
    /// What it exports that makes it what it is.
    pub fn world(&self) -> &str {
        self.inspection.world.as_deref().unwrap_or_default()
    }

    /// SHA-256 of its bytes, in hex.
    pub fn sha256(&self) -> &str {
        &self.inspection.sha256
    }

    /// The size of the component, in bytes.
    pub fn bytes(&self) -> u64 {
        self.inspection.bytes
    }

    /// What is known of it without running it.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Whether it takes HTTP requests. A service that does not is called by its functions only.
    pub(crate) fn serves_http(&self) -> bool {
        !matches!(self.kind, WorldKind::Service | WorldKind::Socket)
    }

    /// Whether clients open sockets to it.
    pub(crate) fn opens_sockets(&self) -> bool {
        self.kind == WorldKind::Socket
    }

    /// Finds the functions of its own interfaces, if it has any.
    pub(crate) fn service(&self) -> Result<Option<Arc<ServiceExports>>, Refusal> {
        let schema = &self.inspection.schema;
        if schema.is_empty() {
            return Ok(None);
        }
        let exports = ServiceExports::find(schema.clone(), self.plan.clone(), &self.component);
        exports
            .map(|exports| Some(Arc::new(exports)))
            .map_err(|error| Refusal::new(Stage::Inspect, format!("{error:#}")))
    }

    /// Whether an instance of it can serve several calls at once.
    pub(crate) fn check_concurrency(&self) -> Result<(), Refusal> {
        if self.kind != WorldKind::WasiHttp02 {
            return Ok(());
        }
        let message = "pool.concurrency is above 1, but a component of wasi:http 0.2 serves one call at a time: \
                       write concurrency = 1";
        Err(Refusal::new(Stage::Inspect, message))
    }

    /// Into how many shards its pools are divided: twice as many as threads call.
    pub(crate) fn shards(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from) * 2
    }

    /// What the engine uses of the rest of the host.
    pub(crate) fn ports(&self) -> &Ports {
        &self.engine.0.ports
    }

    /// Where core dumps go.
    pub(crate) fn cores(&self) -> &Arc<Cores> {
        &self.engine.0.cores
    }

    /// How often a running guest is interrupted.
    pub(crate) fn tick(&self) -> Duration {
        self.engine.0.config.tick
    }

    /// A profiler that knows the functions of the component. Blocks while it reads their names.
    pub(crate) fn profiler(&self, name: &str, interval: Duration) -> wasmtime::Result<GuestProfiler> {
        GuestProfiler::new_component(self.component.engine(), name, interval, self.component.clone(), [])
    }

    /// What decides over the limits of one generation that runs it.
    pub(crate) fn enforcer(
        &self,
        plugin: Arc<PluginConfig>,
        generation: u64,
        berth: Arc<Berth>,
    ) -> Arc<Enforcer> {
        let (memories, tables) = match self.component.resources_required() {
            Some(required) => (required.num_memories, required.num_tables),
            None => (MEMORIES_PER_COMPONENT, TABLES_PER_COMPONENT),
        };
        let Inner { config, slots, ticker, turns, .. } = &*self.engine.0;
        let kept = Kept::of(&config.residency, memories, tables);
        let host =
            HostWide { slots: slots.clone(), activity: ticker.activity().clone(), turns: turns.clone() };
        Enforcer::new(plugin, generation, berth, config, host, kept)
    }

    /// Resolves all imports and finds all exports, so that an instance is made without looking up a name.
    pub(crate) fn link(&self) -> Result<(InstancePre<State>, Exports), Refusal> {
        let pre = self
            .engine
            .0
            .linker
            .instantiate_pre(&self.component)
            .map_err(|error| Refusal::new(Stage::Grant, format!("{error:#}")))?;
        let exports = Exports::find(self.kind, self.inspection.lifecycle, &pre)
            .map_err(|error| Refusal::new(Stage::Inspect, format!("{error:#}")))?;
        Ok((pre, exports))
    }
}

/// Reserves each memory whole where there is the address space for it.
fn wasmtime_engine(config: &EngineConfig) -> wasmtime::Result<(wasmtime::Engine, CodeSettings)> {
    let memories = u64::from(config.instances_max) * u64::from(MEMORIES_PER_INSTANCE);
    let whole = CodeSettings { memory_reservation: WHOLE_MEMORY_BYTES };
    if memories * WHOLE_MEMORY_BYTES <= ADDRESS_SPACE_MAX
        && let Ok(engine) = wasmtime::Engine::new(&wasmtime_config(config, whole))
    {
        return Ok((engine, whole));
    }
    let bounded = CodeSettings { memory_reservation: config.memory_bytes_max };
    Ok((wasmtime::Engine::new(&wasmtime_config(config, bounded))?, bounded))
}

fn wasmtime_config(config: &EngineConfig, settings: CodeSettings) -> Config {
    let instances = config.instances_max;
    let memory = usize::try_from(config.memory_bytes_max).unwrap_or(usize::MAX);
    // A whole number of pages, as a stack has to be.
    let stack = usize::try_from(config.stack_bytes).unwrap_or(usize::MAX).next_multiple_of(64 << 10);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances.saturating_mul(MEMORIES_PER_INSTANCE))
        .total_tables(instances.saturating_mul(4))
        // A call has a fibre of its own, and a guest task that waits keeps one.
        .total_stacks(instances.saturating_mul(2))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memory_size(memory)
        .table_elements(TABLE_ELEMENTS_MAX)
        // Whatever is kept is paid for: see `Slots`.
        .linear_memory_keep_resident(config.residency.memory_bytes)
        .table_keep_resident(config.residency.table_bytes)
        .async_stack_keep_resident(config.residency.stack_bytes)
        .pagemap_scan(if config.residency.pagemap_scan && !has_swap() { Enabled::Auto } else { Enabled::No });
    let mut wasmtime = settings.config();
    wasmtime
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .max_wasm_stack(stack)
        .async_stack_size(stack + HOST_STACK_BYTES)
        // What one call leaves on a stack is not for the next one's eyes.
        .async_stack_zeroing(true)
        // Costs nothing before a trap, and then a second walk of the stack.
        .coredump_on_trap(true);
    wasmtime
}

/// Whether the machine swaps. When that cannot be read, it is taken to.
fn has_swap() -> bool {
    // One header line, then a line for each swap area.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
