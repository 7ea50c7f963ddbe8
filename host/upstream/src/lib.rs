//! Outbound HTTP, and the peers of plugins that open TCP connections themselves: what a plugin sends into the
//! world, and what it must not reach.
//!
//! An [`Upstream`] belongs to the host, and makes one [`PluginEgress`] for each generation of a plugin that
//! was granted origins. Connections are pooled per plugin, so that no plugin travels on another's grant, and
//! a grant that was taken back ends with the generation that had it.
//!
//! Invariant: the address that is connected to is the one that was checked. Names are resolved here, once for
//! each connection, and sockets are opened to addresses only; nothing below looks a name up again.
//!
//! It deliberately does not: read proxy settings from the environment, cache names or responses, keep
//! cookies, decompress, retry what may have had effects, or know what a guest is.
//!
//! Start with `egress.rs`, the life of a call as one list; then `address.rs`, `connect.rs` and `pool.rs`.

mod config;

mod egress;
mod redirect;

mod address;
mod connect;
mod peers;
mod pool;
mod resolve;
mod tls;

mod download;
mod exchange;
mod fields;
mod upload;

mod failures;
mod metrics;
mod refusals;

#[cfg(test)]
mod tests;

pub use address::AddressKind;
pub use config::Config;
pub use egress::{PluginEgress, Upstream};
pub use peers::PluginPeers;
pub use resolve::{Resolve, SystemResolver};
pub use tls::RootsError;
