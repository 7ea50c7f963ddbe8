use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use wharf_call::{EgressGrants, PeerGrants};

use crate::compile::CompileCommand;
use crate::limits::Limits;

/// The `[engine]` section of the manifest: ceilings that are fixed when the host starts.
///
/// The pooling allocator reserves address space for its slots once; a change of any of these needs a
/// restart, and a reload that changes one is refused with a message that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Where compiled components are kept, 0700. Default `<app.data>/cache`.
    pub cache_dir: PathBuf,
    /// Instances of all plugins together. Default 1,000; 1 to 100,000.
    pub instances_max: u32,
    /// The largest linear memory that any plugin may be given, in bytes. Default 256 MiB; to 4 GiB.
    pub memory_bytes_max: u64,
    /// The largest component that is compiled, in bytes. Default 64 MiB.
    pub component_bytes_max: u64,
    /// The stack of a guest's call, in bytes. Default 512 KiB; 64 KiB to 8 MiB.
    pub stack_bytes: u64,
    /// How often a running guest is interrupted to see whether it may go on. Default 1 ms; 1 to 10 ms.
    pub tick: Duration,
    /// What an instance that ends leaves in memory for the next one.
    pub residency: Residency,
    /// How long compiling one component may take. Default 60 s; 100 ms to 1 h.
    pub compile_time: Duration,
    /// How much memory compiling one component may take, in bytes. Default 2 GiB; 64 MiB to 64 GiB.
    pub compile_memory_bytes: u64,
    /// Where core dumps are kept, 0700: a directory for each plugin. Default `<app.data>/cores`.
    pub core_dumps_dir: PathBuf,
    /// What they may have together, in bytes; the oldest are removed. Default 1 GiB; 1 MiB to 1 TiB.
    pub core_dump_bytes_max: u64,
    /// What is started to compile, within the two limits above. `None`, the default, compiles in this process,
    /// where neither holds.
    pub compile_command: Option<CompileCommand>,
}

/// How much of a slot stays in memory, zeroed, when its instance has ended.
///
/// Making an instance costs page faults more than anything else. What stays is not faulted in again, but has to be made
/// clean: with `pagemap_scan` only what was written, otherwise all of it. What is beyond it is given back to the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residency {
    /// Of each linear memory, in bytes. Default 256 KiB; 0 to 16 MiB.
    pub memory_bytes: usize,
    /// Of each table, in bytes. Default 64 KiB; 0 to 1 MiB.
    pub table_bytes: usize,
    /// Of each fibre's stack, in bytes. Default 16 KiB, which few calls go beyond; 0 to 1 MiB. All of it is overwritten when
    /// an instance is gone, whether it was used or not.
    pub stack_bytes: usize,
    /// Whether the kernel is asked which pages were written (`PAGEMAP_SCAN`, Linux 6.7), where it can tell and the machine
    /// has no swap: a page that was swapped out would be missed, and shown to the next guest. Default true.
    pub pagemap_scan: bool,
}

impl Default for Residency {
    fn default() -> Self {
        Residency {
            memory_bytes: 256 << 10,
            table_bytes: 64 << 10,
            stack_bytes: 16 << 10,
            pagemap_scan: true,
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            cache_dir: PathBuf::from(".wharf/cache"),
            instances_max: 1_000,
            memory_bytes_max: 256 << 20,
            component_bytes_max: 64 << 20,
            stack_bytes: 512 << 10,
            tick: Duration::from_millis(1),
            residency: Residency::default(),
            compile_time: Duration::from_secs(60),
            compile_memory_bytes: 2 << 30,
            core_dumps_dir: PathBuf::from(".wharf/cores"),
            core_dump_bytes_max: 1 << 30,
            compile_command: None,
        }
    }
}

/// `[plugin.NAME]`: how one plugin is run. A change makes a new generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginConfig {
    /// The name in the manifest: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, a letter first.
    pub name: String,
    /// What the host lets it use.
    pub grants: Grants,
    /// What it may use up.
    pub limits: Limits,
    /// How its instances are kept.
    pub pool: PoolConfig,
    /// Whether the component's DWARF is kept, for source lines in backtraces. A trap then takes as long to report as
    /// there is DWARF, on a thread that serves. Default false.
    pub debug_info: bool,
    /// How many core dumps are kept, the newest; none are written without any. Default 0, 0 to 100.
    pub core_dumps: u32,
}

/// `[plugin.NAME.grants]`. What is not listed does not exist for the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// `config = { key = "value" }` of the plugin: offered as `wasi:config/store`, and only when present.
    pub config: Option<BTreeMap<String, String>>,
    /// Environment variables for `wasi:cli/environment`; it is empty without them.
    pub env: BTreeMap<String, String>,
    /// The buckets that it may open with `wasi:keyvalue`, which is offered only when there is one.
    pub keyvalue: BTreeSet<String>,
    /// Origins for `wasi:http/client` and `wasi:http/outgoing-handler`; neither is there without one.
    pub http: EgressGrants,
    /// Directories for `wasi:filesystem`; there are none without it.
    pub dirs: DirGrants,
    /// Peers for `wasi:sockets`, which is not there without one.
    pub tcp: PeerGrants,
}

/// The directories that a plugin is given, and what none of them may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirGrants {
    /// In the order of the manifest.
    pub dirs: Vec<DirGrant>,
    /// Directories of the host's own: none that is granted may lie in one, or hold one.
    pub secret: Vec<PathBuf>,
    /// Files that decide what the host runs: none that is granted for writing may hold one.
    pub code: Vec<PathBuf>,
}

/// One directory of `grants.dirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirGrant {
    /// The directory of the host.
    pub path: PathBuf,
    /// Where the guest finds it: an absolute path.
    pub at: String,
    /// Whether the guest may change what is in it.
    pub write: bool,
}

/// `[plugin.NAME.pool]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Instances that are kept however long nobody calls; they are made again within a second when they crash.
    /// Default 1, 0 to `max`. With 0 an idle plugin has no instance, and the first call makes one.
    pub min: u32,
    /// Instances at once; calls beyond wait. Default 64, 1 to 10,000.
    pub max: u32,
    /// Calls that may wait for an instance; more get a 503 at once. Default 1,024, 0 to 100,000.
    pub queue: u32,
    /// Calls in a row before an instance is replaced. Default 10,000: making one costs TLB shootdowns on every
    /// core, which at 1,000 were 3 % of a busy host's time. 1 means a fresh instance for each call.
    pub reuse: u32,
    /// Calls at once in one instance. Default 1, to 1,000; more is for plugins that mostly wait, and costs isolation
    /// within the plugin: a trap, or a call over its CPU limit, ends the calls beside it.
    pub concurrency: u32,
    /// How long an instance beyond `min` is kept without a call. Default 60 s, 100 ms to 24 h; the pool looks
    /// every quarter of it, and at least once a second.
    pub idle: Duration,
    /// Who shares an instance. Default [`Isolation::Plugin`].
    pub isolation: Isolation,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            min: 1,
            max: 64,
            queue: 1_024,
            reuse: 10_000,
            concurrency: 1,
            idle: Duration::from_secs(60),
            isolation: Isolation::default(),
        }
    }
}

/// Who shares the memory of an instance, one call after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everybody who calls the plugin.
    #[default]
    Plugin,
    /// One caller: an identity or, of unknown callers, an address. What an instance has seen of one caller can
    /// reach no other.
    Caller,
    /// Nobody: each call has a fresh instance.
    Request,
}

impl Isolation {
    /// The case that the manifest calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "plugin" => Some(Isolation::Plugin),
            "caller" => Some(Isolation::Caller),
            "request" => Some(Isolation::Request),
            _ => None,
        }
    }
}
