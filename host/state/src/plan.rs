//! What a group of operations comes to, before anything is changed.
//!
//! A group is decided on what readers see, which is all that was acknowledged, and on what the operations
//! before it in the group have decided. What is left is, for each key, the value that it has afterwards: that
//! goes into the log, and is shown when it has been flushed there (`committer.rs`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use wharf_call::{Change, KeyValueError, Swap};

use crate::bucket::Bucket;
use crate::tables::Fault;
use crate::view::{Changed, Layer, Snapshot, View};

/// What the writer does to a bucket.
pub(crate) enum Operation {
    Write(Vec<Change>),
    Increment { key: String, delta: i64 },
    Swap { key: String, seen: Option<Bytes>, value: Bytes },
}

impl Operation {
    /// The memory that it holds while it waits, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        // What an operation costs beside its keys and values: the entries of the queue, and allocations.
        const OVERHEAD: usize = 256;
        OVERHEAD
            + match self {
                Operation::Write(changes) => changes
                    .iter()
                    .map(|change| {
                        size_of::<Change>() + change.key().len() + change.value().map_or(0, Bytes::len)
                    })
                    .sum(),
                Operation::Increment { key, .. } => key.len(),
                Operation::Swap { key, seen, value } => {
                    key.len() + seen.as_ref().map_or(0, Bytes::len) + value.len()
                }
            }
    }
}

/// What an operation answers.
#[derive(Debug)]
pub(crate) enum Done {
    Written,
    Sum(i64),
    Swap(Swap),
}

/// What the operations of a group have decided so far.
pub(crate) struct Plan<'j> {
    view: &'j View,
    buckets: BTreeMap<&'j str, Planned<'j>>,
}

struct Planned<'j> {
    before: Snapshot<'j>,
    after: Changed,
}

impl<'j> Plan<'j> {
    pub(crate) fn new(view: &'j View) -> Self {
        Plan { view, buckets: BTreeMap::new() }
    }

    /// Decides on `operation`: what it answers, or why it is refused and changes nothing.
    pub(crate) fn decide(
        &mut self,
        bucket: &'j Bucket,
        operation: &'j Operation,
    ) -> Result<Result<Done, KeyValueError>, Fault> {
        let planned = match self.buckets.entry(bucket.name()) {
            Entry::Occupied(planned) => planned.into_mut(),
            Entry::Vacant(place) => {
                let used = self.view.used(bucket.name())?;
                let before = self.view.bucket(bucket.name())?;
                place.insert(Planned { before, after: Changed { used, values: BTreeMap::new() } })
            }
        };
        Ok(match operation {
            Operation::Write(changes) => {
                let changes = changes.iter().map(|change| (change.key(), change.value().cloned()));
                planned.change(bucket, changes)?.map(|()| Done::Written)
            }
            Operation::Increment { key, delta } => match planned.sum(key, *delta)? {
                Ok(sum) => {
                    let value = Bytes::from(sum.to_string());
                    planned.change(bucket, [(key.as_str(), Some(value))])?.map(|()| Done::Sum(sum))
                }
                Err(refusal) => Err(refusal),
            },
            Operation::Swap { key, seen, value } => {
                let current = planned.get(key)?;
                if current == *seen {
                    let change = (key.as_str(), Some(value.clone()));
                    planned.change(bucket, [change])?.map(|()| Done::Swap(Swap::Swapped))
                } else {
                    Ok(Done::Swap(Swap::Changed(current)))
                }
            }
        })
    }

    /// What changes; `None` when each operation was refused, or found things as it wanted them.
    pub(crate) fn finish(self) -> Option<Layer> {
        let changed = self.buckets.into_iter().filter(|(_, planned)| !planned.after.values.is_empty());
        let changed: BTreeMap<_, _> = changed.map(|(name, planned)| (name.into(), planned.after)).collect();
        (!changed.is_empty()).then(|| Layer::new(changed))
    }
}

impl Planned<'_> {
    fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        self.after.values.get(key).map_or_else(|| self.before.get(key), |value| Ok(value.clone()))
    }

    /// How long the value of `key` is.
    fn length(&self, key: &str) -> Result<Option<usize>, Fault> {
        self.after
            .values
            .get(key)
            .map_or_else(|| self.before.length(key), |value| Ok(value.as_ref().map(Bytes::len)))
    }

    fn sum(&self, key: &str, delta: i64) -> Result<Result<i64, KeyValueError>, Fault> {
        let number = match self.get(key)? {
            None => Some(0),
            Some(value) => std::str::from_utf8(&value).ok().and_then(|text| text.parse::<i64>().ok()),
        };
        Ok(match number {
            None => Err(KeyValueError::NotANumber),
            Some(number) => number.checked_add(delta).ok_or(KeyValueError::Overflow),
        })
    }

    /// Takes all of `changes`, or none of them when the bucket would be too full.
    fn change<'c>(
        &mut self,
        bucket: &Bucket,
        changes: impl IntoIterator<Item = (&'c str, Option<Bytes>)>,
    ) -> Result<Result<(), KeyValueError>, Fault> {
        let mut used = self.after.used;
        let mut values = BTreeMap::<Arc<str>, Option<Bytes>>::new();
        for (key, value) in changes {
            let before = match values.get(key) {
                Some(value) => value.as_ref().map(Bytes::len),
                None => self.length(key)?,
            };
            if before.is_none() && value.is_none() {
                continue;
            }
            let size = |length: Option<usize>| length.map_or(0, |length| (key.len() + length) as u64);
            used = (used + size(value.as_ref().map(Bytes::len))).saturating_sub(size(before));
            values.insert(key.into(), value);
        }
        let limit = bucket.bytes_max();
        if used > self.after.used && used > limit {
            return Ok(Err(KeyValueError::QuotaExceeded { bucket: bucket.name().to_owned(), limit }));
        }
        self.after.used = used;
        self.after.values.extend(values);
        Ok(Ok(()))
    }
}
