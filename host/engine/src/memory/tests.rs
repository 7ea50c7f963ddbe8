use wharf_call::LimitSet;

use super::*;
use crate::limits::Limits;
use crate::testing::Room;

fn limiter(room: &Room, limits: Limits) -> Result<MemoryLimiter, Denied> {
    MemoryLimiter::new(room.enforcer(limits))
}

fn kept(memories: u32, tables: u32) -> Kept {
    Kept::of(&Residency::default(), memories, tables)
}

fn with_memory(memory_bytes: u64) -> Limits {
    Limits { memory_bytes, ..Limits::default() }
}

#[test]
fn memories_and_tables_are_added_up() {
    let mut limiter = limiter(&Room::new(1 << 30), with_memory(1 << 20)).expect("there is room");
    assert!(limiter.memory_growing(0, 1 << 19, None).expect("never fails"));
    assert!(limiter.memory_growing(0, 1 << 18, None).expect("a second memory"));
    assert!(limiter.table_growing(0, 1 << 14, None).expect("128 KiB of table"));
    assert!(!limiter.table_growing(0, 1 << 15, None).expect("does not fit any more"));
    let denied = limiter.take_denied();
    assert!(
        matches!(&denied, Some(Denied::Limit(exceeded)) if exceeded.key() == LimitKey::Memory),
        "{denied:?}"
    );
    assert!(limiter.take_denied().is_none());
}

#[test]
fn absurd_sizes_are_refused_without_overflow() {
    let mut limiter = limiter(&Room::new(1 << 30), with_memory(u64::MAX)).expect("there is room");
    assert!(limiter.memory_growing(0, 64 << 10, None).expect("fits"));
    assert!(!limiter.memory_growing(0, usize::MAX, None).expect("does not fail"));
    assert!(matches!(limiter.take_denied(), Some(Denied::Budget)));
}

#[test]
fn an_observed_limit_is_passed_up_to_the_engines_ceiling() {
    let limits = Limits { observed: LimitSet::EMPTY.with(LimitKey::Memory), ..with_memory(1 << 20) };
    let mut limiter = limiter(&Room::new(1 << 30), limits).expect("there is room");
    assert!(limiter.memory_growing(0, 256 << 20, None).expect("observed"));
    assert!(!limiter.memory_growing(0, 1, None).expect("beyond [engine] memory"));
}

#[test]
fn an_instance_pays_for_all_that_it_takes_and_leaves_a_slot_that_the_next_one_takes_over() {
    let room = Room::new(1 << 30);
    let enforcer = room.enforcer(Limits::default());
    let mut first = MemoryLimiter::new(enforcer.clone()).expect("there is room");
    let taken = (1 << 30) - room.left();
    assert!(taken > OVERHEAD_BYTES + enforcer.stack_bytes, "{taken}");
    // The slot has paid for the first pages of a memory.
    assert!(first.memory_growing(0, 256 << 10, None).expect("fits"));
    assert_eq!((1 << 30) - room.left(), taken);
    assert!(first.memory_growing(256 << 10, 4 << 20, None).expect("fits"));
    let more = (4 << 20) - (256 << 10) - (64 << 10);
    assert_eq!((1 << 30) - room.left(), taken + more);
    drop(first);
    assert_eq!((1 << 30) - room.left(), enforcer.kept.bytes());
    let _second = MemoryLimiter::new(enforcer).expect("there is room");
    assert_eq!((1 << 30) - room.left(), taken);
}

#[test]
fn a_host_without_memory_makes_no_instance_and_keeps_none_of_it() {
    let room = Room::new(kept(1, 1).bytes());
    // Held, because the slots belong to the engine, which outlives an instance that was not made.
    let enforcer = room.enforcer(Limits::default());
    let refused = MemoryLimiter::new(enforcer.clone()).err().expect("there is no room").into_failure();
    assert_eq!((refused.kind(), refused.retry_after_s()), (Kind::Overloaded, Some(1)));
    // The slot stays, for whoever fits in.
    assert_eq!(room.left(), 0);
}

#[test]
fn slots_of_different_components_are_taken_over_in_parts() {
    let room = Room::new(1 << 30);
    let enforcer = room.enforcer(Limits::default());
    let (slots, small, large) = (&enforcer.slots, kept(1, 1).bytes(), kept(2, 4).bytes());
    drop((slots.take(small), slots.take(small)));
    assert_eq!((1 << 30) - room.left(), 2 * small);
    let _large = slots.take(large).expect("there is room");
    assert_eq!((1 << 30) - room.left(), large.max(2 * small));
    let _small = slots.take(small).expect("there is room");
    assert_eq!((1 << 30) - room.left(), large + small);
}
