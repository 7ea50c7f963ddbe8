//! Disks that fail: what was acknowledged is there, and nothing is acknowledged after the first failure.

use std::collections::BTreeMap;

use super::disk::Fault;
use super::*;

/// The value of write `n`: its number, and a checksum that a torn value would not have.
fn value(n: u64) -> Bytes {
    Bytes::from(format!("{n} {} ", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(1 + n as usize % 300))
}

/// Writes until the disk fails and a while longer, cuts the power, and looks at what is there. Returns
/// whether a write was refused.
async fn survives(fault: Fault, random: &mut Random) -> bool {
    let disk = Disk::new();
    let config = Config { cache_bytes: 64 << 10, ..Config::default() };
    let state = open(&disk, config.clone());
    state.write("a", vec![set("before", value(0))]).await.unwrap();
    disk.break_with(fault);
    let mut acknowledged = BTreeMap::from([("before".to_owned(), 0)]);
    let mut begun = BTreeMap::<String, Vec<u64>>::new();
    let mut failed = false;
    for n in 1..120 {
        let key = format!("key-{}", random.below(20));
        let result = state.write("a", vec![set(&key, value(n)), set("newest", value(n))]).await;
        for key in [key, "newest".to_owned()] {
            begun.entry(key.clone()).or_default().push(n);
            if result.is_ok() {
                acknowledged.insert(key, n);
            }
        }
        assert!(!(failed && result.is_ok()), "{fault:?}: write {n} was acknowledged after a failure");
        assert!(result.is_ok() || is_unavailable(&result), "{fault:?}: {result:?}");
        failed |= result.is_err();
    }
    assert!(disk.has_failed(), "{fault:?}: the disk did not fail");
    drop(state);
    disk.cut_power(random);

    let state = open(&disk, config);
    for (key, at_least) in &acknowledged {
        let found = state.get("a", key).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("{fault:?}: {key} was acknowledged and is gone"));
        let mut possible = begun.get(key).into_iter().flatten().filter(|n| *n >= at_least).chain([at_least]);
        assert!(possible.any(|n| found == value(*n)), "{fault:?}: {key} is old or torn");
    }
    let mut used = 0;
    for key in keys(&state, "a").await {
        used += (key.len() + state.get("a", &key).await.unwrap().unwrap().len()) as u64;
    }
    assert_eq!(state.used_bytes("a"), Some(used), "{fault:?}");
    state.write("a", vec![set("after", "1")]).await.unwrap();
    failed
}

#[tokio::test]
async fn a_failed_write_is_the_last_one_and_nothing_acknowledged_is_lost() {
    failed_writes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_past_the_queue_is_the_last_one_too() {
    failed_writes().await;
}

async fn failed_writes() {
    let mut refused = 0;
    for n in (0..100).step_by(3) {
        refused += usize::from(survives(Fault::Write(n), &mut Random(n as u64 + 1)).await);
    }
    // Redb can do without some: what it writes early, to have room in its cache, it can write again.
    assert!(refused > 20, "{refused} of 34");
}

#[tokio::test]
async fn a_failed_flush_is_the_last_one_and_nothing_acknowledged_is_lost() {
    failed_flushes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_flush_past_the_queue_is_the_last_one_too() {
    failed_flushes().await;
}

async fn failed_flushes() {
    for n in (0..60).step_by(3) {
        assert!(survives(Fault::Flush(n), &mut Random(n as u64 + 1)).await);
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_loss_of_power_at_any_step() {
    for n in (0..200).step_by(3) {
        assert!(survives(Fault::Everything(n), &mut Random(n as u64 + 1)).await);
    }
}

#[tokio::test]
async fn a_store_that_loses_its_power_while_it_is_repaired_loses_nothing() {
    let mut refused = 0;
    for n in 0..20 {
        let disk = Disk::new();
        let random = &mut Random(n as u64 + 1);
        let state = open(&disk, Config::default());
        state.write("a", vec![set("k", "v")]).await.unwrap();
        disk.break_with(Fault::Everything(0));
        drop(state);
        disk.cut_power(random);
        disk.break_with(Fault::Everything(n));
        refused += usize::from(try_open(&disk, Config::default()).is_err());
        disk.cut_power(random);
        let state = open(&disk, Config::default());
        assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "v", "cut after {n} steps");
    }
    assert!((1..20).contains(&refused), "{refused}: the power was to go before, in and after the repair");
}

#[tokio::test]
async fn a_whole_group_is_told_of_the_failure_and_reads_go_on() {
    let disk = Disk::new();
    let state = Arc::new(open(&disk, Config::default()));
    state.write("a", vec![set("k", "old")]).await.unwrap();
    disk.break_with(Fault::Flush(0));
    let tasks: Vec<_> = (0..20)
        .map(|n: u32| {
            let state = state.clone();
            tokio::spawn(async move { state.write("a", vec![set("k", n.to_string())]).await })
        })
        .collect();
    for task in tasks {
        assert!(is_unavailable(&task.await.unwrap()));
    }
    assert!(is_unavailable(&state.increment("b", "n", 1).await));
    assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "old");
}

#[tokio::test]
async fn a_group_whose_flush_failed_is_not_shown_and_no_part_of_it_is_found_later() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    state.write("a", vec![set("k", "old")]).await.unwrap();
    let used = state.used_bytes("a");
    disk.hold_flushes();
    let mut write = state.write("a", vec![set("k", "new"), set("another", "new")]);
    assert!(poll(&mut write).is_pending());
    disk.wait_for_a_held_flush();
    disk.break_with(Fault::Flush(0));
    disk.let_go();
    assert!(is_unavailable(&write.await));
    assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "old");
    assert_eq!(keys(&state, "a").await, ["k"]);
    assert_eq!(state.used_bytes("a"), used);
    // redb makes what it has durable when it is closed; the log is done again over that.
    drop(state);
    disk.open_anew();
    let state = open(&disk, Config::default());
    assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "old");
    assert_eq!(keys(&state, "a").await, ["k"], "a part of the group was found");
    assert_eq!(state.used_bytes("a"), used);
}

#[tokio::test]
async fn a_store_that_is_opened_after_a_failed_flush_trusts_the_disk_and_not_the_page_cache() {
    for n in 0..40 {
        let disk = Disk::new();
        let state = open(&disk, Config::default());
        disk.break_with(Fault::Flush(n));
        let mut acknowledged = 0;
        // Some are larger than the log.
        let content = |n: usize| vec![n as u8; if n.is_multiple_of(5) { 100_000 } else { n * 10 }];
        for n in 1..60 {
            match state.write("a", vec![set("k", content(n)), set(&n.to_string(), content(n))]).await {
                Ok(()) => acknowledged = n,
                Err(_) => break,
            }
        }
        assert!(disk.has_failed());
        drop(state);
        disk.open_anew();
        let state = open(&disk, Config::default());
        state.write("b", vec![set("next process", "1")]).await.unwrap();
        disk.break_with(Fault::Everything(0));
        drop(state);
        disk.cut_power(&mut Random(n as u64 + 1));
        let state = open(&disk, Config::default());
        assert_eq!(state.get("b", "next process").await.unwrap().unwrap(), "1");
        for n in 1..=acknowledged {
            let found = state.get("a", &n.to_string()).await.unwrap();
            assert_eq!(found.map(Vec::from), Some(content(n)), "write {n}");
        }
    }
}
