//! What unit tests need of the rest of the host.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use wharf_call::ports::Account;
use wharf_call::{
    BoxFuture, Change, Egress, EgressGrants, EgressLimits, KeyPage, KeyValue, KeyValueError, LimitGuard,
    Memory, MemoryUse, Outbound, PeerGrants, Peers, Reservation, Swap,
};

use crate::berth::Berth;
use crate::capabilities::Ports;
use crate::config::{EngineConfig, PluginConfig, Residency};
use crate::cores::Cores;
use crate::enforcer::{Enforcer, HostWide};
use crate::limits::Limits;
use crate::memory::{Kept, Slots};
use crate::turns::Turns;

/// A host with so much memory, and nothing else to reach.
#[derive(Clone)]
pub(crate) struct Room(Arc<Left>);

struct Left(AtomicU64);

impl Room {
    pub(crate) fn new(bytes: u64) -> Self {
        Room(Arc::new(Left(AtomicU64::new(bytes))))
    }

    pub(crate) fn left(&self) -> u64 {
        self.0.0.load(Relaxed)
    }

    /// What decides over the limits of one generation of a plugin in this host.
    pub(crate) fn enforcer(&self, limits: Limits) -> Arc<Enforcer> {
        let ports = Ports {
            memory: Arc::new(self.clone()),
            outbound: Arc::new(Nowhere),
            key_value: Arc::new(Nowhere),
            when_quiet: || (),
        };
        let plugin = PluginConfig { name: "notes".to_owned(), limits, ..PluginConfig::default() };
        let slots = Slots::new(ports.memory.clone());
        Enforcer::new(
            Arc::new(plugin),
            1,
            Berth::new(ports, Cores::new(PathBuf::new(), 0)),
            &EngineConfig::default(),
            HostWide { slots, activity: Arc::default(), turns: Turns::new() },
            Kept::of(&Residency::default(), 1, 1),
        )
    }
}

impl Memory for Room {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(self.0.clone(), bytes)
    }
}

impl Account for Left {
    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
    }
}

struct Nowhere;

impl Outbound for Nowhere {
    fn open(
        &self,
        _: &str,
        _: &EgressGrants,
        _: EgressLimits,
        _: Arc<dyn LimitGuard>,
    ) -> Result<Arc<dyn Egress>, String> {
        Err("a test goes nowhere".to_owned())
    }

    fn peers(&self, _: &str, _: &PeerGrants) -> Arc<dyn Peers> {
        unreachable!("a test has no peers")
    }
}

type Answered<'a, T> = BoxFuture<'a, Result<T, KeyValueError>>;

fn none<'a, T: Send + 'a>() -> Answered<'a, T> {
    Box::pin(async { Err(KeyValueError::NoSuchBucket) })
}

impl KeyValue for Nowhere {
    fn get<'a>(&'a self, _: &'a str, _: &'a str) -> Answered<'a, Option<Bytes>> {
        none()
    }
    fn get_many<'a>(&'a self, _: &'a str, _: &'a [String]) -> Answered<'a, Vec<Option<Bytes>>> {
        none()
    }
    fn exists<'a>(&'a self, _: &'a str, _: &'a str) -> Answered<'a, bool> {
        none()
    }
    fn list_keys<'a>(&'a self, _: &'a str, _: Option<&'a str>) -> Answered<'a, KeyPage> {
        none()
    }
    fn write<'a>(&'a self, _: &'a str, _: Vec<Change>) -> Answered<'a, ()> {
        none()
    }
    fn increment<'a>(&'a self, _: &'a str, _: &'a str, _: i64) -> Answered<'a, i64> {
        none()
    }
    fn swap<'a>(&'a self, _: &'a str, _: &'a str, _: Option<Bytes>, _: Bytes) -> Answered<'a, Swap> {
        none()
    }
}
