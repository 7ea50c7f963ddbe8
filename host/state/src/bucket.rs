//! A bucket as the running host knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;
use tokio::sync::Semaphore;

/// A name that the manifest gave, and what goes with it while the host runs.
pub(crate) struct Bucket {
    name: String,
    /// Relaxed, like `used`: each is read and written on its own.
    bytes_max: AtomicU64,
    /// What the newest commit has stored. The table on disk is the truth; this is for looking at.
    used: AtomicU64,
    used_gauge: Gauge,
    /// The bytes of the writer's queue that this bucket may take: a plugin that writes without end waits
    /// for itself.
    pub(crate) share: Arc<Semaphore>,
}

impl Bucket {
    pub(crate) fn new(name: &str, used: u64, bytes_max: u64, share_bytes: usize) -> Self {
        let bucket = Bucket {
            name: name.to_owned(),
            bytes_max: AtomicU64::new(bytes_max),
            used: AtomicU64::new(0),
            used_gauge: metrics::gauge!("wharf_kv_bucket_bytes", "bucket" => name.to_owned()),
            share: Arc::new(Semaphore::new(share_bytes)),
        };
        bucket.set_used(used);
        bucket
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bytes_max(&self, bytes: u64) {
        self.bytes_max.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn set_used(&self, bytes: u64) {
        self.used.store(bytes, Ordering::Relaxed);
        self.used_gauge.set(bytes as f64);
    }
}
