//! What the host keeps on disk: the buckets of keys and values that plugins are granted.
//!
//! [`State`] implements the port [`wharf_call::KeyValue`] on one redb file and a write-ahead log. A write
//! is on the disk when it returns. One thread owns all writing, and takes whatever waits for it as one
//! group, so that the price of a flush is shared: alone, a write costs one flush of one page; among many, a
//! fraction of that.
//!
//! This crate deliberately does not: know plugins or grants (a bucket is a name that the manifest gave),
//! keep anything in memory that the disk does not have, spread data over machines, or try to go on after
//! the disk refused a write (see `writer.rs`).
//!
//! Another engine takes the place of this one behind the same port; what redb and the log themselves run
//! on is a trait too ([`redb::StorageBackend`]), and the tests break it.
//!
//! Start with [`State`], then `writer.rs`, `log.rs` and `recovery.rs`, then `tables.rs`.

mod bucket;
mod config;
mod effects;
mod file;
mod limits;
mod log;
mod metrics;
mod reader;
mod recovery;
mod state;
mod tables;
mod writer;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use file::OpenError;
pub use state::State;
