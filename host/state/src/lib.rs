//! What the host keeps on disk: the buckets of keys and values that plugins are granted.
//!
//! [`State`] implements the port [`wharf_call::KeyValue`] on one redb file and a write-ahead log. A write
//! is on the disk when it returns. Whoever writes alone does it where it runs; those who come together are
//! one group of one thread, so that the price of a flush is shared: alone, a write costs one flush of one page;
//! among many, a fraction of that.
//!
//! This crate deliberately does not: know plugins or grants (a bucket is a name that the manifest gave),
//! keep anything in memory that the disk does not have, spread data over machines, or try to go on after
//! the disk refused a write (see `committer.rs`).
//!
//! Another engine takes the place of this one behind the same port; what redb and the log themselves run
//! on is a trait too ([`redb::StorageBackend`]), and the tests break it.
//!
//! # How fast
//!
//! `cargo bench -p wharf-state`, 128 bytes per value, two cores, ext4 on a virtual disk, nothing else running;
//! operations per second, means of slices in turn, in which each log was emptied many times:
//!
//! | | | |
//! |---|---|---|
//! | one page and `fdatasync`, as a probe | 9,700 | |
//! | raw redb, one writer | 3,268 | |
//! | one writer | 8,968 | 0.92 x the probe |
//! | 32 writers | 106,454 | 11.9 x one writer |
//! | one reader, 32 readers | 50,878, 120,813 | |
//!
//! What made one writer what it is, each measured against its predecessor in runs next to each other: redb out of
//! the way of a small write (0.55 to 0.70 x the probe), the log past the page cache (0.70 to 0.74 and 0.76), and no
//! thread between (0.92). A thread that looked for the next write before it slept made it 0.63: these two cores
//! share what they compute with. `sync_file_range`, and a second thread for redb or for the flush, were no faster.
//! A reader waits for a thread that may wait for the disk: that is nearly all of its time.
//!
//! Start with [`State`], then `writer.rs`, `committer.rs`, `view.rs`, `log.rs` and `recovery.rs`, then `tables.rs`.

mod bucket;
mod committer;
mod config;
mod effects;
mod file;
mod limits;
mod log;
mod metrics;
mod pages;
mod plan;
mod reader;
mod recovery;
mod state;
mod tables;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use file::OpenError;
pub use state::State;
