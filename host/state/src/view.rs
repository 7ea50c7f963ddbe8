//! What readers see: the newest checkpoint, and over it what is in the log.
//!
//! A group becomes a *layer* when it has been flushed in the log. Layers are in memory, until the next
//! checkpoint gives all of them to redb (`committer.rs`). Whoever reads looks through the layers first, the
//! newest before the others, and then into redb.
//!
//! A view never changes. The writer publishes a new one after each flush, which shares most layers with the
//! one before. Invariant: a layer has at least twice as many keys as the one over it; what is smaller is made
//! one with it. So there are few layers to look through, and a key is copied from one to another only as many
//! times.
//!
//! A view keeps the pages of its commit in redb from being used again. A checkpoint publishes a view of its
//! own, so that is one older commit at most, and one for each read that is still running.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition, TableError};
use wharf_call::KeyPage;

use crate::effects::Effect;
use crate::tables::{Fault, USED, table_name};

/// The place where the newest view is found.
pub(crate) struct Published {
    view: RwLock<Arc<View>>,
    // Behind the view: a database is closed after the last look at it.
    database: Arc<Database>,
}

impl Published {
    /// Shows what `database` has.
    pub(crate) fn new(database: Arc<Database>) -> Result<Self, Fault> {
        Ok(Published { view: RwLock::new(Arc::new(View::open(&database)?)), database })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Shows `view` from now on. Call it only when everything that is in it has been flushed.
    pub(crate) fn publish(&self, view: View) {
        let view = Arc::new(view);
        // The lock is not held while the one before is closed.
        let _before = std::mem::replace(&mut *self.view.write(), view);
    }
}

/// The store at one moment.
pub(crate) struct View {
    base: Arc<Base>,
    /// The oldest first.
    layers: Vec<Arc<Layer>>,
}

/// What a checkpoint has.
struct Base {
    transaction: ReadTransaction,
    used: Option<ReadOnlyTable<&'static str, u64>>,
    /// The buckets that were looked at. Without a table when redb has nothing of it.
    buckets: Mutex<HashMap<String, Arc<Option<BucketTable>>>>,
}

type BucketTable = ReadOnlyTable<&'static str, &'static [u8]>;

/// What one or more groups did, by bucket.
#[derive(Clone, Default)]
pub(crate) struct Layer {
    buckets: BTreeMap<Arc<str>, Changed>,
    keys: usize,
}

/// What was done to a bucket.
#[derive(Clone)]
pub(crate) struct Changed {
    /// How full it is afterwards.
    pub(crate) used: u64,
    /// What each key that changed has afterwards.
    pub(crate) values: BTreeMap<Arc<str>, Option<Bytes>>,
}

impl Layer {
    pub(crate) fn new(buckets: BTreeMap<Arc<str>, Changed>) -> Self {
        let keys = buckets.values().map(|changed| changed.values.len()).sum();
        Layer { buckets, keys }
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&Changed> {
        self.buckets.get(name)
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = Effect<'_>> {
        self.buckets.iter().flat_map(|(bucket, changed)| {
            changed.values.iter().map(|(key, value)| Effect { bucket, key, value: value.as_deref() })
        })
    }

    /// This layer and `newer` over it as one.
    fn under(&self, newer: &Layer) -> Self {
        let mut buckets = self.buckets.clone();
        for (name, changed) in &newer.buckets {
            match buckets.get_mut(name) {
                Some(Changed { used, values }) => {
                    *used = changed.used;
                    values.extend(changed.values.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                None => drop(buckets.insert(name.clone(), changed.clone())),
            }
        }
        Layer::new(buckets)
    }
}

impl View {
    /// What `database` has, and no layer over it.
    pub(crate) fn open(database: &Database) -> Result<Self, Fault> {
        let transaction = database.begin_read().map_err(Fault::new)?;
        let used = found(transaction.open_table(USED))?;
        let base = Base { transaction, used, buckets: Mutex::default() };
        Ok(View { base: Arc::new(base), layers: Vec::new() })
    }

    /// This view, and `layer` over it.
    pub(crate) fn with(&self, mut layer: Arc<Layer>) -> Self {
        let mut layers = self.layers.clone();
        while let Some(below) = layers.pop_if(|below| below.keys < 2 * layer.keys) {
            layer = Arc::new(below.under(&layer));
        }
        layers.push(layer);
        View { base: self.base.clone(), layers }
    }

    /// What redb has not yet, the oldest first.
    pub(crate) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// How many keys the layers have.
    pub(crate) fn keys(&self) -> usize {
        self.layers.iter().map(|layer| layer.keys).sum()
    }

    pub(crate) fn bucket<'v>(&'v self, name: &'v str) -> Result<Snapshot<'v>, Fault> {
        Ok(Snapshot { name, table: self.base.bucket(name)?, layers: &self.layers })
    }

    /// How full the bucket `name` is.
    pub(crate) fn used(&self, name: &str) -> Result<u64, Fault> {
        if let Some(changed) = self.layers.iter().rev().find_map(|layer| layer.bucket(name)) {
            return Ok(changed.used);
        }
        let Some(used) = &self.base.used else { return Ok(0) };
        Ok(used.get(name)?.map_or(0, |used| used.value()))
    }
}

impl Base {
    fn bucket(&self, name: &str) -> Result<Arc<Option<BucketTable>>, Fault> {
        if let Some(table) = self.buckets.lock().get(name) {
            return Ok(table.clone());
        }
        // Not under the lock: this may wait for the disk.
        let table = Arc::new(found(self.transaction.open_table(TableDefinition::new(&table_name(name))))?);
        Ok(self.buckets.lock().entry(name.to_owned()).or_insert(table).clone())
    }
}

/// One bucket at one moment.
pub(crate) struct Snapshot<'v> {
    name: &'v str,
    table: Arc<Option<BucketTable>>,
    layers: &'v [Arc<Layer>],
}

impl Snapshot<'_> {
    pub(crate) fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        if let Some(value) = self.layered(key) {
            return Ok(value.clone());
        }
        let Some(table) = &*self.table else { return Ok(None) };
        Ok(table.get(key)?.map(|value| Bytes::copy_from_slice(value.value())))
    }

    /// How long the value of `key` is.
    pub(crate) fn length(&self, key: &str) -> Result<Option<usize>, Fault> {
        if let Some(value) = self.layered(key) {
            return Ok(value.as_ref().map(Bytes::len));
        }
        let Some(table) = &*self.table else { return Ok(None) };
        Ok(table.get(key)?.map(|value| value.value().len()))
    }

    /// Up to `keys_max` keys, beginning after `cursor`.
    pub(crate) fn page(&self, cursor: Option<&str>, keys_max: usize) -> Result<KeyPage, Fault> {
        // A cursor is the last key of its page: it keeps its place when that key is deleted.
        let range = (cursor.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        // The newest first, and the table under them.
        let changed = self.layers.iter().rev().filter_map(|layer| layer.bucket(self.name));
        let mut layers: Vec<_> =
            changed.map(|changed| changed.values.range::<str, _>(range).peekable()).collect();
        let mut stored = (*self.table).as_ref().map(|table| table.range::<&str>(range)).transpose()?;
        let mut next_stored = || -> Result<Option<Arc<str>>, Fault> {
            let next = stored.as_mut().and_then(Iterator::next).transpose()?;
            Ok(next.map(|(key, _)| key.value().into()))
        };
        let mut next = next_stored()?;
        let mut page = KeyPage::default();
        loop {
            let layered = layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| *key));
            let Some(key) = layered.chain(&next).min().cloned() else { return Ok(page) };
            let mut is_there = None;
            for layer in &mut layers {
                if let Some((_, value)) = layer.next_if(|(next, _)| **next == key) {
                    is_there.get_or_insert(value.is_some());
                }
            }
            if next.as_ref() == Some(&key) {
                next = next_stored()?;
            }
            if is_there == Some(false) {
                continue;
            }
            if page.keys.len() == keys_max {
                page.cursor = page.keys.last().cloned();
                return Ok(page);
            }
            page.keys.push(key.as_ref().to_owned());
        }
    }

    /// What the newest layer that has `key` says of it.
    fn layered(&self, key: &str) -> Option<&Option<Bytes>> {
        let changed = self.layers.iter().rev().filter_map(|layer| layer.bucket(self.name));
        changed.filter_map(|changed| changed.values.get(key)).next()
    }
}

fn found<T>(table: Result<T, TableError>) -> Result<Option<T>, Fault> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
