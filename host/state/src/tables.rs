//! What is in the file, and what each operation does to it.
//!
//! Each bucket is a table of its own, `bucket/NAME`. The table `used` counts the bytes of its keys and
//! values, and the table `meta` has the version of this layout.
//!
//! Invariant: `used` changes in the transaction that changes the bucket. A crash between the two would make
//! the quota wrong for ever.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableTable, StorageError, Table, TableDefinition,
    TableError, WriteTransaction,
};
use wharf_call::{Change, KeyPage, KeyValueError, Swap};

use crate::bucket::Bucket;

const USED: TableDefinition<'_, &str, u64> = TableDefinition::new("used");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const LAYOUT: u64 = 1;

/// The storage has failed. Everything else that can go wrong with an operation is a [`KeyValueError`].
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) redb::Error);

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        Fault(error.into())
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Fault(error.into())
    }
}

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

/// Makes the tables of a new file, and reads how full each bucket is. `None` when the layout is newer.
pub(crate) fn prepare(database: &Database) -> Result<Option<HashMap<String, u64>>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut found = HashMap::new();
    {
        let mut meta = transaction.open_table(META)?;
        let layout = meta.get("layout")?.map(|layout| layout.value());
        match layout {
            Some(LAYOUT) => {}
            None => drop(meta.insert("layout", LAYOUT)?),
            Some(_) => return Ok(None),
        }
        for entry in transaction.open_table(USED)?.iter()? {
            let (name, used) = entry?;
            found.insert(name.value().to_owned(), used.value());
        }
    }
    transaction.commit()?;
    Ok(Some(found))
}

/// The buckets that one write transaction has touched.
pub(crate) struct Group<'t> {
    transaction: &'t WriteTransaction,
    used: Table<'t, &'static str, u64>,
    buckets: HashMap<String, Touched<'t>>,
}

struct Touched<'t> {
    table: Table<'t, &'static str, &'static [u8]>,
    used: u64,
    changed: bool,
}

impl<'t> Group<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        let used = transaction.open_table(USED)?;
        Ok(Group { transaction, used, buckets: HashMap::new() })
    }

    /// Does `operation`, or refuses it and changes nothing.
    pub(crate) fn apply(
        &mut self,
        bucket: &Bucket,
        operation: &Operation,
    ) -> Result<Result<Done, KeyValueError>, Fault> {
        let touched = self.touch(bucket.name())?;
        let set = |key: &String, value: Bytes| Cow::Owned(vec![Change::Set { key: key.clone(), value }]);
        let (changes, done) = match operation {
            Operation::Write(changes) => (Cow::Borrowed(changes.as_slice()), Done::Written),
            Operation::Increment { key, delta } => match touched.sum(key, *delta)? {
                Ok(sum) => (set(key, Bytes::from(sum.to_string())), Done::Sum(sum)),
                Err(refusal) => return Ok(Err(refusal)),
            },
            Operation::Swap { key, seen, value } => {
                let current = touched.table.get(key.as_str())?;
                let current = current.map(|current| Bytes::copy_from_slice(current.value()));
                if current != *seen {
                    return Ok(Ok(Done::Swap(Swap::Changed(current))));
                }
                (set(key, value.clone()), Done::Swap(Swap::Swapped))
            }
        };
        let used = touched.used_after(&changes)?;
        let limit = bucket.bytes_max();
        if used > touched.used && used > limit {
            return Ok(Err(KeyValueError::QuotaExceeded { bucket: bucket.name().to_owned(), limit }));
        }
        touched.used = used;
        for change in changes.iter() {
            touched.changed |= match change {
                Change::Set { key, value } => {
                    touched.table.insert(key.as_str(), value.as_ref())?;
                    true
                }
                Change::Delete { key } => touched.table.remove(key.as_str())?.is_some(),
            };
        }
        Ok(Ok(done))
    }

    /// Writes down how full each bucket that changed is, and returns it; `None` when none has.
    pub(crate) fn finish(mut self) -> Result<Option<HashMap<String, u64>>, Fault> {
        let mut all = HashMap::new();
        for (name, touched) in self.buckets.drain().filter(|(_, touched)| touched.changed) {
            let before = self.used.get(name.as_str())?.map(|used| used.value());
            if before != Some(touched.used) {
                self.used.insert(name.as_str(), touched.used)?;
            }
            all.insert(name, touched.used);
        }
        Ok((!all.is_empty()).then_some(all))
    }

    fn touch(&mut self, name: &str) -> Result<&mut Touched<'t>, Fault> {
        if !self.buckets.contains_key(name) {
            let table = self.transaction.open_table(TableDefinition::new(&table_name(name)))?;
            let used = self.used.get(name)?.map_or(0, |used| used.value());
            self.buckets.insert(name.to_owned(), Touched { table, used, changed: false });
        }
        Ok(self.buckets.get_mut(name).expect("inserted above"))
    }
}

impl Touched<'_> {
    fn sum(&self, key: &str, delta: i64) -> Result<Result<i64, KeyValueError>, Fault> {
        let number = match self.table.get(key)? {
            None => Some(0),
            Some(value) => std::str::from_utf8(value.value()).ok().and_then(|text| text.parse::<i64>().ok()),
        };
        Ok(match number {
            None => Err(KeyValueError::NotANumber),
            Some(number) => number.checked_add(delta).ok_or(KeyValueError::Overflow),
        })
    }

    /// How full the bucket is after `changes`.
    fn used_after(&self, changes: &[Change]) -> Result<u64, Fault> {
        let mut used = self.used;
        // What a key has after the changes so far; only needed when it may come twice.
        let mut sizes = HashMap::new();
        for change in changes {
            let key = change.key();
            let size = |value: usize| (key.len() + value) as u64;
            let before = match sizes.get(key) {
                Some(size) => *size,
                None => self.table.get(key)?.map_or(0, |value| size(value.value().len())),
            };
            let after = change.value().map_or(0, |value| size(value.len()));
            used = (used + after).saturating_sub(before);
            if changes.len() > 1 {
                sizes.insert(key, after);
            }
        }
        Ok(used)
    }
}

/// One bucket at one moment.
pub(crate) struct Snapshot(Option<ReadOnlyTable<&'static str, &'static [u8]>>);

impl Snapshot {
    pub(crate) fn open(transaction: &ReadTransaction, bucket: &str) -> Result<Self, Fault> {
        match transaction.open_table(TableDefinition::new(&table_name(bucket))) {
            Ok(table) => Ok(Snapshot(Some(table))),
            // Nothing was ever written to it.
            Err(TableError::TableDoesNotExist(_)) => Ok(Snapshot(None)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let Some(table) = &self.0 else { return Ok(None) };
        Ok(table.get(key)?.map(|value| Bytes::copy_from_slice(value.value())))
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool, Fault> {
        let Some(table) = &self.0 else { return Ok(false) };
        Ok(table.get(key)?.is_some())
    }

    /// Up to `keys_max` keys, beginning after `cursor`.
    pub(crate) fn page(&self, cursor: Option<&str>, keys_max: usize) -> Result<KeyPage, Fault> {
        let Some(table) = &self.0 else { return Ok(KeyPage::default()) };
        // A cursor is the last key of its page: it keeps its place when that key is deleted.
        let begin = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = KeyPage::default();
        for entry in table.range::<&str>((begin, Bound::Unbounded))? {
            if page.keys.len() == keys_max {
                page.cursor = page.keys.last().cloned();
                break;
            }
            page.keys.push(entry?.0.value().to_owned());
        }
        Ok(page)
    }
}

fn table_name(bucket: &str) -> String {
    format!("bucket/{bucket}")
}
