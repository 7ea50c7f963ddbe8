//! A host that has memory and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use wharf_call::egress::{Egress, EgressGrants, EgressLimits, Outbound, PeerGrants, Peers};
use wharf_call::ports::Account;
use wharf_call::{
    BoxFuture, Change, KeyPage, KeyValue, KeyValueError, LimitGuard, Memory, MemoryUse, Reservation, Swap,
};
use wharf_engine::Ports;

pub(crate) fn ports() -> Ports {
    Ports {
        memory: Arc::new(Plenty),
        outbound: Arc::new(Nowhere),
        key_value: Arc::new(Nothing),
        when_quiet: || (),
    }
}

struct Plenty;

impl Account for Plenty {
    fn take(&self, _: u64) -> bool {
        true
    }

    fn give_back(&self, _: u64) {}
}

impl Memory for Plenty {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(Arc::new(Plenty), bytes)
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
        Err("this host has no network".to_owned())
    }

    fn peers(&self, _: &str, _: &PeerGrants) -> Arc<dyn Peers> {
        panic!("a benchmark grants no peers")
    }
}

struct Nothing;

type Found<'a, T> = BoxFuture<'a, Result<T, KeyValueError>>;

fn nothing<T>() -> Found<'static, T> {
    Box::pin(async { Err(KeyValueError::NoSuchBucket) })
}

impl KeyValue for Nothing {
    fn get<'a>(&'a self, _: &'a str, _: &'a str) -> Found<'a, Option<Bytes>> {
        nothing()
    }

    fn get_many<'a>(&'a self, _: &'a str, _: &'a [String]) -> Found<'a, Vec<Option<Bytes>>> {
        nothing()
    }

    fn exists<'a>(&'a self, _: &'a str, _: &'a str) -> Found<'a, bool> {
        nothing()
    }

    fn list_keys<'a>(&'a self, _: &'a str, _: Option<&'a str>) -> Found<'a, KeyPage> {
        nothing()
    }

    fn write<'a>(&'a self, _: &'a str, _: Vec<Change>) -> Found<'a, ()> {
        nothing()
    }

    fn increment<'a>(&'a self, _: &'a str, _: &'a str, _: i64) -> Found<'a, i64> {
        nothing()
    }

    fn swap<'a>(&'a self, _: &'a str, _: &'a str, _: Option<Bytes>, _: Bytes) -> Found<'a, Swap> {
        nothing()
    }
}
