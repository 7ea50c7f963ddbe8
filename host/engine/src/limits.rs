//! The memory of one instance: what the plugin may have, and what the host has left.

use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wharf_call::{Memory, Reservation};

/// Why an instance did not get memory that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It would have exceeded `limits.memory`.
    Limit,
    /// The host's budget has no room.
    Budget,
}

/// Adds up all linear memories and tables of one instance.
///
/// wasmtime asks about one memory at a time; a component may have many, so the sum is kept here. What is
/// granted is also taken from the host-wide budget, and given back when the instance is dropped.
pub(crate) struct MemoryLimiter {
    max: u64,
    reserved: Option<Reservation>,
    budget: Arc<dyn Memory>,
    denied: Option<Denied>,
}

/// What the host keeps for an element of a table: a pointer.
const TABLE_ELEMENT_BYTES: usize = 8;

impl MemoryLimiter {
    pub(crate) fn new(max: u64, budget: Arc<dyn Memory>) -> Self {
        MemoryLimiter { max, reserved: None, budget, denied: None }
    }

    /// The last refusal since this was last asked.
    pub(crate) fn take_denied(&mut self) -> Option<Denied> {
        self.denied.take()
    }

    fn grow(&mut self, more: usize) -> bool {
        let more = more as u64;
        let held = self.reserved.as_ref().map_or(0, Reservation::bytes);
        if held.checked_add(more).is_none_or(|sum| sum > self.max) {
            self.denied = Some(Denied::Limit);
            return false;
        }
        let granted = match &mut self.reserved {
            Some(reserved) => reserved.grow(more),
            None => {
                self.reserved = self.budget.reserve(more);
                self.reserved.is_some()
            }
        };
        if !granted {
            self.denied = Some(Denied::Budget);
        }
        granted
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        Ok(self.grow(more.saturating_mul(TABLE_ELEMENT_BYTES)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_call::ports::Account;

    struct Unlimited;
    impl Account for Unlimited {
        fn take(&self, _: u64) -> bool {
            true
        }
        fn give_back(&self, _: u64) {}
    }
    impl Memory for Unlimited {
        fn reserve(&self, bytes: u64) -> Option<Reservation> {
            Reservation::new(Arc::new(Unlimited), bytes)
        }
    }

    #[test]
    fn memories_and_tables_are_added_up() {
        let mut limiter = MemoryLimiter::new(1 << 20, Arc::new(Unlimited));
        assert!(limiter.memory_growing(0, 1 << 19, None).expect("never fails"));
        assert!(limiter.memory_growing(0, 1 << 18, None).expect("a second memory"));
        assert!(limiter.table_growing(0, 1 << 14, None).expect("128 KiB of table"));
        assert!(!limiter.table_growing(0, 1 << 15, None).expect("does not fit any more"));
        assert_eq!(limiter.take_denied(), Some(Denied::Limit));
        assert_eq!(limiter.take_denied(), None);
    }

    #[test]
    fn absurd_sizes_are_refused_without_overflow() {
        let mut limiter = MemoryLimiter::new(u64::MAX, Arc::new(Unlimited));
        assert!(limiter.memory_growing(0, 64 << 10, None).expect("fits"));
        assert!(!limiter.memory_growing(0, usize::MAX, None).expect("does not fail"));
    }
}
