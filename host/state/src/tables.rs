//! What is in the file, and what each operation does to it.
//!
//! Each bucket is a table of its own, `bucket/NAME`. The table `used` counts the bytes of its keys and
//! values, and the table `meta` has the version of this layout and the [`Mark`] of the log.
//!
//! Invariant: `used` changes in the transaction that changes the bucket. A crash between the two would make
//! the quota wrong for ever.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;
use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, StorageError,
    Table, TableDefinition, TableError, WriteTransaction,
};
use wharf_call::{Change, KeyPage, KeyValueError, Swap};

use crate::bucket::Bucket;
use crate::effects::Effects;

const USED: TableDefinition<'_, &str, u64> = TableDefinition::new("used");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// 1 had no log.
const LAYOUT: u64 = 2;

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

/// What of the log comes after what the file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The number of the log.
    pub(crate) log: u64,
    /// The round whose records come after this commit.
    pub(crate) round: u64,
    /// Whether the store was closed: there are no such records.
    pub(crate) closed: bool,
}

/// The layout is that of a newer host.
#[derive(Debug)]
pub(crate) struct Newer;

/// The mark of the newest checkpoint; `None` in a new file.
pub(crate) fn read_mark(database: &Database) -> Result<Result<Option<Mark>, Newer>, redb::Error> {
    let meta = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Ok(None)),
        Err(error) => return Err(error.into()),
    };
    let number =
        |name| -> Result<Option<u64>, StorageError> { Ok(meta.get(name)?.map(|found| found.value())) };
    if number("layout")?.is_some_and(|layout| layout > LAYOUT) {
        return Ok(Err(Newer));
    }
    Ok(Ok(match (number("log")?, number("log_round")?, number("log_closed")?) {
        (Some(log), Some(round), Some(closed)) => Some(Mark { log, round, closed: closed != 0 }),
        _ => None,
    }))
}

/// How full each bucket is.
pub(crate) fn read_used(transaction: &WriteTransaction) -> Result<HashMap<String, u64>, redb::Error> {
    let mut found = HashMap::new();
    for entry in transaction.open_table(USED)?.iter()? {
        let (name, used) = entry?;
        found.insert(name.value().to_owned(), used.value());
    }
    Ok(found)
}

/// Makes everything durable that `transaction` and those before it did, and sets the mark.
///
/// Two flushes: the pages first, then the byte that makes them valid. So the newest commit needs no proof
/// when the file is opened after a crash, and with the list of free pages that is stored too, the file is
/// not read as a whole then.
pub(crate) fn checkpoint(mut transaction: WriteTransaction, mark: Mark) -> Result<(), redb::Error> {
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert("layout", LAYOUT)?;
        meta.insert("log", mark.log)?;
        meta.insert("log_round", mark.round)?;
        meta.insert("log_closed", u64::from(mark.closed))?;
    }
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction.commit()?)
}

/// The buckets that one write transaction has touched.
pub(crate) struct Group<'t> {
    transaction: &'t WriteTransaction,
    used: Table<'t, &'static str, u64>,
    buckets: HashMap<String, Touched<'t>>,
    effects: Effects,
}

/// What is left to do for a group that changed something.
pub(crate) struct Finished {
    /// How full each bucket is that changed.
    pub(crate) used: HashMap<String, u64>,
    pub(crate) effects: Effects,
}

struct Touched<'t> {
    table: Table<'t, &'static str, &'static [u8]>,
    used: u64,
    changed: bool,
}

impl<'t> Group<'t> {
    /// Begins a group whose effects are kept up to `effects_bytes_max`.
    pub(crate) fn new(transaction: &'t WriteTransaction, effects_bytes_max: usize) -> Result<Self, Fault> {
        let used = transaction.open_table(USED)?;
        let effects = Effects::new(effects_bytes_max);
        Ok(Group { transaction, used, buckets: HashMap::new(), effects })
    }

    /// Does `operation`, or refuses it and changes nothing.
    pub(crate) fn apply(
        &mut self,
        bucket: &Bucket,
        operation: &Operation,
    ) -> Result<Result<Done, KeyValueError>, Fault> {
        let Group { transaction, used, buckets, effects } = self;
        let touched = touch(transaction, used, buckets, bucket.name())?;
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
            if touched.make(change)? {
                effects.push(bucket.name(), change);
            }
        }
        Ok(Ok(done))
    }

    /// Makes a change that was made before, without asking for the quota.
    pub(crate) fn redo(&mut self, bucket: &str, change: &Change) -> Result<(), Fault> {
        let touched = touch(self.transaction, &self.used, &mut self.buckets, bucket)?;
        touched.used = touched.used_after(std::slice::from_ref(change))?;
        touched.make(change)?;
        Ok(())
    }

    /// Writes down how full each bucket that changed is; `None` when none has.
    pub(crate) fn finish(mut self) -> Result<Option<Finished>, Fault> {
        let mut all = HashMap::new();
        for (name, touched) in self.buckets.drain().filter(|(_, touched)| touched.changed) {
            let before = self.used.get(name.as_str())?.map(|used| used.value());
            if before != Some(touched.used) {
                self.used.insert(name.as_str(), touched.used)?;
            }
            all.insert(name, touched.used);
        }
        Ok((!all.is_empty()).then_some(Finished { used: all, effects: self.effects }))
    }
}

/// The bucket `name` in the group of `transaction`.
fn touch<'g, 't>(
    transaction: &'t WriteTransaction,
    used: &Table<'t, &'static str, u64>,
    buckets: &'g mut HashMap<String, Touched<'t>>,
    name: &str,
) -> Result<&'g mut Touched<'t>, Fault> {
    if !buckets.contains_key(name) {
        let table = transaction.open_table(TableDefinition::new(&table_name(name)))?;
        let used = used.get(name)?.map_or(0, |used| used.value());
        buckets.insert(name.to_owned(), Touched { table, used, changed: false });
    }
    Ok(buckets.get_mut(name).expect("inserted above"))
}

impl Touched<'_> {
    /// Makes `change`, and returns whether there was something to do.
    fn make(&mut self, change: &Change) -> Result<bool, Fault> {
        let made = match change {
            Change::Set { key, value } => {
                self.table.insert(key.as_str(), value.as_ref())?;
                true
            }
            Change::Delete { key } => self.table.remove(key.as_str())?.is_some(),
        };
        self.changed |= made;
        Ok(made)
    }

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
