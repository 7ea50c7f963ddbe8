//! The host-wide memory governor: everything that grows with load asks it before it grows.
//!
//! Wasmtime's limiter sees linear memories and tables only. Stacks, slots that stay resident, bodies in flight,
//! values and connections are the host's own, and nothing bounds their sum but this account: a part that
//! is about to keep bytes reserves them first, and refuses the work when there is no room. What a warm call
//! needs was reserved when its instance was made, so that such a call asks nobody.
//!
//! The account is one atomic number, and one more for each use. It never waits, never queues, and does not decide who gets what;
//! a fair share between plugins is the business of their own limits.
//!
//! Invariant: what is reserved never exceeds the total, not even for a moment; otherwise two large
//! requests could each see the other's overdraft and the host would swap or be killed.
//!
//! Start with [`Budget`].

mod machine;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge};
use wharf_call::ports::Account;
use wharf_call::{Memory, MemoryUse, Reservation};

/// The memory account of one host. Clones share it.
///
/// Metrics: `wharf_memory_budget_bytes`, `wharf_memory_reserved_bytes`, `wharf_memory_refused_total`, the last
/// two by use. They go to the recorder that is installed when the budget is made.
#[derive(Clone)]
pub struct Budget(Arc<Books>);

struct Books {
    ledger: Arc<Ledger>,
    /// In the order of [`MemoryUse::ALL`].
    accounts: [Arc<UseAccount>; MemoryUse::ALL.len()],
}

impl Budget {
    /// The smallest budget that [`Budget::for_machine`] chooses, in bytes.
    pub const SMALLEST_BYTES: u64 = 256 << 20;

    /// A budget of `total_bytes`.
    pub fn new(total_bytes: u64) -> Self {
        metrics::describe_gauge!("wharf_memory_budget_bytes", "Memory that all work may hold together");
        metrics::describe_gauge!(
            "wharf_memory_reserved_bytes",
            "Memory that is taken from the budget, by use"
        );
        metrics::describe_counter!("wharf_memory_refused_total", "Reservations that found no room, by use");
        metrics::gauge!("wharf_memory_budget_bytes").set(total_bytes as f64);
        let ledger = Arc::new(Ledger { total: total_bytes, reserved: AtomicU64::new(0) });
        let accounts = MemoryUse::ALL.map(|what| {
            Arc::new(UseAccount {
                ledger: ledger.clone(),
                reserved: AtomicU64::new(0),
                gauge: metrics::gauge!("wharf_memory_reserved_bytes", "what" => what.name()),
                refused: metrics::counter!("wharf_memory_refused_total", "what" => what.name()),
            })
        });
        Budget(Arc::new(Books { ledger, accounts }))
    }

    /// A budget of half of what this process may use: the machine's memory, or the limit of its control
    /// group (cgroup v2) where that is lower; at least 256 MiB.
    pub fn for_machine() -> Self {
        Budget::new((machine::memory_bytes() / 2).max(Self::SMALLEST_BYTES))
    }

    /// The size of the budget in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.0.ledger.total
    }

    /// What is taken at this moment, in bytes.
    pub fn reserved_bytes(&self) -> u64 {
        self.0.ledger.reserved.load(Ordering::Relaxed)
    }

    /// Sets the gauges; called before metrics are read.
    pub fn publish(&self) {
        for account in &self.0.accounts {
            account.gauge.set(account.reserved.load(Ordering::Relaxed) as f64);
        }
    }
}

impl Memory for Budget {
    fn reserve(&self, what: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(self.0.accounts[what as usize].clone(), bytes)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {} bytes)", self.reserved_bytes(), self.total_bytes())
    }
}

struct Ledger {
    total: u64,
    /// Relaxed everywhere: the number guards no other memory, and each update is one atomic step.
    reserved: AtomicU64,
}

/// What is taken for one use.
struct UseAccount {
    ledger: Arc<Ledger>,
    reserved: AtomicU64,
    gauge: Gauge,
    refused: Counter,
}

impl Account for UseAccount {
    fn take(&self, bytes: u64) -> bool {
        let ledger = &self.ledger;
        // Compare and swap rather than add and undo: an overdraft, however short, would refuse others
        // who do fit.
        let taken = ledger.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |reserved| {
            reserved.checked_add(bytes).filter(|sum| *sum <= ledger.total)
        });
        match taken {
            Ok(_) => _ = self.reserved.fetch_add(bytes, Ordering::Relaxed),
            Err(_) => self.refused.increment(1),
        }
        taken.is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
        let before = self.ledger.reserved.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "more was given back than was taken");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_reservation_is_given_back_when_it_is_dropped() {
        let budget = Budget::new(100);
        let mut held = budget.reserve(MemoryUse::Bodies, 60).unwrap();
        assert!(held.grow(40));
        assert_eq!((held.bytes(), budget.reserved_bytes()), (100, 100));
        drop(held);
        assert_eq!(budget.reserved_bytes(), 0);
    }

    #[test]
    fn a_reservation_in_parts_is_given_back_part_by_part() {
        let budget = Budget::new(100);
        let mut whole = budget.reserve(MemoryUse::Slots, 60).unwrap();
        let part = whole.split(20);
        let rest = whole.split(u64::MAX);
        assert_eq!((part.bytes(), rest.bytes(), whole.bytes(), budget.reserved_bytes()), (20, 40, 0, 60));
        drop(rest);
        whole.merge(part);
        assert_eq!((whole.bytes(), budget.reserved_bytes()), (20, 20));
        drop(whole);
        assert_eq!(budget.reserved_bytes(), 0);
    }

    #[test]
    fn each_use_has_its_own_account_of_one_budget() {
        let budget = Budget::new(20 * MemoryUse::ALL.len() as u64);
        let held = MemoryUse::ALL.map(|what| budget.reserve(what, 20));
        assert!(held.iter().all(Option::is_some));
        assert!(MemoryUse::ALL.iter().all(|what| budget.reserve(*what, 1).is_none()));
        let taken = budget.0.accounts.iter().map(|account| account.reserved.load(Ordering::Relaxed));
        assert_eq!(taken.collect::<Vec<_>>(), [20; MemoryUse::ALL.len()]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let budget = Budget::new(100);
        let mut held = budget.reserve(MemoryUse::Bodies, 60).unwrap();
        assert!(budget.reserve(MemoryUse::Bodies, 41).is_none());
        assert!(budget.reserve(MemoryUse::Bodies, u64::MAX).is_none());
        assert!(!held.grow(41));
        assert!(!held.grow(u64::MAX));
        assert_eq!((held.bytes(), budget.reserved_bytes()), (60, 60));
        assert!(budget.reserve(MemoryUse::Bodies, 40).is_some());
    }

    #[test]
    fn threads_never_overdraw_and_give_everything_back() {
        let budget = Budget::new(1_000);
        std::thread::scope(|scope| {
            for seed in 1..=4u64 {
                let budget = &budget;
                scope.spawn(move || {
                    // xorshift64 (Marsaglia, 2003): the same sizes in every run.
                    let mut random = seed;
                    let mut held = Vec::new();
                    for _ in 0..20_000 {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        match random % 3 {
                            0 => drop(held.pop()),
                            1 => held.extend(budget.reserve(MemoryUse::Bodies, random % 400)),
                            _ => drop(held.last_mut().map(|last: &mut Reservation| last.grow(random % 50))),
                        }
                        assert!(budget.reserved_bytes() <= budget.total_bytes());
                    }
                });
            }
        });
        assert_eq!(budget.reserved_bytes(), 0);
    }
}
