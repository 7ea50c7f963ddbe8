//! What it costs to take an instance and give it back, with one thread and with several:
//! `cargo bench -p wharf -p wharf-engine --bench pool`.
//!
//! - `one list`: one lock around the idle instances and a semaphore for `pool.max`, as the first pool was;
//! - `one shard`: this pool, all threads in one shard;
//! - `sharded`: this pool as it is, a shard for each thread, which looks into others when its own is empty.
//!
//! Each figure is the time of one thread for one pair, while all of them do the same.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wharf_call::Deadline;
use wharf_engine::PoolConfig;
use wharf_engine::pool::{Admission, Placed, Pool};

/// What stands for an instance: as large as the pointer to one.
type Dummy = Box<u64>;

const INSTANCES: u32 = 64;

trait Subject: Sync {
    /// Takes one and gives it back.
    fn pair(&self);
}

struct OneList {
    idle: Mutex<Vec<Dummy>>,
    slots: Arc<Semaphore>,
    instances: AtomicU32,
    in_flight: AtomicU32,
}

impl OneList {
    fn new() -> Self {
        OneList {
            idle: Mutex::default(),
            slots: Arc::new(Semaphore::new(INSTANCES as usize)),
            instances: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
        }
    }
}

impl Subject for OneList {
    fn pair(&self) {
        let slot = self.slots.clone().try_acquire_owned().expect("more slots than threads");
        self.in_flight.fetch_add(1, Relaxed);
        let taken = self.idle.lock().pop();
        let instance = taken.unwrap_or_else(|| {
            self.instances.fetch_add(1, Relaxed);
            Dummy::default()
        });
        self.idle.lock().push(black_box(instance));
        self.in_flight.fetch_sub(1, Relaxed);
        drop(slot);
    }
}

fn take(pool: &Pool<Dummy>) -> Placed<Dummy> {
    // Nothing to wait for: there are more places than threads.
    let admitted = futures_util::FutureExt::now_or_never(pool.admit(None, Deadline::NONE));
    match admitted.expect("does not wait").expect("has room") {
        Admission::Warm(placed) | Admission::Instead(placed) => placed,
        Admission::Place(place) => place.fill(Dummy::default()),
    }
}

impl Subject for Arc<Pool<Dummy>> {
    fn pair(&self) {
        let placed = take(self);
        self.begin();
        drop(self.keep(black_box(placed)));
        self.end();
    }
}

fn pool(shards: usize) -> Arc<Pool<Dummy>> {
    Pool::new(&PoolConfig { max: INSTANCES, ..PoolConfig::default() }, shards)
}

/// `pairs` of them on each of `threads` threads: how long the slowest took.
fn measure(subject: &impl Subject, threads: usize, pairs: u64) -> Duration {
    let ready = Barrier::new(threads);
    let took = Mutex::new(Duration::ZERO);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                ready.wait();
                let begun = Instant::now();
                (0..pairs).for_each(|_| subject.pair());
                let mut slowest = took.lock();
                *slowest = slowest.max(begun.elapsed());
            });
        }
    });
    took.into_inner()
}

fn pools(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for threads in [1, 2, 4] {
        let mut row = |name: &str, subject: &dyn Fn(u64) -> Duration| {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| bencher.iter_custom(subject));
        };
        let list = OneList::new();
        row("one list", &|pairs| measure(&list, threads, pairs));
        let single = pool(1);
        row("one shard", &|pairs| measure(&single, threads, pairs));
        let sharded = pool(8);
        row("sharded", &|pairs| measure(&sharded, threads, pairs));
    }
    group.finish();
}

criterion_group!(benches, pools);
criterion_main!(benches);
