//! Components become callable services.
//!
//! The engine reads a component, decides by its exports what it is, checks its imports against its grants,
//! compiles it, and serves calls with a pool of its instances; a [`Plugin`] swaps one generation for the
//! next while requests run. It is, with `wharf-bindings`, the only part of the host that knows wasmtime.
//!
//! It deliberately does not: read files or the manifest, open sockets, or decide when to load what.
//!
//! Start with [`Plugin`] (`catalog.rs`), then follow a call: `exchange.rs`, `lease.rs`, `instance.rs`,
//! `worlds/`. What bounds a guest is in `limits.rs`, `enforcer.rs`, `epoch.rs` and `memory.rs`; what it is offered in `imports/`.

mod answer;
mod berth;
mod capabilities;
mod catalog;
mod compile;
mod config;
mod cores;
mod driven;
mod enforcer;
mod epoch;
mod exchange;
mod framing;
mod generation;
mod imports;
mod inspect;
mod instance;
mod item_body;
mod item_pipe;
mod lease;
mod limits;
mod log_gate;
mod memory;
mod metrics;
mod pipe;
#[doc(hidden)] // For the benchmark, which compares it with simpler ones.
pub mod pool;
mod probe;
mod profile;
mod request_body;
mod response_body;
mod restarts;
mod runtime;
mod schema;
mod service;
mod shared;
mod slice;
mod socket;
mod state;
#[cfg(test)]
mod testing;
mod time_limit;
mod trap;
mod turns;
mod upkeep;
mod values;
mod worlds;

pub use capabilities::Ports;
pub use catalog::{Candidate, Plugin};
pub use compile::{CompileCommand, compile_worker};
pub use config::{DirGrant, DirGrants, EngineConfig, Grants, Isolation, PluginConfig, PoolConfig, Residency};
pub use inspect::{ImportUse, Inspection, Need, inspect, sha256_hex};
pub use limits::Limits;
#[doc(hidden)] // For the benchmark.
pub use probe::Conversion;
pub use runtime::{Artifact, Engine};
pub use schema::embed_wit;
