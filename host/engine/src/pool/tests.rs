use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use wharf_call::Kind;

use super::*;

fn pool(max: u32, queue: u32) -> Arc<Pool<u32>> {
    Pool::new(&PoolConfig { max, queue, ..PoolConfig::default() }, 4)
}

/// A call that finds a place and makes the instance `instance`.
async fn made(pool: &Pool<u32>, instance: u32, owner: Option<&Owner>) -> Placed<u32> {
    match pool.admit(owner, Deadline::NONE).await.expect("there is room") {
        Admission::Place(place) => place.fill(instance).owned_by(owner.cloned()),
        other => panic!("{other:?}"),
    }
}

async fn warm(pool: &Pool<u32>, owner: Option<&Owner>) -> Placed<u32> {
    match pool.admit(owner, Deadline::NONE).await.expect("there is room") {
        Admission::Warm(placed) => placed,
        other => panic!("{other:?}"),
    }
}

fn soon() -> Deadline {
    Deadline::NONE.narrow(Instant::now(), Duration::from_millis(10))
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_in_the_queue_until_its_deadline() {
    let pool = pool(1, 1);
    let first = made(&pool, 1, None).await;
    let refused = pool.admit(None, soon()).await.expect_err("no instance becomes free");
    assert_eq!((refused.kind(), refused.retry_after_s()), (Kind::Overloaded, Some(1)));
    assert_eq!(pool.waiting(), 0);
    drop(first);
    pool.admit(None, soon()).await.expect("the place is free again");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let pool = pool(1, 0);
    let _first = made(&pool, 1, None).await;
    let refused = pool.admit(None, Deadline::NONE).await.expect_err("nobody may wait");
    assert_eq!(refused.kind(), Kind::Overloaded);
}

#[tokio::test]
async fn the_last_one_in_is_the_first_one_out() {
    let pool = pool(8, 0);
    let (one, two) = (made(&pool, 1, None).await, made(&pool, 2, None).await);
    assert!(pool.keep(one).is_none() && pool.keep(two).is_none());
    assert_eq!((pool.idle(), pool.instances()), (2, 2));
    assert_eq!(warm(&pool, None).await.instance, 2);
}

#[tokio::test]
async fn what_becomes_free_goes_to_the_one_that_has_waited_longest() {
    let pool = pool(1, 8);
    let mut held = made(&pool, 0, None).await;
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for number in 0..4 {
        let (pool, order) = (pool.clone(), order.clone());
        let already = pool.waiting();
        calls.push(tokio::spawn({
            let pool = pool.clone();
            async move {
                let placed = warm(&pool, None).await;
                order.lock().push(number);
                assert!(pool.keep(placed).is_none());
            }
        }));
        while pool.waiting() == already {
            tokio::task::yield_now().await;
        }
    }
    // Abandoned while it waits: the others do not wait for it.
    calls.remove(1).abort();
    held.instance = 7;
    assert!(pool.keep(held).is_none());
    for call in calls {
        call.await.expect("gets its turn");
    }
    assert_eq!(*order.lock(), [0, 2, 3]);
    assert_eq!((pool.waiting(), pool.idle(), warm(&pool, None).await.instance), (0, 1, 7));
}

#[tokio::test]
async fn a_place_that_becomes_free_is_as_good_as_an_instance() {
    let pool = pool(1, 1);
    let held = made(&pool, 0, None).await;
    let next = tokio::spawn({
        let pool = pool.clone();
        async move { made(&pool, 1, None).await.instance }
    });
    while pool.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(held);
    assert_eq!(next.await.expect("gets the place"), 1);
    assert_eq!(pool.instances(), 0);
}

#[tokio::test]
async fn an_instance_with_an_owner_serves_nobody_else() {
    let (ann, bob) = (Owner::from("ann"), Owner::from("bob"));
    let pool = pool(2, 0);
    let (anns, fresh) = (made(&pool, 1, Some(&ann)).await, made(&pool, 2, None).await);
    assert!(pool.keep(anns).is_none() && pool.keep(fresh).is_none());
    let again = warm(&pool, Some(&ann)).await;
    assert_eq!(again.instance, 1, "its own before a fresh one");
    let bobs = warm(&pool, Some(&bob)).await;
    assert_eq!((bobs.instance, bobs.owner.as_ref()), (2, Some(&bob)));
    assert!(pool.keep(again).is_none() && pool.keep(bobs).is_none());
    let eve = Owner::from("eve");
    match pool.admit(Some(&eve), Deadline::NONE).await.expect("an idle one makes room") {
        Admission::Instead(old) => {
            assert_eq!(old.instance, 1, "the one of its shard that was idle for longest")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn idle_instances_expire_down_to_the_least_and_working_ones_count() {
    let pool = pool(8, 0);
    let mut held = Vec::new();
    for instance in 0..4 {
        held.push(made(&pool, instance, None).await);
    }
    let working = held.pop();
    for placed in held {
        assert!(pool.keep(placed).is_none());
    }
    assert!(pool.sweep(1, 2).is_empty(), "idle for one sweep");
    let expired = pool.sweep(1, 2);
    assert_eq!(expired.iter().map(|placed| placed.instance).collect::<Vec<_>>(), [0, 1]);
    drop(expired);
    assert_eq!((pool.instances(), pool.idle()), (2, 1));
    assert!(pool.sweep(1, 2).is_empty(), "two are left");
    drop(working);
    assert_eq!(pool.sweep(1, 0).len(), 1, "down to none");
}

#[tokio::test]
async fn a_retired_pool_keeps_nothing() {
    let pool = pool(8, 0);
    let (one, two) = (made(&pool, 1, None).await, made(&pool, 2, None).await);
    assert!(pool.keep(one).is_none());
    assert_eq!(pool.retire().len(), 1);
    assert_eq!(pool.keep(two).expect("handed back").instance, 2);
    assert_eq!(pool.instances(), 0);
}

#[test]
fn calls_are_counted_across_threads() {
    let pool = pool(8, 0);
    let begin = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| pool.begin());
            }
        });
    };
    begin(5);
    assert_eq!(pool.in_flight(), 5);
    (0..5).for_each(|_| pool.end());
    assert_eq!(pool.in_flight(), 0);
}

/// Nobody waits for ever, nobody has too many, and nothing is lost, whatever the threads do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_share_few_instances() {
    const MAX: u32 = 3;
    let pool = pool(MAX, 1_000);
    let working = Arc::new(AtomicUsize::new(0));
    let mut calls = Vec::new();
    for number in 0..64u32 {
        let (pool, working) = (pool.clone(), working.clone());
        calls.push(tokio::spawn(async move {
            let owners = [Owner::from("ann"), Owner::from("bob")];
            for round in 0..200u32 {
                let owner = (number % 4 == 0).then(|| &owners[round as usize % 2]);
                let patience = if round % 7 == 0 { soon() } else { Deadline::NONE };
                let placed = match pool.admit(owner, patience).await {
                    Ok(Admission::Warm(placed)) => placed,
                    Ok(Admission::Place(place)) => place.fill(round).owned_by(owner.cloned()),
                    Ok(Admission::Instead(old)) => old.clear().1.fill(round).owned_by(owner.cloned()),
                    Err(_) => continue,
                };
                assert!(working.fetch_add(1, SeqCst) < MAX as usize);
                if round % 3 == 0 {
                    tokio::task::yield_now().await;
                }
                working.fetch_sub(1, SeqCst);
                // Some end badly.
                if round % 11 != 0 {
                    assert!(pool.keep(placed).is_none());
                }
            }
        }));
    }
    for call in calls {
        tokio::time::timeout(Duration::from_secs(60), call)
            .await
            .expect("nobody is forgotten")
            .expect("ends");
    }
    assert_eq!(pool.waiting(), 0);
    assert_eq!(pool.idle(), pool.instances() as usize);
}
