//! The instances of one generation, and who may have one.
//!
//! An instance takes one of `pool.max` places for as long as it exists, whether it works or idles. So the warm
//! path asks nobody but the idle instances: it takes the one that was given back last, which is the warmest, from
//! the shard of its own thread, and gives it back there. No lock and no counter of that path is one that a
//! second core waits for; only who finds its shard empty looks into the others. Compared with simpler pools by
//! `benches/pool.rs`.
//!
//! Who finds neither an idle instance nor a free place waits in one bounded queue. Whatever becomes free goes to
//! the one that has waited longest.

mod queue;
mod shard;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::sync::{Arc, Weak};

use wharf_call::{Deadline, Failure};

use self::queue::Queue;
use self::shard::{Shard, home};
use crate::config::PoolConfig;

/// The idle instances, the places and the queue. Generic, so that it is tested and measured without a guest.
pub struct Pool<T> {
    shards: Box<[Shard<T>]>,
    /// Places that are taken: instances, and those that are being made or stopped.
    taken: AtomicU32,
    queue: Queue<T>,
    retired: AtomicBool,
    /// Counts the sweeps: what idle instances are dated by.
    sweeps: AtomicU32,
    max: u32,
    this: Weak<Pool<T>>,
}

/// Whose an instance is, where it serves one caller only.
pub type Owner = Arc<str>;

/// What a call is given.
#[derive(Debug)]
pub enum Admission<T> {
    /// An instance that has been idle.
    Warm(Placed<T>),
    /// The right to make one.
    Place(Place<T>),
    /// An idle instance of another caller, to be stopped: its place is free for a new one.
    Instead(Placed<T>),
}

/// An instance and the place that it takes.
#[derive(Debug)]
pub struct Placed<T> {
    /// The instance itself.
    pub instance: T,
    /// The only caller that it may serve; nobody's yet when it is fresh.
    pub owner: Option<Owner>,
    place: Place<T>,
}

/// The right to one instance. Dropping it lets the next one in.
pub struct Place<T>(Weak<Pool<T>>);

impl<T> Pool<T> {
    /// An empty pool with `shards` shards, or the next power of two. With as many as there are threads that call, each
    /// has one of its own; with twice as many, that holds where a few other threads call as well.
    pub fn new(config: &PoolConfig, shards: usize) -> Arc<Self> {
        let shards = shards.max(1).next_power_of_two();
        Arc::new_cyclic(|this| Pool {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            taken: AtomicU32::new(0),
            queue: Queue::new(config.queue, config.max),
            retired: AtomicBool::new(false),
            sweeps: AtomicU32::new(0),
            max: config.max,
            this: this.clone(),
        })
    }

    /// Gives an idle instance or a place; waits for one in the bounded queue, until the deadline. With an
    /// `owner`, the instance has served nobody else.
    ///
    /// # Errors
    /// [`Kind::Overloaded`](wharf_call::Kind::Overloaded), at once when the queue is full, or when the deadline
    /// passes in it.
    ///
    /// Dropping the future gives up the wait; what it was granted goes to the next one.
    pub async fn admit(&self, owner: Option<&Owner>, deadline: Deadline) -> Result<Admission<T>, Failure> {
        if let Some(admission) = self.find(owner) {
            return Ok(admission);
        }
        // Boxed, because it is rare and would make every call's future larger.
        Box::pin(self.wait(owner, deadline)).await
    }

    async fn wait(&self, owner: Option<&Owner>, deadline: Deadline) -> Result<Admission<T>, Failure> {
        let waiting = self.queue.join(owner.cloned())?;
        // What was given back before this call was seen to wait would lie there unclaimed.
        fence(SeqCst);
        self.serve_queue();
        waiting.granted(deadline).await
    }

    /// A free place, for whoever makes instances ahead of demand.
    pub fn try_place(&self) -> Option<Place<T>> {
        let free = |taken: u32| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, free).ok()?;
        Some(Place(self.this.clone()))
    }

    /// Keeps an instance that has ended its call well, or hands it back to be stopped because the pool was
    /// retired.
    pub fn keep(&self, placed: Placed<T>) -> Option<Placed<T>> {
        let refused = self.put(placed);
        if refused.is_none() {
            self.freed();
        }
        refused
    }

    /// From now on nothing is kept; what was idle is handed back to be stopped.
    pub fn retire(&self) -> Vec<Placed<T>> {
        self.retired.store(true, Relaxed);
        self.shards.iter().flat_map(|shard| shard.lock().drain()).collect()
    }

    /// Whether [`Pool::retire`] was called.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// Takes out the instances that were idle for more than `sweeps` calls of this, and leaves `min` there, or
    /// at work.
    pub fn sweep(&self, sweeps: u32, min: u32) -> Vec<Placed<T>> {
        let now = self.sweeps.fetch_add(1, Relaxed).wrapping_add(1);
        let mut spare = self.taken.load(Relaxed).saturating_sub(min);
        let mut expired = Vec::new();
        for shard in &self.shards {
            let found = shard.lock().expired(now, sweeps, spare);
            spare -= u32::try_from(found.len()).unwrap_or(spare);
            expired.extend(found);
        }
        expired
    }

    /// Instances, idle or working, and those that are being made or stopped.
    pub fn instances(&self) -> u32 {
        self.taken.load(Relaxed)
    }

    /// Calls that wait for an instance.
    pub fn waiting(&self) -> u32 {
        self.queue.len()
    }

    /// Instances that nobody uses now.
    pub fn idle(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// Counts a call that has its instance. [`Pool::end`] is its counterpart, on whatever thread.
    pub fn begin(&self) {
        self.shards[home(self.shards.len())].begin();
    }

    /// Counts a call as ended.
    pub fn end(&self) {
        self.shards[home(self.shards.len())].end();
    }

    /// Calls between [`Pool::begin`] and [`Pool::end`].
    pub fn in_flight(&self) -> u64 {
        // A call may end in another shard than it began in: only the sum means something.
        u64::try_from(self.shards.iter().map(Shard::balance).sum::<i64>()).unwrap_or(0)
    }

    fn find(&self, owner: Option<&Owner>) -> Option<Admission<T>> {
        if let Some(placed) = self.take(owner) {
            return Some(Admission::Warm(placed));
        }
        if let Some(place) = self.try_place() {
            return Some(Admission::Place(place));
        }
        // All places are taken, but an idle instance of somebody else is no use to this caller.
        owner?;
        self.shards.iter().find_map(|shard| shard.lock().oldest()).map(Admission::Instead)
    }

    fn take(&self, owner: Option<&Owner>) -> Option<Placed<T>> {
        let home = home(self.shards.len());
        let others = (0..self.shards.len()).filter(|at| *at != home);
        std::iter::once(home).chain(others).find_map(|at| {
            let shard = &self.shards[at];
            // An empty one is passed over without its lock.
            if shard.len() == 0 { None } else { shard.lock().take(owner) }
        })
    }

    fn put(&self, placed: Placed<T>) -> Option<Placed<T>> {
        let mut idle = self.shards[home(self.shards.len())].lock();
        // Under the lock, so that no instance slips in after `retire` has emptied the shard.
        if self.retired.load(Relaxed) {
            return Some(placed);
        }
        idle.push(placed, self.sweeps.load(Relaxed));
        None
    }

    /// An instance or a place became free.
    fn freed(&self) {
        // Pairs with the fence of `wait`: either that call sees what is free, or this one sees it waiting.
        fence(SeqCst);
        if self.queue.len() > 0 {
            self.serve_queue();
        }
    }

    fn serve_queue(&self) {
        while let Some((waiter, admission)) = self.queue.next(|owner| self.find(owner)) {
            match waiter.send(admission) {
                Ok(()) => {}
                // It has given up in between: on to the next.
                Err(Admission::Place(place)) => place.give_back(self),
                Err(Admission::Warm(placed) | Admission::Instead(placed)) => {
                    if let Some(placed) = self.put(placed) {
                        placed.place.give_back(self);
                    }
                }
            }
        }
    }
}

impl<T> Place<T> {
    /// Puts an instance in its place.
    pub fn fill(self, instance: T) -> Placed<T> {
        Placed { instance, owner: None, place: self }
    }

    /// Gives the place back without looking for who waits for one: for the one who does that.
    fn give_back(mut self, pool: &Pool<T>) {
        self.0 = Weak::new();
        pool.taken.fetch_sub(1, Relaxed);
    }
}

impl<T> Placed<T> {
    /// The same for one caller only, if there is an `owner`.
    pub fn owned_by(self, owner: Option<Owner>) -> Self {
        Placed { owner, ..self }
    }

    /// The instance, and its place for another one.
    pub fn clear(self) -> (T, Place<T>) {
        (self.instance, self.place)
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.taken.fetch_sub(1, Relaxed);
            pool.freed();
        }
    }
}

impl<T> std::fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

#[cfg(test)]
mod tests;
