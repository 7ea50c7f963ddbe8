//! What is in the file, and how layers get there.
//!
//! Each bucket is a table of its own, `bucket/NAME`. The table `used` counts the bytes of its keys and
//! values, and the table `meta` has the version of this layout and the [`Mark`] of the log.
//!
//! Invariant: `used` changes in the transaction that changes the bucket. A crash between the two would make
//! the quota wrong for ever.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use crate::effects::Effect;
use crate::view::Layer;

pub(crate) const USED: TableDefinition<'_, &str, u64> = TableDefinition::new("used");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// 1 had no log.
const LAYOUT: u64 = 2;

/// The storage has failed. Everything else that can go wrong with an operation is a
/// [`KeyValueError`](wharf_call::KeyValueError).
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) redb::Error);

impl Fault {
    pub(crate) fn new(error: impl Into<redb::Error>) -> Self {
        Fault(error.into())
    }

    pub(crate) fn in_the_log(error: io::Error) -> Self {
        Fault(redb::Error::Io(io::Error::new(error.kind(), format!("the log: {error}"))))
    }
}

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

/// Makes the changes of `layers` in `transaction`, the newer over the older.
pub(crate) fn apply<'a>(
    transaction: &WriteTransaction,
    layers: impl Iterator<Item = &'a Arc<Layer>>,
) -> Result<(), Fault> {
    // Only the last value of a key counts, and redb likes its keys in their order.
    let mut newest = BTreeMap::new();
    for effect in layers.flat_map(|layer| layer.each()) {
        newest.insert((effect.bucket, effect.key), effect.value);
    }
    let mut group = Group::new(transaction)?;
    for ((bucket, key), value) in newest {
        group.set(&Effect { bucket, key, value })?;
    }
    group.finish()
}

/// The buckets that one write transaction changes.
pub(crate) struct Group<'t> {
    transaction: &'t WriteTransaction,
    used: Table<'t, &'static str, u64>,
    buckets: HashMap<String, Touched<'t>>,
}

struct Touched<'t> {
    table: Table<'t, &'static str, &'static [u8]>,
    used_before: u64,
    used: u64,
}

impl<'t> Group<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Group { transaction, used: transaction.open_table(USED)?, buckets: HashMap::new() })
    }

    /// Gives a key what it has after `effect`, without asking for the quota.
    pub(crate) fn set(&mut self, Effect { bucket, key, value }: &Effect<'_>) -> Result<(), Fault> {
        let Touched { table, used, .. } = self.touch(bucket)?;
        let size = |value: &[u8]| (key.len() + value.len()) as u64;
        let before = match value {
            Some(value) => table.insert(*key, *value)?,
            None => table.remove(*key)?,
        };
        let before = before.map_or(0, |before| size(before.value()));
        *used = (*used + value.map_or(0, size)).saturating_sub(before);
        Ok(())
    }

    /// Writes down how full each bucket is that was changed.
    pub(crate) fn finish(mut self) -> Result<(), Fault> {
        for (name, Touched { used_before, used, .. }) in self.buckets {
            if used != used_before {
                self.used.insert(name.as_str(), used)?;
            }
        }
        Ok(())
    }

    fn touch(&mut self, bucket: &str) -> Result<&mut Touched<'t>, Fault> {
        if !self.buckets.contains_key(bucket) {
            let table = self.transaction.open_table(TableDefinition::new(&table_name(bucket)))?;
            let used = self.used.get(bucket)?.map_or(0, |used| used.value());
            self.buckets.insert(bucket.to_owned(), Touched { table, used_before: used, used });
        }
        Ok(self.buckets.get_mut(bucket).expect("inserted above"))
    }
}

pub(crate) fn table_name(bucket: &str) -> String {
    format!("bucket/{bucket}")
}
