#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod alone;
mod crash;
mod disk;
mod failure;
mod group;
mod log;
mod model;
mod opening;

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use wharf_call::{BoxFuture, Change, KeyValue, KeyValueError};

use crate::file::open_database;
use crate::state::Tuning;
use crate::{Config, OpenError, State};
use disk::{Disk, Which};

/// Opens a store on `disk` with the buckets `a` and `b`.
fn open(disk: &Arc<Disk>, config: Config) -> State {
    let state = try_open(disk, config).unwrap();
    state.provide("a", None);
    state.provide("b", None);
    state
}

fn try_open(disk: &Arc<Disk>, config: Config) -> Result<State, OpenError> {
    // No test is so slow that the log is emptied because of it.
    try_open_with(disk, config, &Tuning { log_bytes: 64 << 10, idle: Duration::MAX })
}

fn try_open_with(disk: &Arc<Disk>, config: Config, tuning: &Tuning) -> Result<State, OpenError> {
    let path = Path::new("kv.redb");
    State::start(open_database(disk.plug_in(Which::Database), path, &config)?, path, disk, config, tuning)
}

/// Polls once: whatever can happen without waiting happens.
fn poll<T>(future: &mut BoxFuture<'_, T>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn set(key: &str, value: impl Into<Bytes>) -> Change {
    Change::Set { key: key.to_owned(), value: value.into() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.to_owned() }
}

/// xorshift64 (Marsaglia, 2003): the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

async fn keys(state: &State, bucket: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = state.list_keys(bucket, cursor.as_deref()).await.unwrap();
        all.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

fn is_unavailable<T>(result: &Result<T, KeyValueError>) -> bool {
    matches!(result, Err(KeyValueError::Unavailable(_)))
}
