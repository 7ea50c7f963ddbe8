//! The right to one call in an instance, and the way to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use tokio::sync::mpsc;
use wharf_call::{Deadline, Failure};

use super::drive::{Job, drive};
use crate::config::PoolConfig;
use crate::generation::Generation;
use crate::instance::Instance;
use crate::pool::{Admission, Place, Placed, Pool};

/// The seats of all instances of a generation.
pub(crate) struct Seats {
    pub(crate) pool: Arc<Pool<Seat>>,
    per_instance: u32,
    reuse: u32,
    instances: Arc<AtomicU32>,
}

/// The right to one call in an instance. The task that drives the instance ends when the last seat is gone.
pub(crate) struct Seat(Arc<Line>);

struct Line {
    jobs: mpsc::UnboundedSender<Job>,
    gate: Arc<Gate>,
    /// Calls that were sent.
    calls: AtomicU32,
    reuse: u32,
}

/// Whether an instance takes more calls.
pub(super) struct Gate(AtomicBool);

/// Counts an instance for as long as it is there.
pub(super) struct Alive(Arc<AtomicU32>);

impl Seats {
    /// No instance yet. There is room for `config.max`, each with `config.concurrency` seats.
    pub(crate) fn new(config: &PoolConfig, shards: usize) -> Self {
        let seats = PoolConfig { max: config.max.saturating_mul(config.concurrency), ..config.clone() };
        Seats {
            pool: Pool::new(&seats, shards),
            per_instance: config.concurrency,
            reuse: config.reuse,
            instances: Arc::default(),
        }
    }

    /// How many instances there are.
    pub(crate) fn instances(&self) -> u32 {
        self.instances.load(Relaxed)
    }

    /// How many seats so many instances have.
    pub(crate) fn of(&self, instances: u32) -> u32 {
        instances.saturating_mul(self.per_instance)
    }

    /// Takes a seat of an instance that is there, or of a new one, or waits for its turn.
    pub(super) async fn take(
        &self,
        generation: &Arc<Generation>,
        deadline: Deadline,
    ) -> Result<Placed<Seat>, Failure> {
        loop {
            match self.pool.admit(None, deadline).await? {
                Admission::Warm(seat) | Admission::Instead(seat) if seat.instance.is_open() => {
                    return Ok(seat);
                }
                // Its instance has ended: the place is free, once this is dropped.
                Admission::Warm(_) | Admission::Instead(_) => {}
                Admission::Place(place) => {
                    let begun = Instant::now();
                    let instance = Box::pin(generation.started_instance()).await?;
                    generation.metrics.cold_start(begun.elapsed());
                    return Ok(self.open(generation, instance, place));
                }
            }
        }
    }

    /// Lets an instance serve: gives its first seat, and the others to the pool.
    pub(crate) fn open(
        &self,
        generation: &Arc<Generation>,
        instance: Box<Instance>,
        place: Place<Seat>,
    ) -> Placed<Seat> {
        let (jobs, coming) = mpsc::unbounded_channel();
        let gate = Arc::new(Gate(AtomicBool::new(true)));
        self.instances.fetch_add(1, Relaxed);
        let alive = Alive(self.instances.clone());
        // Neither the generation nor a seat: both live as long as somebody wants them, and this task with them.
        tokio::spawn(drive(Arc::downgrade(generation), instance, coming, gate.clone(), alive));
        let line = Arc::new(Line { jobs, gate, calls: AtomicU32::new(0), reuse: self.reuse });
        for _ in 1..self.per_instance {
            let Some(place) = self.pool.try_place() else { break };
            self.keep(place.fill(Seat(line.clone())));
        }
        place.fill(Seat(line))
    }

    /// Takes a seat back, if its instance takes more calls.
    pub(crate) fn keep(&self, seat: Placed<Seat>) {
        if seat.instance.is_open() {
            // What a retired pool hands back is dropped: the instance ends with its last seat.
            drop(self.pool.keep(seat));
        }
    }
}

impl Seat {
    fn is_open(&self) -> bool {
        self.0.gate.is_open()
    }

    /// Counts a call, and gives the way to send it: apart from the seat, which the call takes along.
    pub(super) fn way(&self) -> (mpsc::UnboundedSender<Job>, Arc<Gate>) {
        if self.0.calls.fetch_add(1, Relaxed).saturating_add(1) >= self.0.reuse {
            self.0.gate.close();
        }
        (self.0.jobs.clone(), self.0.gate.clone())
    }
}

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// No more calls; those that the instance has go on.
    pub(super) fn close(&self) {
        self.0.store(false, Relaxed);
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
