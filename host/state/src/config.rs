//! What a store may hold, and how much may be on its way there.

/// The limits of a [`State`](crate::State). They may change from one opening to the next: what is stored
/// already stays readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many bytes the keys and values of one bucket may have together, unless
    /// [`State::provide`](crate::State::provide) says otherwise. Default: 64 MiB.
    pub bucket_bytes_max: u64,
    /// How many bytes one value may have. Default: 1 MiB.
    pub value_bytes_max: u64,
    /// How many keys one call may read or write. Default: 1,000.
    pub batch_entries_max: usize,
    /// How many bytes of keys and values a call with several keys may read or write. Default: 4 MiB.
    pub batch_bytes_max: u64,
    /// How many keys are in one page of a list; at least 1. Default: 1,000.
    pub page_keys_max: usize,
    /// How many bytes of writes may wait for the disk; a write that finds no room waits outside. One bucket
    /// takes at most a quarter of it. Default: 32 MiB.
    pub queue_bytes: u64,
    /// How many reads may run at the same time, each on a thread of the blocking pool; at least 1.
    /// Default: 8.
    pub readers: usize,
    /// How many bytes of the file are kept in memory. Default: 32 MiB.
    pub cache_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bucket_bytes_max: 64 << 20,
            value_bytes_max: 1 << 20,
            batch_entries_max: 1_000,
            batch_bytes_max: 4 << 20,
            page_keys_max: 1_000,
            queue_bytes: 32 << 20,
            readers: 8,
            cache_bytes: 32 << 20,
        }
    }
}
