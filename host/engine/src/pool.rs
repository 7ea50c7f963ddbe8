//! The instances of one generation, and who may have one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use wharf_call::{Deadline, Failure, Kind};

use crate::config::PoolConfig;
use crate::instance::Instance;

pub(crate) struct Pool {
    /// The last one in is the first one out: it is the warmest.
    #[expect(clippy::vec_box, reason = "an instance stays where it is while pool and calls hand it on")]
    idle: Mutex<Vec<Box<Instance>>>,
    slots: Arc<Semaphore>,
    waiting: AtomicU32,
    config: PoolConfig,
    retired: AtomicBool,
    instances: AtomicU64,
}

/// The right to one instance. Giving it back, by dropping it, lets the next call in.
pub(crate) struct Admission(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Pool {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Pool {
            idle: Mutex::default(),
            slots: Arc::new(Semaphore::new(config.max as usize)),
            waiting: AtomicU32::new(0),
            config,
            retired: AtomicBool::new(false),
            instances: AtomicU64::new(0),
        }
    }

    /// Waits for a slot in the bounded queue, until the deadline.
    ///
    /// # Errors
    /// [`Kind::Overloaded`], at once when the queue is full, or when the deadline passes in it.
    pub(crate) async fn admit(&self, deadline: Deadline) -> Result<Admission, Failure> {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(Admission(permit));
        }
        // Boxed, because it is rare and would make every call's future larger.
        Box::pin(self.wait(deadline)).await
    }

    async fn wait(&self, deadline: Deadline) -> Result<Admission, Failure> {
        let waiting = Waiting::begin(&self.waiting);
        if waiting.0.load(Relaxed) > self.config.queue {
            return Err(overloaded(format!("pool.queue is {}: it is full", self.config.queue)));
        }
        let permit = self.slots.clone().acquire_owned();
        let permit = match deadline.instant() {
            Some(at) => timeout_at(at.into(), permit).await.map_err(|_| {
                overloaded(format!("no instance became free in time; pool.max is {}", self.config.max))
            })?,
            None => permit.await,
        };
        permit.map(Admission).map_err(|_| overloaded("the pool is closed".to_owned()))
    }

    /// An idle instance, the warmest first.
    pub(crate) fn take(&self) -> Option<Box<Instance>> {
        self.idle.lock().pop()
    }

    /// Keeps an instance that has ended its call well, or hands it back to be stopped: because the pool
    /// was retired, or because the instance has served its calls.
    pub(crate) fn keep(&self, instance: Box<Instance>) -> Option<Box<Instance>> {
        if instance.calls() >= self.config.reuse {
            return Some(instance);
        }
        let mut idle = self.idle.lock();
        // Under the lock, so that no instance slips in after `retire` has emptied the pool.
        if self.retired.load(Relaxed) {
            return Some(instance);
        }
        idle.push(instance);
        None
    }

    /// From now on nothing is kept; what was idle is handed back to be stopped.
    #[expect(clippy::vec_box, reason = "an instance stays where it is while pool and calls hand it on")]
    pub(crate) fn retire(&self) -> Vec<Box<Instance>> {
        let mut idle = self.idle.lock();
        self.retired.store(true, Relaxed);
        std::mem::take(&mut *idle)
    }

    /// Counts an instance that was made.
    pub(crate) fn made(&self) {
        self.instances.fetch_add(1, Relaxed);
    }

    /// Counts an instance that is gone.
    pub(crate) fn gone(&self) {
        self.instances.fetch_sub(1, Relaxed);
    }

    /// How many instances there are, idle or working.
    pub(crate) fn instances(&self) -> u64 {
        self.instances.load(Relaxed)
    }
}

fn overloaded(private: String) -> Failure {
    Failure::new(Kind::Overloaded, "the plugin has no capacity left")
        .with_retry_after_s(1)
        .with_private(private)
}

/// Counts a call as waiting for as long as it does, also when it is abandoned.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Relaxed);
        Waiting(counter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn pool(max: u32, queue: u32) -> Pool {
        Pool::new(PoolConfig { max, queue, reuse: 1 })
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_in_the_queue_until_its_deadline() {
        let pool = pool(1, 1);
        let first = pool.admit(Deadline::NONE).await.expect("there is a slot");
        let deadline = Deadline::NONE.narrow(Instant::now(), Duration::from_millis(10));
        let refused = pool.admit(deadline).await.err().expect("no slot becomes free");
        assert_eq!((refused.kind(), refused.retry_after_s()), (Kind::Overloaded, Some(1)));
        drop(first);
        pool.admit(deadline).await.expect("the slot is free again");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = pool(1, 0);
        let _first = pool.admit(Deadline::NONE).await.expect("there is a slot");
        let refused = pool.admit(Deadline::NONE).await.err().expect("nobody may wait");
        assert_eq!(refused.kind(), Kind::Overloaded);
        assert_eq!(pool.waiting.load(Relaxed), 0);
    }
}
