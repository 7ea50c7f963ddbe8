//! The key-value store as plugins reach it: opened when one of them is granted a bucket, and not before.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use wharf_call::{BoxFuture, Change, KeyPage, KeyValue, KeyValueError, Swap};
use wharf_state::{Config, State};

use crate::manifest::Manifest;

/// Where the store is, within the host's data.
const DIR: &str = "state";

/// All buckets of the host. One that was granted once stays until the host ends, because a generation that
/// was replaced may still use it; who may open which is checked by the engine.
pub(crate) struct Buckets {
    dir: PathBuf,
    config: Config,
    open: OnceLock<State>,
}

impl Buckets {
    /// The buckets of a host that starts with `manifest`. Nothing is opened yet.
    pub(crate) fn new(manifest: &Manifest) -> Arc<Self> {
        let (dir, config) = (manifest.app.data.join(DIR), manifest.key_value.config.clone());
        Arc::new(Buckets { dir, config, open: OnceLock::new() })
    }

    /// Provides every bucket that `manifest` grants and that is not there yet, before any plugin starts.
    /// Those that are there stay as they are: the manifest may still be refused.
    ///
    /// # Errors
    /// Why the store cannot be opened.
    pub(crate) async fn provide(self: &Arc<Self>, manifest: &Manifest) -> Result<(), String> {
        let granted: Vec<_> = manifest.buckets().into_iter().collect();
        if granted.is_empty() {
            return Ok(());
        }
        if self.open.get().is_none() {
            let buckets = self.clone();
            // After a crash the whole file is read.
            let opened =
                tokio::task::spawn_blocking(move || State::open(&buckets.dir, buckets.config.clone()));
            let state = match opened.await {
                Ok(Ok(state)) => state,
                Ok(Err(error)) => return Err(format!("the key-value store cannot be used: {error}")),
                Err(_) => return Err("opening the key-value store panicked".to_owned()),
            };
            // Changes happen one at a time, so nobody else has opened it meanwhile.
            let _ = self.open.set(state);
        }
        if let Some(state) = self.open.get() {
            for (name, quota) in granted.iter().filter(|(name, _)| state.used_bytes(name).is_none()) {
                state.provide(name, Some(*quota));
            }
        }
        Ok(())
    }

    /// `manifest` is applied: from now on its quotas hold.
    pub(crate) fn applied(&self, manifest: &Manifest) {
        if let Some(state) = self.open.get() {
            for (name, quota) in manifest.buckets() {
                state.provide(&name, Some(quota));
            }
        }
    }

    fn state(&self) -> Result<&State, KeyValueError> {
        self.open.get().ok_or(KeyValueError::NoSuchBucket)
    }

    fn with<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a State) -> BoxFuture<'a, Result<T, KeyValueError>>,
    ) -> BoxFuture<'a, Result<T, KeyValueError>> {
        match self.state() {
            Ok(state) => ask(state),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

impl KeyValue for Buckets {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Bytes>, KeyValueError>> {
        self.with(|state| state.get(bucket, key))
    }

    fn get_many<'a>(
        &'a self,
        bucket: &'a str,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, KeyValueError>> {
        self.with(|state| state.get_many(bucket, keys))
    }

    fn exists<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<bool, KeyValueError>> {
        self.with(|state| state.exists(bucket, key))
    }

    fn list_keys<'a>(
        &'a self,
        bucket: &'a str,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>> {
        self.with(|state| state.list_keys(bucket, cursor))
    }

    fn write<'a>(
        &'a self,
        bucket: &'a str,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<(), KeyValueError>> {
        self.with(|state| state.write(bucket, changes))
    }

    fn increment<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        delta: i64,
    ) -> BoxFuture<'a, Result<i64, KeyValueError>> {
        self.with(|state| state.increment(bucket, key, delta))
    }

    fn swap<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        seen: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'a, Result<Swap, KeyValueError>> {
        self.with(|state| state.swap(bucket, key, seen, value))
    }
}
