//! Group commit, the queue, and what happens to those who go away.

use super::*;

/// Begins a write that has to wait.
fn begin(future: &mut BoxFuture<'_, Result<(), KeyValueError>>) {
    assert!(poll(future).is_pending());
}

#[tokio::test]
async fn what_waits_together_is_flushed_together() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    let before = disk.flushes(Which::Log);
    disk.hold_flushes();
    let mut first = state.write("a", vec![set("first", "1")]);
    begin(&mut first);
    disk.wait_for_a_held_flush();
    let mut others: Vec<_> = (0..50).map(|n| state.write("a", vec![set(&n.to_string(), "1")])).collect();
    others.iter_mut().for_each(begin);
    disk.let_go();
    first.await.unwrap();
    for write in others {
        write.await.unwrap();
    }
    assert_eq!(disk.flushes(Which::Log) - before, 2, "one for the first, one for the 50 that came meanwhile");
    assert_eq!(keys(&state, "a").await.len(), 51);
}

#[tokio::test]
async fn a_refusal_in_a_group_does_not_disturb_the_others() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    state.provide("a", Some(20));
    disk.hold_flushes();
    let mut first = state.write("b", vec![set("first", "1")]);
    begin(&mut first);
    disk.wait_for_a_held_flush();
    let mut fits = state.write("a", vec![set("fits", "12345")]);
    let mut refused = state.write("a", vec![set("1", "1"), set("2", vec![0; 20])]);
    let mut neighbour = state.write("b", vec![set("neighbour", "1")]);
    begin(&mut fits);
    begin(&mut refused);
    begin(&mut neighbour);
    disk.let_go();
    assert_eq!((first.await, fits.await, neighbour.await), (Ok(()), Ok(()), Ok(())));
    assert_eq!(refused.await, Err(KeyValueError::QuotaExceeded { bucket: "a".to_owned(), limit: 20 }));
    assert_eq!(keys(&state, "a").await, ["fits"], "all or nothing");
    assert_eq!(state.used_bytes("a"), Some(9));
}

#[tokio::test]
async fn refusals_alone_cost_no_flush() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    state.provide("a", Some(0));
    let flushes = || (disk.flushes(Which::Database), disk.flushes(Which::Log));
    let before = flushes();
    for _ in 0..10 {
        state.write("a", vec![set("k", "v")]).await.unwrap_err();
        state.write("a", vec![delete("k")]).await.unwrap();
    }
    assert_eq!(flushes(), before);
}

#[tokio::test]
async fn a_bucket_that_fills_its_share_of_the_queue_waits_outside_and_its_neighbour_does_not() {
    let disk = Disk::new();
    let state = open(&disk, Config { queue_bytes: 16 << 10, ..Config::default() });
    disk.hold_flushes();
    let before = disk.flushes(Which::Log);
    let mut first = state.write("a", vec![set("0", vec![0; 2_000])]);
    begin(&mut first);
    disk.wait_for_a_held_flush();
    // A share is 4 KiB: the second does not fit beside the first, nor do those behind it.
    let mut waiting: Vec<_> =
        (1..=3).map(|n| state.write("a", vec![set(&n.to_string(), vec![0; 2_000])])).collect();
    waiting.iter_mut().for_each(begin);
    let mut neighbour = state.write("b", vec![set("k", "v")]);
    begin(&mut neighbour);
    // One of those outside goes away: as it was never handed over, it never happens.
    drop(waiting.remove(1));
    disk.let_go();
    first.await.unwrap();
    neighbour.await.unwrap();
    assert_eq!(disk.flushes(Which::Log) - before, 2, "the neighbour was in the group after the first");
    for write in waiting {
        write.await.unwrap();
    }
    assert_eq!(keys(&state, "a").await, ["0", "1", "3"]);
}

#[tokio::test]
async fn what_is_larger_than_the_queue_passes_alone() {
    let state = open(&Disk::new(), Config { queue_bytes: 1_000, ..Config::default() });
    state.write("a", vec![set("k", vec![7; 500_000])]).await.unwrap();
    assert_eq!(state.get("a", "k").await.unwrap().unwrap().len(), 500_000);
}

#[tokio::test]
async fn dropping_a_write_that_was_handed_over_does_not_undo_it() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    disk.hold_flushes();
    let mut abandoned = state.write("a", vec![set("k", "v")]);
    begin(&mut abandoned);
    drop(abandoned);
    disk.let_go();
    // What comes later is answered later.
    state.write("a", vec![set("later", "v")]).await.unwrap();
    assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "v");
}

#[tokio::test]
async fn closing_finishes_what_was_accepted() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    disk.hold_flushes();
    for n in 0..20 {
        begin(&mut state.write("a", vec![set(&n.to_string(), "v")]));
    }
    disk.let_go();
    drop(state);
    assert_eq!(keys(&open(&disk, Config::default()), "a").await.len(), 20);
}

#[tokio::test]
async fn a_reader_neither_waits_for_a_flush_nor_sees_what_is_being_flushed() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    state.write("a", vec![set("k", "old")]).await.unwrap();
    disk.hold_flushes();
    let mut write = state.write("a", vec![set("k", "new"), set("another", "new")]);
    begin(&mut write);
    disk.wait_for_a_held_flush();
    assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "old", "what is not on the disk is not shown");
    assert_eq!(keys(&state, "a").await, ["k"]);
    assert_eq!(state.used_bytes("a"), Some(4));
    disk.let_go();
    write.await.unwrap();
    assert_eq!(state.get("a", "k").await.unwrap().unwrap(), "new");
    assert_eq!(keys(&state, "a").await, ["another", "k"]);
}

#[tokio::test]
async fn what_was_acknowledged_is_seen_at_once_also_across_checkpoints() {
    let (_, state) = with_log_of(3);
    for n in 0_u64..100 {
        let value = n.to_string();
        state.write("a", vec![set("k", value.clone()), set(&value, "")]).await.unwrap();
        assert_eq!(state.get("a", "k").await.unwrap().unwrap(), value);
        assert!(state.exists("a", &value).await.unwrap());
        assert_eq!(state.increment("a", "count", 1).await.unwrap(), n as i64 + 1);
        assert_eq!(state.get("a", "count").await.unwrap().unwrap(), (n + 1).to_string());
    }
}

/// A disk, and a store on it whose log has room for `pages` small writes.
fn with_log_of(pages: usize) -> (Arc<Disk>, State) {
    let disk = Disk::new();
    let tuning = Tuning { log_bytes: (1 + pages) * 4_096, idle: Duration::MAX };
    let state = try_open_with(&disk, Config::default(), &tuning).unwrap();
    state.provide("a", None);
    (disk, state)
}

#[tokio::test]
async fn a_small_write_is_one_flush_of_the_log_until_the_log_is_full() {
    let (disk, state) = with_log_of(5);
    // What redb does when it makes a table, or its file grows, is done before.
    state.write("a", vec![set("k", vec![0; 200_000])]).await.unwrap();
    for _ in 0..3 {
        let flushes = || (disk.flushes(Which::Database), disk.flushes(Which::Log));
        let before = flushes();
        for n in 1..=5 {
            state.write("a", vec![set("k", "v")]).await.unwrap();
            assert_eq!(flushes(), (before.0, before.1 + n));
        }
        state.write("a", vec![set("k", "v")]).await.unwrap();
        assert_eq!(flushes(), (before.0 + 2, before.1 + 5), "the sixth has no room, and empties the log");
    }
}

#[tokio::test]
async fn a_write_that_is_larger_than_the_log_is_durable_too() {
    let (disk, state) = with_log_of(5);
    state.write("a", vec![set("small", "1")]).await.unwrap();
    state.write("a", vec![set("large", vec![7; 100_000])]).await.unwrap();
    state.write("a", vec![set("small", "2")]).await.unwrap();
    disk.break_with(disk::Fault::Everything(0));
    drop(state);
    disk.cut_power(&mut Random(1));
    let state = open(&disk, Config::default());
    assert_eq!(state.get("a", "large").await.unwrap().unwrap(), vec![7; 100_000]);
    assert_eq!(state.get("a", "small").await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn the_log_is_emptied_when_nothing_is_written() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    // Room in the file, so that a small write does not make it grow.
    state.write("a", vec![set("k", vec![0; 500_000])]).await.unwrap();
    state.write("a", vec![set("k", "old")]).await.unwrap();
    drop(state);
    let tuning = Tuning { log_bytes: 64 << 10, idle: Duration::ZERO };
    let state = try_open_with(&disk, Config::default(), &tuning).unwrap();
    state.provide("a", None);
    let before = disk.flushes(Which::Database);
    state.write("a", vec![set("k", "new")]).await.unwrap();
    disk.wait_for_flushes(Which::Database, before + 2);
    disk.break_with(disk::Fault::Everything(0));
    drop(state);
    disk.cut_power(&mut Random(1));
    // What the log had is not needed any more.
    let mut log = disk.bytes(Which::Log);
    assert!(log[4_096..].iter().any(|byte| *byte != 0));
    log[4_096..].fill(0);
    disk.set_bytes(Which::Log, log);
    assert_eq!(open(&disk, Config::default()).get("a", "k").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn readers_and_quotas_look_through_what_redb_has_not_yet() {
    let disk = Disk::new();
    let state = open(&disk, Config { page_keys_max: 2, ..Config::default() });
    state.write("a", ["b", "d", "f"].map(|key| set(key, "redb")).to_vec()).await.unwrap();
    drop(state);
    let state = open(&disk, Config { page_keys_max: 2, ..Config::default() });
    state.write("a", vec![delete("d"), set("a", "1"), set("g", "1")]).await.unwrap();
    state.write("a", vec![set("b", "2"), set("d", "2"), delete("a")]).await.unwrap();
    state.write("a", vec![delete("f"), set("e", "3")]).await.unwrap();
    let first = state.list_keys("a", None).await.unwrap();
    assert_eq!((first.keys, first.cursor.as_deref()), (vec!["b".into(), "d".into()], Some("d")));
    let last = state.list_keys("a", first.cursor.as_deref()).await.unwrap();
    assert_eq!((last.keys, last.cursor), (vec!["e".into(), "g".into()], None));
    let all = ["a", "b", "d", "e", "f", "g"].map(str::to_owned);
    let expected = [None, Some("2"), Some("2"), Some("3"), None, Some("1")];
    assert_eq!(state.get_many("a", &all).await.unwrap(), expected.map(|value| value.map(Bytes::from)));
    assert_eq!(state.used_bytes("a"), Some(8));
    assert_eq!(state.get("b", "a").await.unwrap(), None, "another bucket");
}

#[tokio::test]
async fn many_keys_make_a_checkpoint_though_the_log_has_room() {
    let (disk, state) = with_log_of(1_000);
    state.write("a", vec![set("first", vec![0; 5_000_000 / 8])]).await.unwrap();
    let flushes = || (disk.flushes(Which::Database), disk.flushes(Which::Log));
    let before = flushes();
    for n in 0..20 {
        let some: Vec<_> = (0..1_000).map(|m| set(&format!("{n}-{m}"), "")).collect();
        state.write("a", some).await.unwrap();
    }
    let after = flushes();
    assert_eq!(after.1 - before.1, 19, "all but one were logged");
    assert!(after.0 >= before.0 + 2, "and that one was a checkpoint");
    assert_eq!(keys(&state, "a").await.len(), 20_001);
}

/// How long redb's file is after `writes` over what fills it, and how long it was before.
async fn growth(log_pages: usize, writes: u64) -> (usize, usize, usize) {
    let (disk, state) = with_log_of(log_pages);
    let key = |n: u64| format!("key-{n}");
    let all: Vec<_> = (0..900).map(|n| set(&key(n), vec![1; 400])).collect();
    state.write("a", all).await.unwrap();
    drop(state);
    let state = open(&disk, Config::default());
    let before = (disk.bytes(Which::Database).len(), disk.flushes(Which::Log));
    let random = &mut Random(7);
    for n in 0..writes {
        state.write("a", vec![set(&key(random.below(900)), vec![n as u8; 400])]).await.unwrap();
    }
    (before.0, disk.bytes(Which::Database).len(), disk.flushes(Which::Log) - before.1)
}

#[tokio::test]
async fn the_file_does_not_grow_without_end_between_two_checkpoints_nor_over_many() {
    let (before, after, logged) = growth(4_000, 3_000).await;
    assert_eq!(logged, 3_000, "there was no checkpoint");
    assert_eq!(after, before, "redb has nothing of it yet");
    let (before, after, logged) = growth(30, 3_000).await;
    assert!(logged < 2_950, "there were many checkpoints");
    // Each page that a checkpoint needs was replaced once, and redb doubles a small file that is full.
    assert!(after <= 4 * before, "{after} bytes, after {before}");
}
