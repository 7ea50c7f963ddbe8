//! Calls that wait for an instance: bounded, first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use wharf_call::{Deadline, Failure, Kind};

use super::{Admission, Owner};

pub(super) struct Queue<T> {
    waiters: Mutex<Waiters<T>>,
    /// How many there are, readable without the lock.
    len: AtomicU32,
    len_max: u32,
    /// `pool.max`, for what is said.
    instances_max: u32,
}

struct Waiters<T> {
    /// In the order of their numbers.
    waiting: VecDeque<Waiter<T>>,
    next: u64,
}

struct Waiter<T> {
    number: u64,
    owner: Option<Owner>,
    grant: oneshot::Sender<Admission<T>>,
}

/// A place in the queue. Dropping it leaves the queue.
pub(super) struct Waiting<'a, T> {
    queue: &'a Queue<T>,
    number: u64,
    granted: oneshot::Receiver<Admission<T>>,
}

impl<T> Queue<T> {
    pub(super) fn new(len_max: u32, instances_max: u32) -> Self {
        Queue {
            waiters: Mutex::new(Waiters { waiting: VecDeque::new(), next: 0 }),
            len: AtomicU32::new(0),
            len_max,
            instances_max,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len.load(Relaxed)
    }

    /// Lines up.
    pub(super) fn join(&self, owner: Option<Owner>) -> Result<Waiting<'_, T>, Failure> {
        let mut waiters = self.waiters.lock();
        if self.len() >= self.len_max {
            return Err(overloaded(format!("pool.queue is {}: it is full", self.len_max)));
        }
        let (grant, granted) = oneshot::channel();
        let number = waiters.next;
        waiters.next += 1;
        waiters.waiting.push_back(Waiter { number, owner, grant });
        self.count(&waiters);
        Ok(Waiting { queue: self, number, granted })
    }

    /// The one that has waited longest, with what `find` finds for it; nobody while nothing is found.
    pub(super) fn next(
        &self,
        find: impl FnOnce(Option<&Owner>) -> Option<Admission<T>>,
    ) -> Option<(oneshot::Sender<Admission<T>>, Admission<T>)> {
        let mut waiters = self.waiters.lock();
        let admission = find(waiters.waiting.front()?.owner.as_ref())?;
        let waiter = waiters.waiting.pop_front()?;
        self.count(&waiters);
        Some((waiter.grant, admission))
    }

    fn leave(&self, number: u64) {
        let mut waiters = self.waiters.lock();
        if let Ok(at) = waiters.waiting.binary_search_by_key(&number, |waiter| waiter.number) {
            waiters.waiting.remove(at);
            self.count(&waiters);
        }
    }

    fn count(&self, waiters: &Waiters<T>) {
        self.len.store(u32::try_from(waiters.waiting.len()).unwrap_or(u32::MAX), Relaxed);
    }
}

impl<T> Waiting<'_, T> {
    /// Waits for its turn.
    pub(super) async fn granted(mut self, deadline: Deadline) -> Result<Admission<T>, Failure> {
        let granted = &mut self.granted;
        let granted = match deadline.instant() {
            Some(at) => timeout_at(at.into(), granted).await.map_err(|_| {
                let max = self.queue.instances_max;
                overloaded(format!("no instance became free in time; pool.max is {max}"))
            })?,
            None => granted.await,
        };
        granted.map_err(|_| overloaded("the pool is gone".to_owned()))
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.queue.leave(self.number);
    }
}

fn overloaded(private: String) -> Failure {
    Failure::new(Kind::Overloaded, "the plugin has no capacity left")
        .with_retry_after_s(1)
        .with_private(private)
}
