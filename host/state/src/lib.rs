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
//! # How fast
//!
//! `cargo bench -p wharf-state`, 128 bytes per value, two cores, ext4 on a virtual disk; operations per second, means of
//! slices in turn, in which each log was emptied many times. The first two runs were made while the machine compiled
//! beside it, the third while it did nothing else:
//!
//! | | busy | busy | quiet |
//! |---|---|---|---|
//! | one page and `fdatasync`, as a probe | 1,787 | 2,020 | 6,846 |
//! | raw redb, one writer | 748 | 814 | 2,297 |
//! | one writer | 1,931: 1.08 x the probe | 1,779: 0.88 x the probe | 3,794: 0.55 x the probe |
//! | 32 writers | 30,378: 15.7 x one writer | 30,408: 17.1 x one writer | 53,072: 14.0 x one writer |
//! | one reader, 32 readers | 20,476, 52,890 | 38,523, 74,883 | 35,464, 95,125 |
//!
//! A write of one writer spent, in the median of the first run, 7 us on its way to the thread, 18 us on its
//! transaction, 181 us (mean: 406 us) on the log and 27 us on the commit. Where the disk is slow it decides; where a
//! flush takes 146 us, as in the third run, what is around it and the waking of two threads nearly double it.
//! The log is written with `pwrite` and `fdatasync`: `RWF_DSYNC`, `O_DSYNC` and `O_DIRECT` were no faster.
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
