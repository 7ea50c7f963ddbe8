//! A writer who is alone, on a runtime whose threads may wait: it commits where it runs.

use super::*;

/// Writes until a write was done when it was polled once, and returns how many it took: the thread of the queue
/// may just be looking at the log.
async fn write_alone(state: &State, change: impl Fn() -> Change) -> usize {
    for n in 1..=100 {
        let mut write = state.write("a", vec![change()]);
        match poll(&mut write) {
            Poll::Ready(done) => {
                done.unwrap();
                return n;
            }
            Poll::Pending => write.await.unwrap(),
        }
    }
    panic!("each of 100 writes went through the queue")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_write_is_done_when_it_was_polled_once() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    for n in 1..=10 {
        let before = disk.flushes(Which::Log);
        let writes = write_alone(&state, || set("k", n.to_string())).await;
        assert_eq!(disk.flushes(Which::Log) - before, writes, "it is on the disk");
        assert_eq!(state.get("a", "k").await.unwrap().unwrap(), n.to_string(), "and visible");
    }
}

#[tokio::test]
async fn a_runtime_of_one_thread_is_not_kept_waiting() {
    let disk = Disk::new();
    let state = open(&disk, Config::default());
    disk.hold_flushes();
    let mut write = state.write("a", vec![set("k", "v")]);
    assert!(poll(&mut write).is_pending());
    disk.wait_for_a_held_flush();
    disk.let_go();
    write.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_meanwhile_waits_in_the_queue_and_is_one_group() {
    let disk = Disk::new();
    let state = Arc::new(open(&disk, Config::default()));
    write_alone(&state, || set("zeroth", "1")).await;
    let before = disk.flushes(Which::Log);
    disk.hold_flushes();
    let first = tokio::spawn({
        let state = state.clone();
        async move { state.write("a", vec![set("first", "1")]).await }
    });
    disk.wait_for_a_held_flush();
    let mut others: Vec<_> = (0..50).map(|n| state.write("a", vec![set(&n.to_string(), "1")])).collect();
    assert!(others.iter_mut().all(|write| poll(write).is_pending()));
    assert_eq!(state.get("a", "first").await, Ok(None), "it is not on the disk yet");
    disk.let_go();
    first.await.unwrap().unwrap();
    for write in others {
        write.await.unwrap();
    }
    // The thread may have taken the first of them before the others were there.
    assert!((2..=3).contains(&(disk.flushes(Which::Log) - before)));
    assert_eq!(keys(&state, "a").await.len(), 52);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crowd_there_may_be_a_lone_writer_again() {
    let disk = Disk::new();
    let state = Arc::new(open(&disk, Config::default()));
    let crowd: Vec<_> = (0..20)
        .map(|n| {
            let state = state.clone();
            tokio::spawn(async move { state.write("a", vec![set(&n.to_string(), "1")]).await })
        })
        .collect();
    for write in crowd {
        write.await.unwrap().unwrap();
    }
    write_alone(&state, || set("last", "1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_emptied_when_nobody_writes_past_the_queue_any_more() {
    let disk = Disk::new();
    let tuning = Tuning { log_bytes: 64 << 10, idle: Duration::from_millis(20) };
    let state = try_open_with(&disk, Config::default(), &tuning).unwrap();
    state.provide("a", None);
    for n in 0..3 {
        let before = disk.flushes(Which::Database);
        write_alone(&state, || set("k", n.to_string())).await;
        disk.wait_for_flushes(Which::Database, before + 2);
        assert_eq!(state.get("a", "k").await.unwrap().unwrap(), n.to_string());
    }
}
