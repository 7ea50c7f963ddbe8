//! The idle instances that one thread has given back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, MutexGuard};

use super::{Owner, Placed};

/// Two cache lines apart from its neighbours: one is what a core owns, the next is what it prefetches.
#[repr(align(128))]
pub(super) struct Shard<T> {
    idle: Mutex<VecDeque<Idle<T>>>,
    /// How many there are, readable without the lock.
    len: AtomicUsize,
    /// Calls begun less calls ended by the threads of this shard.
    balance: AtomicI64,
}

struct Idle<T> {
    placed: Placed<T>,
    /// The sweep before which it was given back.
    since: u32,
}

/// The idle instances of a shard while nobody else uses them: the warmest at the back.
pub(super) struct Locked<'a, T> {
    idle: MutexGuard<'a, VecDeque<Idle<T>>>,
    len: &'a AtomicUsize,
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Shard { idle: Mutex::default(), len: AtomicUsize::new(0), balance: AtomicI64::new(0) }
    }
}

impl<T> Shard<T> {
    pub(super) fn lock(&self) -> Locked<'_, T> {
        Locked { idle: self.idle.lock(), len: &self.len }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    pub(super) fn begin(&self) {
        self.balance.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.balance.fetch_sub(1, Relaxed);
    }

    pub(super) fn balance(&self) -> i64 {
        self.balance.load(Relaxed)
    }
}

impl<T> Locked<'_, T> {
    pub(super) fn push(&mut self, placed: Placed<T>, now: u32) {
        self.idle.push_back(Idle { placed, since: now });
    }

    /// The warmest one that `owner` may have: its own before a fresh one, never another's.
    pub(super) fn take(&mut self, owner: Option<&Owner>) -> Option<Placed<T>> {
        let Some(owner) = owner else { return self.idle.pop_back().map(|idle| idle.placed) };
        let last =
            |whose: Option<&Owner>| self.idle.iter().rposition(|idle| idle.placed.owner.as_ref() == whose);
        let at = last(Some(owner)).or_else(|| last(None))?;
        let mut placed = self.idle.remove(at)?.placed;
        placed.owner = Some(owner.clone());
        Some(placed)
    }

    /// The one that has been idle for longest.
    pub(super) fn oldest(&mut self) -> Option<Placed<T>> {
        self.idle.pop_front().map(|idle| idle.placed)
    }

    /// At most `most` of those that were given back more than `sweeps` sweeps before `now`.
    pub(super) fn expired(&mut self, now: u32, sweeps: u32, most: u32) -> Vec<Placed<T>> {
        // Given back in the order of the queue, so the front is the oldest.
        let old = self.idle.iter().take(most as usize);
        let count = old.take_while(|idle| now.wrapping_sub(idle.since) > sweeps).count();
        self.idle.drain(..count).map(|idle| idle.placed).collect()
    }

    pub(super) fn drain(&mut self) -> Vec<Placed<T>> {
        self.idle.drain(..).map(|idle| idle.placed).collect()
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        self.len.store(self.idle.len(), Relaxed);
    }
}

/// Which of `shards` shards, a power of two, belongs to the current thread.
pub(super) fn home(shards: usize) -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static THREAD: usize = THREADS.fetch_add(1, Relaxed);
    }
    THREAD.with(|thread| thread & (shards - 1))
}
