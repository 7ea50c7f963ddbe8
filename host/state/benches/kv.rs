//! How fast the store is, beside what the disk and redb can do at the same minute.
//!
//! `cargo bench -p wharf-state`. Each contender runs for a slice of time in turn, several rounds, so that a
//! disk that is slow for a while is slow for all; the figure of each is the median of its rounds. The store
//! is made in `$WHARF_BENCH_DIR`, or in the build's folder: not in a temporary folder, which may be memory.

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

const ROUNDS: usize = 9;
const SLICE: Duration = Duration::from_millis(700);
const VALUE: [u8; 128] = [7; 128];
const KEYS: u64 = 10_000;
const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("raw");

struct Contender<'a> {
    name: &'static str,
    /// Runs for one slice and returns the operations per second.
    run: Box<dyn FnMut() -> f64 + 'a>,
    rates: Vec<f64>,
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
    let state = Arc::new(State::open(&dir.join("state"), Config::default()).unwrap());
    state.provide("bench", None);
    fill(&raw, &runtime, &state);

    let (file, raw, runtime, state) = (&file, &raw, &runtime, &state);
    let contender = |name, run| Contender { name, run, rates: Vec::new() };
    let mut contenders = [
        contender("1 page + fdatasync", Box::new(move || probe(file, 1)) as Box<dyn FnMut() -> f64>),
        contender("8 pages + fdatasync", Box::new(move || probe(file, 8))),
        contender("raw redb, 1 writer", Box::new(move || raw_writes(raw))),
        contender("wharf, 1 writer", Box::new(move || tasks(runtime, state, 1, write))),
        contender("wharf, 32 writers", Box::new(move || tasks(runtime, state, 32, write))),
        contender("raw redb, 1 reader", Box::new(move || raw_reads(raw))),
        contender("wharf, 1 reader", Box::new(move || tasks(runtime, state, 1, read))),
        contender("wharf, 32 readers", Box::new(move || tasks(runtime, state, 32, read))),
    ];
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.rates.push((contender.run)());
        }
    }

    println!("{} bytes per value, {KEYS} keys, {ROUNDS} rounds of {SLICE:?} each, in turn\n", VALUE.len());
    println!("{:<20} {:>10} {:>10} {:>10}", "operations per s", "median", "least", "most");
    let mut medians = Vec::new();
    for contender in &mut contenders {
        contender.rates.sort_by(f64::total_cmp);
        let rates = &contender.rates;
        let (median, least, most) = (rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1]);
        println!("{:<20} {median:>10.0} {least:>10.0} {most:>10.0}", contender.name);
        medians.push(median);
    }
    println!();
    for (what, over, under) in [
        ("wharf, 1 writer / 1 page + fdatasync", 3, 0),
        ("wharf, 1 writer / 8 pages + fdatasync", 3, 1),
        ("wharf, 1 writer / raw redb, 1 writer", 3, 2),
        ("wharf, 32 writers / wharf, 1 writer", 4, 3),
        ("wharf, 32 writers / 1 page + fdatasync", 4, 0),
        ("wharf, 1 reader / raw redb, 1 reader", 6, 5),
        ("wharf, 32 readers / raw redb, 1 reader", 7, 5),
    ] {
        println!("{what:<40} {:.2}", medians[over] / medians[under]);
    }
}

fn key(n: u64) -> String {
    format!("key-{:06}", n.wrapping_mul(7_919) % KEYS)
}

fn fill(raw: &Database, runtime: &Runtime, state: &State) {
    let transaction = raw.begin_write().unwrap();
    {
        let mut table = transaction.open_table(TABLE).unwrap();
        for n in 0..KEYS {
            table.insert(key(n).as_str(), &VALUE[..]).unwrap();
        }
    }
    transaction.commit().unwrap();
    let all: Vec<u64> = (0..KEYS).collect();
    for some in all.chunks(1_000) {
        let set = |n: &u64| Change::Set { key: key(*n), value: Bytes::from_static(&VALUE) };
        runtime.block_on(state.write("bench", some.iter().map(set).collect())).unwrap();
    }
}

/// Calls `operation` for a slice.
fn rate(mut operation: impl FnMut(u64)) -> f64 {
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < SLICE {
        operation(count);
        count += 1;
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

/// What the disk can do: some pages here and there in a file that has its size, and a flush. A commit of
/// redb writes seven or eight: the way from the leaf to the root, in three trees, and the header.
fn probe(file: &File, pages: u64) -> f64 {
    rate(|n| {
        for page in 0..pages {
            let place = (n * pages + page).wrapping_mul(1_237) % 4_096;
            file.write_all_at(&[n as u8; 4_096], place * 4_096).unwrap();
        }
        rustix::fs::fdatasync(file).unwrap();
    })
}

fn raw_writes(raw: &Database) -> f64 {
    rate(|n| {
        let transaction = raw.begin_write().unwrap();
        transaction.open_table(TABLE).unwrap().insert(key(n).as_str(), &VALUE[..]).unwrap();
        transaction.commit().unwrap();
    })
}

fn raw_reads(raw: &Database) -> f64 {
    rate(|n| {
        let table = raw.begin_read().unwrap().open_table(TABLE).unwrap();
        let value = Bytes::copy_from_slice(table.get(key(n).as_str()).unwrap().unwrap().value());
        assert_eq!(value.len(), VALUE.len());
    })
}

/// `tasks` tasks, each of which does one operation after the other.
fn tasks<F>(runtime: &Runtime, state: &Arc<State>, tasks: u64, operation: fn(Arc<State>, u64) -> F) -> f64
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
    counted.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

async fn write(state: Arc<State>, n: u64) {
    let set = Change::Set { key: key(n), value: Bytes::from_static(&VALUE) };
    state.write("bench", vec![set]).await.unwrap();
}

async fn read(state: Arc<State>, n: u64) {
    assert_eq!(state.get("bench", &key(n)).await.unwrap().unwrap().len(), VALUE.len());
}
