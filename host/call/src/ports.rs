//! What the parts of the host offer each other. `app/wiring.rs` is the only place where a port meets its
//! implementation, so every part can be tested against a fake of its neighbours.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::{Body, Failure, Invocation};

/// A future behind a pointer: a call across a port is one allocation.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that answers HTTP requests: a plugin, seen from the gateway.
///
/// Implemented by the engine for each plugin, by fakes in tests.
pub trait HttpService: Send + Sync + 'static {
    /// The name in the manifest. It is the `plugin` label of metrics.
    fn name(&self) -> &str;

    /// Answers one request.
    ///
    /// The future resolves with the head of the response; its body may go on after that. Dropping the
    /// future abandons the call, dropping the response's body abandons the rest of the answer: both end
    /// the instance that worked on it and nothing else.
    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>>;

    /// How it tells a client of a failure that happened before [`HttpService::call`], or that `call` returned. `None`, which
    /// is the default, is the gateway's problem document.
    fn refuse(&self, _failure: &Failure, _request_id: &str) -> Option<Response<Body>> {
        None
    }
}

/// An extension of a response that tells the client of a failure in a form of its own: for the log and the metrics.
#[derive(Clone, Debug)]
pub struct Refused(pub Failure);

/// The host-wide account of memory that grows with load. Implemented by `wharf-budget`.
pub trait Memory: Send + Sync + 'static {
    /// Takes `bytes` from the budget, or says that there is no room; never waits.
    fn reserve(&self, what: MemoryUse, bytes: u64) -> Option<Reservation>;
}

/// What memory is taken for. It is the label `what` of `wharf_memory_reserved_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// Instances of plugins: memories, tables, stacks, and what the host keeps for each.
    Instances,
    /// Slots of the pool that instances were in, and that stay resident for the next ones.
    Slots,
    /// Bodies of requests and responses that are held whole.
    Bodies,
    /// Values on their way to the store, or held for a plugin.
    Values,
    /// Connections to other services.
    Connections,
    /// Processes that compile.
    Compile,
    /// Core dumps on their way to the disk.
    CoreDumps,
}

impl MemoryUse {
    /// Every use.
    pub const ALL: [MemoryUse; 7] = [
        MemoryUse::Instances,
        MemoryUse::Slots,
        MemoryUse::Bodies,
        MemoryUse::Values,
        MemoryUse::Connections,
        MemoryUse::Compile,
        MemoryUse::CoreDumps,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            MemoryUse::Instances => "instances",
            MemoryUse::Slots => "slots",
            MemoryUse::Bodies => "bodies",
            MemoryUse::Values => "values",
            MemoryUse::Connections => "connections",
            MemoryUse::Compile => "compile",
            MemoryUse::CoreDumps => "core_dumps",
        }
    }
}

/// Memory that was taken from the budget. It is given back on drop.
pub struct Reservation {
    bytes: u64,
    account: Arc<dyn Account>,
}

/// The account that a [`Reservation`] pays into and is paid back from.
pub trait Account: Send + Sync + 'static {
    /// Takes `bytes`; false when there is no room for them.
    fn take(&self, bytes: u64) -> bool;
    /// Gives back `bytes` that were taken before.
    fn give_back(&self, bytes: u64);
}

impl Reservation {
    /// Takes `bytes` from `account`, or nothing.
    pub fn new(account: Arc<dyn Account>, bytes: u64) -> Option<Self> {
        // Not `then_some`: a refused reservation must not exist, its drop would give back what was never taken.
        account.take(bytes).then(|| Reservation { bytes, account })
    }

    /// Takes `more` on top; false, with nothing changed, when there is no room.
    pub fn grow(&mut self, more: u64) -> bool {
        let Some(sum) = self.bytes.checked_add(more) else { return false };
        let granted = self.account.take(more);
        if granted {
            self.bytes = sum;
        }
        granted
    }

    /// Takes `part` of it, or all that it holds if that is less, as a reservation of its own.
    #[must_use]
    pub fn split(&mut self, part: u64) -> Self {
        let bytes = part.min(self.bytes);
        self.bytes -= bytes;
        Reservation { bytes, account: self.account.clone() }
    }

    /// Adds what `other` holds, which was taken for the same.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({} bytes)", self.bytes)
    }
}

/// The running host, seen from the admin API. Implemented by `app`.
pub trait Control: Send + Sync + 'static {
    /// What concerns the host as a whole.
    fn host(&self) -> HostStatus;

    /// Every plugin of the manifest, sorted by name.
    fn plugins(&self) -> Vec<PluginStatus>;

    /// Makes a new generation of the plugin `name` from the bytes of a component and swaps to it.
    ///
    /// Resolves when the new generation serves, or when it is clear that it never will; the old one serves
    /// until then and, after a refusal, goes on. Dropping the future does not stop a swap half-way.
    fn load<'a>(&'a self, name: &'a str, component: Bytes) -> BoxFuture<'a, Result<PluginStatus, Refusal>>;

    /// Swaps back to the component that served before the current one, as a new generation.
    fn rollback<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginStatus, Refusal>>;

    /// Records what the plugin `name` computes for as long as `time`, at most five minutes: a profile in the JSON
    /// format of the Firefox profiler. Dropping the future ends the recording.
    fn profile<'a>(&'a self, name: &'a str, time: Duration) -> BoxFuture<'a, Result<Bytes, Refusal>>;

    /// Calls the function `function` of the plugin `name`, as INTERFACE.FUNCTION, with named parameters in JSON.
    ///
    /// The response is that of the REST door: the value in JSON, lines of it where the function streams, or a problem
    /// document. Dropping the future, or the response's body, abandons the call.
    fn call<'a>(
        &'a self,
        name: &'a str,
        function: &'a str,
        arguments: Bytes,
    ) -> BoxFuture<'a, Result<Response<Body>, Refusal>>;

    /// Whether requests can be served now; the text says why not.
    fn readiness(&self) -> Result<(), String>;
}

/// Why the running host did not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which step refused.
    pub stage: Stage,
    /// What was wrong and, where there is one, the line to write.
    pub message: String,
}

impl Refusal {
    /// The most of a message that is kept, in bytes. It goes to the log and into the plugin's status, and what it
    /// quotes, such as names and a guest's own words, is as long as the component likes.
    pub const MESSAGE_BYTES_MAX: usize = 16 << 10;

    /// A refusal of `stage`.
    pub fn new(stage: Stage, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(Self::MESSAGE_BYTES_MAX));
            message.push('…');
        }
        Refusal { stage, message }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage.name(), self.message)
    }
}

impl std::error::Error for Refusal {}

/// The steps on the way to a new generation, in their order, then what else can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// There is no plugin, or no earlier generation, of that name.
    Find,
    /// The manifest is not valid.
    Manifest,
    /// The component could not be read.
    Read,
    /// The bytes are not a component, or not one that the host understands.
    Inspect,
    /// The component imports something that was not granted.
    Grant,
    /// The component does not compile.
    Compile,
    /// No instance could be made.
    Instantiate,
    /// `lifecycle.start` failed.
    Start,
    /// `lifecycle.health` failed.
    Health,
    /// Its functions do not go together with the manifest, or with those of other plugins.
    Contract,
    /// What a plugin computes could not be recorded.
    Profile,
}

impl Stage {
    /// The name on the wire and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Find => "find",
            Stage::Manifest => "manifest",
            Stage::Read => "read",
            Stage::Inspect => "inspect",
            Stage::Grant => "grant",
            Stage::Compile => "compile",
            Stage::Instantiate => "instantiate",
            Stage::Start => "start",
            Stage::Health => "health",
            Stage::Contract => "contract",
            Stage::Profile => "profile",
        }
    }
}

/// The host as a whole, as `GET /plugins` shows it beside the plugins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostStatus {
    /// The path of the manifest that it runs.
    pub manifest: String,
    /// Why the manifest's newest version is not the one that is in force, if it is not.
    pub manifest_refused: Option<RefusedLoad>,
}

/// One plugin of a running host, as `GET /plugins` and `wharf plugin list` show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginStatus {
    /// The name in the manifest.
    pub name: String,
    /// The generation that serves.
    pub serving: GenerationStatus,
    /// The component that a rollback would go back to.
    pub previous: Option<GenerationStatus>,
    /// Older generations that still finish requests.
    pub draining: Vec<u64>,
    /// The newest attempt that was refused since the serving generation was loaded.
    pub refused: Option<RefusedLoad>,
}

/// One generation of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerationStatus {
    /// Counts up from 1 with each load since the host started.
    pub generation: u64,
    /// What the component is: `wharf:plugin/handler@0.1.0` and the like.
    pub world: String,
    /// SHA-256 of the component's bytes, in hex.
    pub sha256: String,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// Where the bytes came from: a path, or `admin API`.
    pub source: String,
    /// When it was loaded, in seconds since 1970 (UTC).
    pub loaded_at_s: u64,
    /// Instances that exist now.
    pub instances: u64,
    /// Calls that are running now.
    pub in_flight: u64,
    /// Why it is held back, while it does nothing but crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
}

/// A load that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusedLoad {
    /// When, in seconds since 1970 (UTC).
    pub at_s: u64,
    /// Where the bytes came from.
    pub source: String,
    /// Why.
    #[serde(flatten)]
    pub refusal: Refusal,
}
