//! How fast the store is, beside what the disk and redb can do at the same minute.
//!
//! `cargo bench -p wharf-state`. Each contender runs for a short slice of time in turn, many rounds, so
//! that a disk that is slow for a while is slow for all. The figure of each is its mean over all rounds: a
//! median would leave out the checkpoints, in which a full log is emptied. Slices of writes are so short
//! that no store has the time to empty its log while others run, and each store pays for its own. The
//! files are made in `$WHARF_BENCH_DIR`, or in the build's folder: not in a temporary folder, which may be
//! memory.

#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::runtime::Runtime;
use wharf_call::{Change, KeyValue};
use wharf_state::{Config, State};

const SLICE: Duration = Duration::from_millis(150);
const WRITE_ROUNDS: usize = 150;
const READ_ROUNDS: usize = 30;
const VALUE: [u8; 128] = [7; 128];
const KEYS: u64 = 10_000;
const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("raw");

struct Contender<'a> {
    name: &'static str,
    /// Runs for one slice.
    run: Box<dyn FnMut() -> Slice + 'a>,
    slices: Vec<Slice>,
}

struct Slice {
    operations: u64,
    seconds: f64,
}

impl Slice {
    fn since(begun: Instant, operations: u64) -> Self {
        Slice { operations, seconds: begun.elapsed().as_secs_f64() }
    }

    fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }
}

fn main() {
    let base =
        std::env::var_os("WHARF_BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let dir = base.join(format!("kv-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    measure(&dir);
    fs::remove_dir_all(&dir).unwrap();
}

fn measure(dir: &Path) {
    let runtime = Runtime::new().unwrap();
    let file = File::create(dir.join("probe")).unwrap();
    file.write_all_at(&vec![0; 16 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let raw = Database::builder().set_cache_size(32 << 20).create(dir.join("raw.redb")).unwrap();
    fill_raw(&raw);
    let [one, many] = ["one", "many"].map(|name| {
        let state = Arc::new(State::open(&dir.join(name), Config::default()).unwrap());
        state.provide("bench", None);
        fill(&runtime, &state);
        state
    });

    let (file, raw, runtime, one, many) = (&file, &raw, &runtime, &one, &many);
    let contender = |name, run| Contender { name, run, slices: Vec::new() };
    println!("{} bytes per value, {KEYS} keys, slices of {SLICE:?} in turn\n", VALUE.len());
    println!("{:<24} {:>10} {:>10} {:>10} {:>12}", "operations per s", "mean", "least", "most", "operations");
    let mut writers = [
        contender("1 page + fdatasync", Box::new(move || probe(file, 1)) as Box<dyn FnMut() -> Slice>),
        contender("8 pages + fdatasync", Box::new(move || probe(file, 8))),
        contender("raw redb, 1 writer", Box::new(move || raw_writes(raw))),
        contender("wharf, 1 writer", Box::new(move || tasks(runtime, one, 1, write))),
        contender("wharf, 32 writers", Box::new(move || tasks(runtime, many, 32, write))),
    ];
    let writes = in_turn(&mut writers, WRITE_ROUNDS);
    let mut readers = [
        contender("raw redb, 1 reader", Box::new(move || raw_reads(raw)) as Box<dyn FnMut() -> Slice>),
        contender("wharf, 1 reader", Box::new(move || tasks(runtime, one, 1, read))),
        contender("wharf, 32 readers", Box::new(move || tasks(runtime, many, 32, read))),
    ];
    let reads = in_turn(&mut readers, READ_ROUNDS);

    println!();
    for (what, over, under) in [
        ("wharf, 1 writer / 1 page + fdatasync", writes[3], writes[0]),
        ("wharf, 1 writer / 8 pages + fdatasync", writes[3], writes[1]),
        ("wharf, 1 writer / raw redb, 1 writer", writes[3], writes[2]),
        ("wharf, 32 writers / wharf, 1 writer", writes[4], writes[3]),
        ("wharf, 32 writers / 1 page + fdatasync", writes[4], writes[0]),
        ("wharf, 1 reader / raw redb, 1 reader", reads[1], reads[0]),
        ("wharf, 32 readers / raw redb, 1 reader", reads[2], reads[0]),
    ] {
        println!("{what:<40} {:.2}", over / under);
    }
}

/// Runs the contenders in turn, prints what each did, and returns their means.
fn in_turn(contenders: &mut [Contender<'_>], rounds: usize) -> Vec<f64> {
    for _ in 0..rounds {
        for contender in &mut *contenders {
            contender.slices.push((contender.run)());
        }
    }
    let print = |Contender { name, slices, .. }: &Contender<'_>| {
        let operations: u64 = slices.iter().map(|slice| slice.operations).sum();
        let mean = operations as f64 / slices.iter().map(|slice| slice.seconds).sum::<f64>();
        let least = slices.iter().map(Slice::rate).fold(f64::INFINITY, f64::min);
        let most = slices.iter().map(Slice::rate).fold(0.0, f64::max);
        println!("{name:<24} {mean:>10.0} {least:>10.0} {most:>10.0} {operations:>12}");
        mean
    };
    contenders.iter().map(print).collect()
}

fn key(n: u64) -> String {
    format!("key-{:06}", n.wrapping_mul(7_919) % KEYS)
}

fn fill_raw(raw: &Database) {
    let transaction = raw.begin_write().unwrap();
    {
        let mut table = transaction.open_table(TABLE).unwrap();
        for n in 0..KEYS {
            table.insert(key(n).as_str(), &VALUE[..]).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn fill(runtime: &Runtime, state: &State) {
    let all: Vec<u64> = (0..KEYS).collect();
    for some in all.chunks(1_000) {
        let set = |n: &u64| Change::Set { key: key(*n), value: Bytes::from_static(&VALUE) };
        runtime.block_on(state.write("bench", some.iter().map(set).collect())).unwrap();
    }
}

/// Calls `operation` for a slice.
fn repeat(mut operation: impl FnMut(u64)) -> Slice {
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < SLICE {
        operation(count);
        count += 1;
    }
    Slice::since(begun, count)
}

/// What the disk can do: some pages here and there in a file that has its size, and a flush. A small write
/// of the store is one page of its log. A durable commit of redb writes seven or eight: the way from the
/// leaf to the root, in three trees, and the header.
fn probe(file: &File, pages: u64) -> Slice {
    repeat(|n| {
        for page in 0..pages {
            let place = (n * pages + page).wrapping_mul(1_237) % 4_096;
            file.write_all_at(&[n as u8; 4_096], place * 4_096).unwrap();
        }
        rustix::fs::fdatasync(file).unwrap();
    })
}

fn raw_writes(raw: &Database) -> Slice {
    repeat(|n| {
        let transaction = raw.begin_write().unwrap();
        transaction.open_table(TABLE).unwrap().insert(key(n).as_str(), &VALUE[..]).unwrap();
        transaction.commit().unwrap();
    })
}

fn raw_reads(raw: &Database) -> Slice {
    repeat(|n| {
        let table = raw.begin_read().unwrap().open_table(TABLE).unwrap();
        let value = Bytes::copy_from_slice(table.get(key(n).as_str()).unwrap().unwrap().value());
        assert_eq!(value.len(), VALUE.len());
    })
}

/// `tasks` tasks, each of which does one operation after the other.
fn tasks<F>(runtime: &Runtime, state: &Arc<State>, tasks: u64, operation: fn(Arc<State>, u64) -> F) -> Slice
where
    F: Future<Output = ()> + Send + 'static,
{
    let counted = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (state, counted) = (state.clone(), counted.clone());
            runtime.spawn(async move {
                let mut n = task * 101;
                while begun.elapsed() < SLICE {
                    operation(state.clone(), n).await;
                    n += 1;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in running {
        runtime.block_on(task).unwrap();
    }
    Slice::since(begun, counted.load(Ordering::Relaxed))
}

async fn write(state: Arc<State>, n: u64) {
    let set = Change::Set { key: key(n), value: Bytes::from_static(&VALUE) };
    state.write("bench", vec![set]).await.unwrap();
}

async fn read(state: Arc<State>, n: u64) {
    assert_eq!(state.get("bench", &key(n)).await.unwrap().unwrap().len(), VALUE.len());
}
