//! What a store tells about itself, by way of the `metrics` facade.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, histogram};

/// The handles are made once: looking one up for each operation would cost more than counting it.
pub(crate) struct Operations {
    pub(crate) get: Counter,
    pub(crate) get_many: Counter,
    pub(crate) exists: Counter,
    pub(crate) list_keys: Counter,
    pub(crate) write: Counter,
    pub(crate) increment: Counter,
    pub(crate) swap: Counter,
}

impl Operations {
    pub(crate) fn new() -> Self {
        describe_counter!("wharf_kv_operations_total", "Calls on key-value buckets");
        describe_gauge!("wharf_kv_bucket_bytes", "Bytes of keys and values that a bucket holds");
        let of = |op: &'static str| counter!("wharf_kv_operations_total", "op" => op);
        Operations {
            get: of("get"),
            get_many: of("get_many"),
            exists: of("exists"),
            list_keys: of("list_keys"),
            write: of("write"),
            increment: of("increment"),
            swap: of("swap"),
        }
    }
}

/// What the writer measures.
pub(crate) struct Commits {
    seconds: Histogram,
    operations: Histogram,
    checkpoint_seconds: Histogram,
}

impl Commits {
    pub(crate) fn new() -> Self {
        describe_histogram!("wharf_kv_commit_seconds", "Time to write a group and flush it to the disk");
        describe_histogram!("wharf_kv_commit_operations", "Writes that shared one flush");
        describe_histogram!("wharf_kv_checkpoint_seconds", "Time to empty the log into the store's file");
        Commits {
            seconds: histogram!("wharf_kv_commit_seconds"),
            operations: histogram!("wharf_kv_commit_operations"),
            checkpoint_seconds: histogram!("wharf_kv_checkpoint_seconds"),
        }
    }

    pub(crate) fn committed(&self, took: Duration, operations: usize) {
        self.seconds.record(took.as_secs_f64());
        self.operations.record(operations as f64);
    }

    pub(crate) fn checkpoint(&self, took: Duration) {
        self.checkpoint_seconds.record(took.as_secs_f64());
    }
}
