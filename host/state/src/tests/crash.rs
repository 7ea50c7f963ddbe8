//! The power is cut at every single step of a workload: the store then is what it was after some of the
//! operations, in their order, and none that was acknowledged is missing.

use std::collections::BTreeMap;

use super::disk::Fault;
use super::*;

/// Key and value, by bucket.
type Content = BTreeMap<(&'static str, String), Bytes>;

#[derive(Clone, Debug)]
enum Step {
    Write(&'static str, Vec<Change>),
    Increment(&'static str, String, i64),
    Swap(&'static str, String, Bytes),
}

/// Steps that are made at the same time, and so perhaps in one group; in this order.
type Batch = Vec<Step>;

fn workload(random: &mut Random) -> Vec<Batch> {
    let mut batch = || {
        let steps = if random.below(3) == 0 { 4 } else { 1 };
        let mut step = |_| {
            let bucket = if random.below(3) == 0 { "b" } else { "a" };
            let key = format!("key-{}", random.below(8));
            match random.below(8) {
                0 | 1 => {
                    Step::Increment(bucket, format!("count-{}", random.below(2)), random.below(9) as i64)
                }
                2 => Step::Swap(bucket, key, Bytes::from(vec![b's'; random.below(300) as usize])),
                // Larger than the log, larger than a page, and small.
                3 if random.below(4) == 0 => Step::Write(bucket, vec![set(&key, vec![b'l'; 50_000])]),
                4 => Step::Write(bucket, vec![set(&key, vec![b'm'; random.below(9_000) as usize])]),
                5 => Step::Write(bucket, vec![delete(&key), set(&format!("{key}-too"), "x")]),
                n => Step::Write(bucket, vec![set(&key, n.to_string())]),
            }
        };
        (0..steps).map(&mut step).collect()
    };
    (0..60).map(|_| batch()).collect()
}

impl Step {
    fn begin<'a>(&self, state: &'a State, before: &Content) -> BoxFuture<'a, Result<(), KeyValueError>> {
        match self.clone() {
            Step::Write(bucket, changes) => state.write(bucket, changes),
            Step::Increment(bucket, key, delta) => {
                Box::pin(async move { state.increment(bucket, &key, delta).await.map(drop) })
            }
            Step::Swap(bucket, key, value) => {
                let seen = before.get(&(bucket, key.clone())).cloned();
                Box::pin(async move { state.swap(bucket, &key, seen, value).await.map(drop) })
            }
        }
    }

    fn on(&self, content: &mut Content) {
        let mut make = |bucket, change: &Change| match change.value() {
            Some(value) => drop(content.insert((bucket, change.key().to_owned()), value.clone())),
            None => drop(content.remove(&(bucket, change.key().to_owned()))),
        };
        match self {
            Step::Write(bucket, changes) => changes.iter().for_each(|change| make(*bucket, change)),
            Step::Swap(bucket, key, value) => make(*bucket, &set(key, value.clone())),
            Step::Increment(bucket, key, delta) => {
                let before = content.get(&(*bucket, key.clone()));
                let before = before.map_or(0_i64, |text| std::str::from_utf8(text).unwrap().parse().unwrap());
                content.insert((*bucket, key.clone()), Bytes::from((before + delta).to_string()));
            }
        }
    }
}

const TUNING: Tuning = Tuning { log_bytes: 10 * 4_096, idle: Duration::MAX };

fn try_to_open(disk: &Arc<Disk>) -> Result<State, OpenError> {
    // A cache so small that redb writes pages before they are committed.
    let state = try_open_with(disk, Config { cache_bytes: 64 << 10, ..Config::default() }, &TUNING)?;
    state.provide("a", None);
    state.provide("b", None);
    Ok(state)
}

/// Everything in the store; and the quotas must count just that.
async fn content(state: &State) -> Content {
    let mut content = Content::new();
    for bucket in ["a", "b"] {
        let mut used = 0;
        for key in keys(state, bucket).await {
            let value = state.get(bucket, &key).await.unwrap().unwrap();
            used += (key.len() + value.len()) as u64;
            content.insert((bucket, key), value);
        }
        assert_eq!(state.used_bytes(bucket), Some(used));
    }
    content
}

/// Runs `workload` until the power goes at `step`; `false` when it ended before.
async fn cut_at(step: usize, workload: &[Batch], random: &mut Random) -> bool {
    let disk = Disk::new();
    drop(open_database(disk.plug_in(Which::Database), Path::new("kv.redb"), &Config::default()).unwrap());
    disk.break_with(Fault::Everything(step));
    // What the store may be: the first has everything that was acknowledged, and each further one a
    // step that was begun.
    let mut possible = vec![Content::new()];
    if let Ok(state) = try_to_open(&disk) {
        for batch in workload {
            let mut now = possible.pop().unwrap();
            possible.clear();
            let mut steps: Vec<_> = Vec::new();
            let mut before = now.clone();
            for step in batch {
                let mut running = step.begin(&state, &before);
                step.on(&mut before);
                // Hands it over; it may even be done.
                let early = poll(&mut running);
                steps.push((step, running, early));
            }
            let mut failed = false;
            for (step, running, early) in steps {
                let result = match early {
                    Poll::Ready(result) => result,
                    Poll::Pending => running.await,
                };
                assert!(result.is_ok() || is_unavailable(&result), "{result:?}");
                assert!(!(failed && result.is_ok()), "an operation was acknowledged after a failure");
                if result.is_err() && !failed {
                    possible.push(now.clone());
                    failed = true;
                }
                step.on(&mut now);
                if failed {
                    possible.push(now.clone());
                }
            }
            if failed {
                break;
            }
            possible.push(now);
        }
    }
    let was_cut = disk.has_failed();
    disk.cut_power(random);
    // The next start may be cut short as well.
    disk.break_with(Fault::Everything(random.below(40) as usize));
    drop(try_to_open(&disk));
    disk.cut_power(random);
    let found = content(&try_to_open(&disk).unwrap()).await;
    assert!(possible.contains(&found), "cut at step {step}: the store is none of what it may be");
    was_cut
}

#[tokio::test]
async fn the_power_may_go_at_any_step() {
    cut_at_each_step().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_power_may_go_at_any_step_of_writers_past_the_queue() {
    cut_at_each_step().await;
}

async fn cut_at_each_step() {
    for seed in 1..=2 {
        let workload = workload(&mut Random(seed * 0x9e37_79b9));
        let mut step = 0;
        while cut_at(step, &workload, &mut Random(step as u64 * 31 + seed)).await {
            step += 1;
        }
        assert!(step > 300, "the workload has {step} steps");
    }
}
