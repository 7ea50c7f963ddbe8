//! The store as the host holds it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use redb::Database;
use wharf_call::{BoxFuture, Change, KeyPage, KeyValue, KeyValueError, Swap};

use crate::bucket::Bucket;
use crate::file::{FILE_NAME, LogFile, lock_dir, open_in};
use crate::log::Place;
use crate::metrics::Operations;
use crate::plan::{Done, Operation};
use crate::reader::Reader;
use crate::recovery::recover;
use crate::tables::Fault;
use crate::view::{Published, Snapshot};
use crate::writer::Writer;
use crate::{Config, OpenError};

/// What the tests set otherwise.
pub(crate) struct Tuning {
    /// How large a new log is. A larger one has fewer checkpoints, each of which keeps writers waiting
    /// for longer; and it is read once after a crash.
    pub(crate) log_bytes: usize,
    /// After how much time without a write the log is emptied.
    pub(crate) idle: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { log_bytes: 8 << 20, idle: Duration::from_secs(1) }
    }
}

/// Key-value buckets in one file and its log.
///
/// A new store has no bucket: [`provide`](State::provide) each one that the manifest names.
///
/// On a runtime of more than one thread, a writer who is alone waits for the disk on its own thread, by
/// [`tokio::task::block_in_place`]: not for tasks of a `LocalSet`, where that panics.
///
/// Dropping it finishes the writes that were accepted, empties the log, ends its thread and closes the
/// files; that blocks for a few flushes. A read whose caller went away may keep the file open until it
/// ends.
///
/// Metrics: `wharf_kv_operations_total{op}`, `wharf_kv_commit_seconds`, `wharf_kv_commit_operations`,
/// `wharf_kv_checkpoint_seconds`, `wharf_kv_bucket_bytes{bucket}`. They go to the recorder that is
/// installed when the store is opened.
pub struct State {
    config: Config,
    /// How full each bucket of the file was when it was opened.
    stored: HashMap<String, u64>,
    buckets: RwLock<HashMap<String, Arc<Bucket>>>,
    operations: Operations,
    // Before the reader: the writer ends its work before the file is closed.
    writer: Writer,
    reader: Reader,
    /// Keeps other processes out of the folder; last, because the file is closed first. A store on a
    /// storage of its own has none.
    _lock: Option<File>,
}

impl State {
    /// Opens the store in the folder `dir`, `<data>/state`, and makes what is not there: the folder with
    /// mode 0700 and the files `kv.redb`, `kv.log` and `lock` with mode 0600. The log has 8 MiB.
    ///
    /// Blocks. After a crash the log is read once, and what it has is done again. To copy a store, close
    /// it and copy `kv.redb`: then the log is empty, and it is made again where it is missing. After a
    /// crash `kv.redb` and `kv.log` belong together.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. Only one process at a time can have a store open.
    pub fn open(dir: &Path, config: Config) -> Result<State, OpenError> {
        let lock = lock_dir(dir)?;
        let database = open_in(dir, &config)?;
        let mut state =
            State::start(database, &dir.join(FILE_NAME), &LogFile::new(dir), config, &Tuning::default())?;
        state._lock = Some(lock);
        Ok(state)
    }

    /// The store in `database`, which errors call `path`, with its log in `place`.
    pub(crate) fn start(
        database: Database,
        path: &Path,
        place: &dyn Place,
        config: Config,
        tuning: &Tuning,
    ) -> Result<State, OpenError> {
        let database = Arc::new(database);
        let (log, stored) = recover(&database, path, place, tuning.log_bytes)?;
        let published = Published::new(database).map_err(|Fault(error)| OpenError::storage(path, error))?;
        let published = Arc::new(published);
        let writer = Writer::start(published.clone(), log, tuning.idle, config.queue_bytes)
            .map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        let reader = Reader::new(published, config.readers);
        let operations = Operations::new();
        Ok(State { config, stored, buckets: RwLock::default(), operations, writer, reader, _lock: None })
    }

    /// Provides the bucket `name`, with room for `bytes_max` bytes of keys and values
    /// ([`Config::bucket_bytes_max`] when `None`); changes that limit when the bucket is there already.
    ///
    /// A bucket stays until the store is closed: a plugin's generation that was replaced may still use it.
    /// A limit below what is stored refuses what would make the bucket larger and nothing else.
    pub fn provide(&self, name: &str, bytes_max: Option<u64>) {
        let bytes_max = bytes_max.unwrap_or(self.config.bucket_bytes_max);
        let mut buckets = self.buckets.write();
        if let Some(bucket) = buckets.get(name) {
            bucket.set_bytes_max(bytes_max);
            return;
        }
        let used = self.stored.get(name).copied().unwrap_or(0);
        let bucket = Bucket::new(name, used, bytes_max, self.writer.share_bytes());
        buckets.insert(name.to_owned(), Arc::new(bucket));
    }

    /// How many bytes of keys and values the bucket `name` holds; `None` when it was not provided.
    pub fn used_bytes(&self, name: &str) -> Option<u64> {
        self.buckets.read().get(name).map(|bucket| bucket.used())
    }

    fn bucket(&self, name: &str) -> Result<Arc<Bucket>, KeyValueError> {
        self.buckets.read().get(name).cloned().ok_or(KeyValueError::NoSuchBucket)
    }
}

impl KeyValue for State {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Bytes>, KeyValueError>> {
        Box::pin(async move {
            self.operations.get.increment(1);
            let bucket = self.bucket(bucket)?;
            self.config.check_key(key)?;
            let key = key.to_owned();
            self.reader.read(bucket.name(), move |found| Ok(Ok(found.get(&key)?))).await
        })
    }

    fn get_many<'a>(
        &'a self,
        bucket: &'a str,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, KeyValueError>> {
        Box::pin(async move {
            self.operations.get_many.increment(1);
            let bucket = self.bucket(bucket)?;
            self.config.check_entries(keys.len())?;
            keys.iter().try_for_each(|key| self.config.check_key(key))?;
            let (keys, config) = (keys.to_owned(), self.config.clone());
            let work = move |found: &Snapshot<'_>| {
                let mut values = Vec::with_capacity(keys.len());
                let mut bytes = 0;
                for key in &keys {
                    let value = found.get(key)?;
                    bytes += value.as_ref().map_or(0, Bytes::len);
                    if let Err(refusal) = config.check_sum(keys.len(), bytes) {
                        return Ok(Err(refusal));
                    }
                    values.push(value);
                }
                Ok(Ok(values))
            };
            self.reader.read(bucket.name(), work).await
        })
    }

    fn exists<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<bool, KeyValueError>> {
        Box::pin(async move {
            self.operations.exists.increment(1);
            let bucket = self.bucket(bucket)?;
            self.config.check_key(key)?;
            let key = key.to_owned();
            self.reader.read(bucket.name(), move |found| Ok(Ok(found.length(&key)?.is_some()))).await
        })
    }

    fn list_keys<'a>(
        &'a self,
        bucket: &'a str,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>> {
        Box::pin(async move {
            self.operations.list_keys.increment(1);
            let bucket = self.bucket(bucket)?;
            cursor.map_or(Ok(()), |cursor| self.config.check_key(cursor))?;
            let cursor = cursor.map(str::to_owned);
            let keys_max = self.config.page_keys_max.max(1);
            let work = move |found: &Snapshot<'_>| Ok(Ok(found.page(cursor.as_deref(), keys_max)?));
            self.reader.read(bucket.name(), work).await
        })
    }

    fn write<'a>(
        &'a self,
        bucket: &'a str,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<(), KeyValueError>> {
        Box::pin(async move {
            self.operations.write.increment(1);
            let bucket = self.bucket(bucket)?;
            self.config.check_changes(&changes)?;
            match self.writer.write(bucket, Operation::Write(changes)).await? {
                Done::Written => Ok(()),
                other => unreachable!("a write was answered with {other:?}"),
            }
        })
    }

    fn increment<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        delta: i64,
    ) -> BoxFuture<'a, Result<i64, KeyValueError>> {
        Box::pin(async move {
            self.operations.increment.increment(1);
            let bucket = self.bucket(bucket)?;
            self.config.check_key(key)?;
            match self.writer.write(bucket, Operation::Increment { key: key.to_owned(), delta }).await? {
                Done::Sum(sum) => Ok(sum),
                other => unreachable!("an increment was answered with {other:?}"),
            }
        })
    }

    fn swap<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        seen: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'a, Result<Swap, KeyValueError>> {
        Box::pin(async move {
            self.operations.swap.increment(1);
            let bucket = self.bucket(bucket)?;
            self.config.check_key(key)?;
            self.config.check_value(&value)?;
            let operation = Operation::Swap { key: key.to_owned(), seen, value };
            match self.writer.write(bucket, operation).await? {
                Done::Swap(swap) => Ok(swap),
                other => unreachable!("a swap was answered with {other:?}"),
            }
        })
    }
}
