//! The sizes that are checked before anything is copied or queued.

use bytes::Bytes;
use wharf_call::{Change, KEY_BYTES_MAX, KeyValueError};

use crate::Config;

impl Config {
    pub(crate) fn check_key(&self, key: &str) -> Result<(), KeyValueError> {
        if key.is_empty() {
            return Err(KeyValueError::EmptyKey);
        }
        at_most(key.len(), KEY_BYTES_MAX as u64, "bytes of a key")
    }

    pub(crate) fn check_value(&self, value: &Bytes) -> Result<(), KeyValueError> {
        at_most(value.len(), self.value_bytes_max, "bytes of a value")
    }

    /// Checks what a call writes.
    pub(crate) fn check_changes(&self, changes: &[Change]) -> Result<(), KeyValueError> {
        self.check_entries(changes.len())?;
        let mut sum = 0;
        for change in changes {
            self.check_key(change.key())?;
            change.value().map_or(Ok(()), |value| self.check_value(value))?;
            sum += change.key().len() + change.value().map_or(0, Bytes::len);
        }
        self.check_sum(changes.len(), sum)
    }

    pub(crate) fn check_entries(&self, entries: usize) -> Result<(), KeyValueError> {
        at_most(entries, self.batch_entries_max as u64, "keys in one call")
    }

    /// Checks the bytes of a call with several keys. One key alone is bounded by its own limits.
    pub(crate) fn check_sum(&self, entries: usize, bytes: usize) -> Result<(), KeyValueError> {
        if entries > 1 { at_most(bytes, self.batch_bytes_max, "bytes in one call") } else { Ok(()) }
    }
}

fn at_most(size: usize, limit: u64, what: &'static str) -> Result<(), KeyValueError> {
    if size as u64 <= limit { Ok(()) } else { Err(KeyValueError::TooLarge { what, limit }) }
}
