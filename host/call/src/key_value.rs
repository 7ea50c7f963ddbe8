//! The port to what plugins keep under keys: everything that wasi:keyvalue@0.2.0-draft2 needs of a host.
//!
//! Implemented by `wharf-state`, by fakes in tests. Whoever holds the port may use every bucket: that a
//! plugin was granted the bucket it names is checked before it gets here.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::BoxFuture;

/// The largest key in bytes. Keys are UTF-8 and have at least one byte.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Named buckets of keys and values.
///
/// Two plugins that were granted the same bucket share it: each sees what the other writes.
///
/// **Durability.** A write that has returned `Ok` survives the death of the process and of the machine. A
/// write that has returned a refusal changed nothing. After [`KeyValueError::Unavailable`] it is not known
/// whether the write is kept; it is kept whole or not at all.
///
/// **Order.** Who has seen a write return sees it in each later read. Writes happen one after the other;
/// a read sees all of a write or nothing of it.
///
/// **Cancellation.** Every future may be dropped at any time. Dropping one does not undo a write that was
/// handed over: whether it happens is then unknown to the caller, as with a lost connection.
///
/// **Limits.** Keys have 1 to [`KEY_BYTES_MAX`] bytes. The implementation bounds the size of a value, the
/// number and the sum of what one call writes or reads, and what a bucket holds; each has its own
/// [`KeyValueError`].
pub trait KeyValue: Send + Sync + 'static {
    /// The value of `key`, or `None` when there is none.
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Bytes>, KeyValueError>>;

    /// The values of `keys`, in their order, all from the same moment.
    fn get_many<'a>(
        &'a self,
        bucket: &'a str,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, KeyValueError>>;

    /// Whether `key` has a value.
    fn exists<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<bool, KeyValueError>>;

    /// One page of the bucket's keys, sorted by their bytes: the first page without a cursor, and then the
    /// one after the cursor of the page before.
    ///
    /// A cursor never expires. A key that exists during the whole walk is in exactly one page; one that is
    /// inserted or deleted meanwhile is in one page or in none.
    fn list_keys<'a>(
        &'a self,
        bucket: &'a str,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>>;

    /// Makes all of `changes`, in their order, or none of them.
    fn write<'a>(&'a self, bucket: &'a str, changes: Vec<Change>)
    -> BoxFuture<'a, Result<(), KeyValueError>>;

    /// Adds `delta` to the number that `key` holds and returns the sum; a key without a value counts as 0.
    ///
    /// The number is stored as decimal text, `-17`, as Redis and most hosts of wasi:keyvalue do it, so
    /// [`get`](Self::get) shows it as a person would write it, and a number that was set as text can be
    /// counted on.
    ///
    /// # Errors
    ///
    /// [`KeyValueError::NotANumber`] when the value is anything but the decimal text of an `i64`, and
    /// [`KeyValueError::Overflow`] when the sum is not an `i64`; the value then stays as it was.
    fn increment<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        delta: i64,
    ) -> BoxFuture<'a, Result<i64, KeyValueError>>;

    /// Sets `key` to `value` if it still holds what the caller has `seen`, where `None` is a key without a
    /// value.
    fn swap<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        seen: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'a, Result<Swap, KeyValueError>>;
}

/// One change to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives `key` a value, in place of the one it had.
    Set {
        /// The key.
        key: String,
        /// Its new value. It may be empty, which is not the same as no value.
        value: Bytes,
    },
    /// Takes the value of `key` away; nothing happens when it has none.
    Delete {
        /// The key.
        key: String,
    },
}

impl Change {
    /// The key that changes.
    pub fn key(&self) -> &str {
        match self {
            Change::Set { key, .. } | Change::Delete { key } => key,
        }
    }

    /// The value that the key has afterwards.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Change::Set { value, .. } => Some(value),
            Change::Delete { .. } => None,
        }
    }
}

/// Some of a bucket's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// Keys in the order of their bytes.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` when this is the last one.
    pub cursor: Option<String>,
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The key had the value that was seen, and has the new one now.
    Swapped,
    /// Somebody else was faster; the value that the key has now.
    Changed(Option<Bytes>),
}

/// Why a call on a bucket did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValueError {
    /// The host has no bucket of that name.
    NoSuchBucket,
    /// A key has no bytes.
    EmptyKey,
    /// Something has more bytes, or more entries, than it may have.
    TooLarge {
        /// What, with its unit: `bytes of a key`.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// The write would make the bucket larger than it may be. One that makes it smaller is always accepted.
    QuotaExceeded {
        /// The bucket.
        bucket: String,
        /// How many bytes its keys and values may have together.
        limit: u64,
    },
    /// The value to add to is not a number.
    NotANumber,
    /// The sum does not fit into 64 bits.
    Overflow,
    /// The storage does not work. The text is for the log, not for guests: it may name paths.
    Unavailable(String),
}

impl KeyValueError {
    /// The error as a guest may read it.
    pub fn public(&self) -> String {
        match self {
            KeyValueError::Unavailable(_) => "the key-value store does not work at present".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValueError::NoSuchBucket => write!(f, "there is no bucket of that name"),
            KeyValueError::EmptyKey => write!(f, "a key needs at least one byte"),
            KeyValueError::TooLarge { what, limit } => write!(f, "more than {limit} {what}"),
            KeyValueError::QuotaExceeded { bucket, limit } => {
                write!(f, "the bucket {bucket:?} would hold more than {limit} bytes")
            }
            KeyValueError::NotANumber => write!(f, "the value is not a decimal number of 64 bits"),
            KeyValueError::Overflow => write!(f, "the sum does not fit into 64 bits"),
            KeyValueError::Unavailable(why) => write!(f, "the key-value store does not work: {why}"),
        }
    }
}

impl Error for KeyValueError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_does_not_read_what_is_private() {
        let error = KeyValueError::Unavailable("/var/lib/wharf: disk on fire".to_owned());
        assert!(!error.public().contains("fire") && error.to_string().contains("fire"));
        let limit = KeyValueError::TooLarge { what: "bytes of a key", limit: 1_024 };
        assert_eq!(limit.public(), "more than 1024 bytes of a key");
    }
}
