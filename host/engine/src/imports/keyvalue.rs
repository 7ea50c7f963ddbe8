//! `wasi:keyvalue@0.2.0-draft2`: the buckets that `grants.keyvalue` names, through the port
//! [`wharf_call::KeyValue`].
//!
//! A guest waits in these calls like in any other: its instance serves nobody else meanwhile, it is billed no
//! CPU, and `limits.wall` ends it.
//!
//! Invariant: the size of what a guest hands over is checked before the first await. wasmtime copies it before
//! anything here runs, bounded by the fuel of one host call; what is too large is gone within the same poll, so
//! that no more of such copies exist than the host has threads. What waits for the disk is taken from the
//! host's memory budget.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Result as Trap;
use wasmtime::component::Resource;
use wharf_bindings::keyvalue_0_2::wasi::keyvalue::atomics::{self, Cas, CasError};
use wharf_bindings::keyvalue_0_2::wasi::keyvalue::batch;
use wharf_bindings::keyvalue_0_2::wasi::keyvalue::store::{self, Bucket, Error, KeyResponse};
use wharf_call::{Change, KeyValue, KeyValueError, LimitKey, MemoryUse, Reservation, Swap};

use crate::state::State;

/// A bucket that a guest has opened. Everybody who may open it may do everything with it.
struct Open {
    name: Arc<str>,
}

/// A key as a guest has seen it, to be swapped.
struct Seen {
    bucket: Arc<str>,
    key: String,
    value: Option<Bytes>,
    /// The memory that `value` takes, until the handle is dropped.
    held: Reservation,
}

/// The values that one instance keeps in its handles.
#[derive(Default)]
pub(crate) struct Values {
    bytes: u64,
}

impl store::Host for State {
    async fn open(&mut self, identifier: String) -> Trap<Result<Resource<Bucket>, Error>> {
        let granted = &self.enforcer.plugin.grants.keyvalue;
        if !granted.contains(&identifier) {
            let name = &self.enforcer.plugin.name;
            self.log.refused("keyvalue", || {
                // What a guest calls a bucket is bounded before it is written down.
                let shown: String = identifier.chars().take(64).collect();
                let granted = granted.iter().cloned().chain([shown.clone()]).collect::<Vec<_>>();
                format!(
                    "plugin {name:?} opens the bucket {shown:?}, which it was not granted. Add to wharf.toml:\n  \
                     [plugin.{name}.grants]\n  keyvalue = {granted:?}"
                )
            });
            return Ok(Err(Error::AccessDenied));
        }
        Ok(self.keep(Open { name: identifier.into() }))
    }
}

impl store::HostBucket for State {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Trap<Result<Option<Vec<u8>>, Error>> {
        let (port, bucket) = self.opened(&bucket)?;
        let value = port.get(&bucket, &key).await;
        Ok(self.told(value).map(|value| value.map(Vec::from)))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Trap<Result<(), Error>> {
        self.write(&bucket, vec![Change::Set { key, value: value.into() }]).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Trap<Result<(), Error>> {
        self.write(&bucket, vec![Change::Delete { key }]).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Trap<Result<bool, Error>> {
        let (port, bucket) = self.opened(&bucket)?;
        let exists = port.exists(&bucket, &key).await;
        Ok(self.told(exists))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Trap<Result<KeyResponse, Error>> {
        let (port, bucket) = self.opened(&bucket)?;
        let page = port.list_keys(&bucket, cursor.as_deref()).await;
        Ok(self.told(page).map(|page| KeyResponse { keys: page.keys, cursor: page.cursor }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Trap<()> {
        self.table.delete(Resource::<Open>::new_own(bucket.rep()))?;
        Ok(())
    }
}

impl atomics::Host for State {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Trap<Result<i64, Error>> {
        let (port, bucket) = self.opened(&bucket)?;
        self.had_an_effect();
        let sum = port.increment(&bucket, &key, delta).await;
        Ok(self.told(sum))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Trap<Result<(), CasError>> {
        let Seen { bucket, key, value: seen, held } =
            self.table.delete(Resource::<Seen>::new_own(cas.rep()))?;
        self.values.bytes -= held.bytes();
        drop(held);
        let _held = match self.reserve(value.len()) {
            Ok(held) => held,
            Err(refused) => return Ok(Err(CasError::StoreError(refused))),
        };
        let port = self.enforcer.berth.ports.key_value.clone();
        self.had_an_effect();
        let swapped = port.swap(&bucket, &key, seen, value.into()).await;
        Ok(match self.told(swapped) {
            Ok(Swap::Swapped) => Ok(()),
            Ok(Swap::Changed(now)) => Err(match self.see(bucket, key, now) {
                Ok(cas) => CasError::CasFailed(cas),
                Err(error) => CasError::StoreError(error),
            }),
            Err(error) => Err(CasError::StoreError(error)),
        })
    }
}

impl atomics::HostCas for State {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Trap<Result<Resource<Cas>, Error>> {
        let (port, bucket) = self.opened(&bucket)?;
        let value = port.get(&bucket, &key).await;
        Ok(self.told(value).and_then(|value| self.see(bucket, key, value)))
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Trap<Result<Option<Vec<u8>>, Error>> {
        let seen = self.table.get(&Resource::<Seen>::new_borrow(cas.rep()))?;
        Ok(Ok(seen.value.as_ref().map(|value| value.to_vec())))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> Trap<()> {
        let seen = self.table.delete(Resource::<Seen>::new_own(cas.rep()))?;
        self.values.bytes -= seen.held.bytes();
        Ok(())
    }
}

/// The standard lets a batch be made in part; here it is made whole or not at all.
impl batch::Host for State {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Trap<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        let (port, bucket) = self.opened(&bucket)?;
        let values = port.get_many(&bucket, &keys).await;
        Ok(self.told(values).map(|values| {
            let pairs = keys.into_iter().zip(values);
            pairs.map(|(key, value)| value.map(|value| (key, value.into()))).collect()
        }))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> Trap<Result<(), Error>> {
        let set = |(key, value): (String, Vec<u8>)| Change::Set { key, value: value.into() };
        self.write(&bucket, key_values.into_iter().map(set).collect()).await
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Trap<Result<(), Error>> {
        self.write(&bucket, keys.into_iter().map(|key| Change::Delete { key }).collect()).await
    }
}

impl State {
    /// The port, and the name of an open bucket.
    fn opened(&self, bucket: &Resource<Bucket>) -> Trap<(Arc<dyn KeyValue>, Arc<str>)> {
        let open = self.table.get(&Resource::<Open>::new_borrow(bucket.rep()))?;
        Ok((self.enforcer.berth.ports.key_value.clone(), open.name.clone()))
    }

    async fn write(&mut self, bucket: &Resource<Bucket>, changes: Vec<Change>) -> Trap<Result<(), Error>> {
        let (port, bucket) = self.opened(bucket)?;
        let bytes = |change: &Change| change.key().len() + change.value().map_or(0, Bytes::len);
        let _held = match self.reserve(changes.iter().map(bytes).sum()) {
            Ok(held) => held,
            Err(refused) => return Ok(Err(refused)),
        };
        self.had_an_effect();
        let written = port.write(&bucket, changes).await;
        Ok(self.told(written))
    }

    /// Takes `bytes` from the host's memory budget.
    fn reserve(&self, bytes: usize) -> Result<Reservation, Error> {
        let held = self.enforcer.berth.ports.memory.reserve(MemoryUse::Values, bytes as u64);
        held.ok_or_else(|| Error::Other("the host has no memory left for this".to_owned()))
    }

    /// A handle to a key as it is now. All of an instance's handles hold no more than its memory may have.
    fn see(&mut self, bucket: Arc<str>, key: String, value: Option<Bytes>) -> Result<Resource<Cas>, Error> {
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len);
        if self.enforcer.check(LimitKey::Memory, self.values.bytes + bytes as u64).is_err() {
            return Err(Error::Other("too many swaps are open: their values fill limits.memory".to_owned()));
        }
        let held = self.reserve(bytes)?;
        let cas = self.keep(Seen { bucket, key, value, held })?;
        self.values.bytes += bytes as u64;
        Ok(cas)
    }

    /// A handle that a guest knows as `G`.
    fn keep<H: Send + 'static, G: 'static>(&mut self, held: H) -> Result<Resource<G>, Error> {
        self.watch_handles();
        match self.table.push(held) {
            Ok(handle) => Ok(Resource::new_own(handle.rep())),
            Err(_) => {
                let handles = self.enforcer.value(LimitKey::Handles);
                self.enforcer.refuse(LimitKey::Handles, handles + 1);
                Err(Error::Other("too many handles are open".to_owned()))
            }
        }
    }

    /// What the guest is told of an answer, and the operator of an error that is for them.
    fn told<T>(&self, answer: Result<T, KeyValueError>) -> Result<T, Error> {
        answer.map_err(|error| {
            let name = &self.enforcer.plugin.name;
            match &error {
                KeyValueError::NoSuchBucket => return Error::NoSuchStore,
                KeyValueError::QuotaExceeded { bucket, limit } => self.log.refused("keyvalue_quota", || {
                    format!(
                        "a write of plugin {name:?} was refused: the bucket {bucket:?} is full with {limit} \
                         bytes. To make it larger, write in wharf.toml:\n  [keyvalue.bucket.{bucket}]\n  \
                         quota = {}",
                        limit.saturating_mul(2)
                    )
                }),
                KeyValueError::Unavailable(_) => {
                    self.log.refused("keyvalue_unavailable", || format!("plugin {name:?}: {error}"));
                }
                _ => {}
            }
            Error::Other(error.public())
        })
    }
}
