//! The memory of one instance: what the plugin may have, and what the host has left.

use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::ResourceLimiter;
use wharf_call::{Exceeded, Failure, Kind, LimitKey, Memory, MemoryUse, Reservation};

use crate::config::Residency;
use crate::enforcer::Enforcer;

/// What an instance takes of the host beside its memories and its stack: its store, tables and handles.
///
/// `what_is_taken_for_an_instance_covers_what_it_takes` in `tests/all/limits.rs` holds the host to it.
const OVERHEAD_BYTES: u64 = 96 << 10;
/// What host functions may take of a stack beyond the guest's part, which is `[engine] stack`.
const HOST_STACK_BYTES: u64 = 64 << 10;
/// How many pieces of a stream wait between guest and client.
const CHUNKS_WAITING: u64 = 2;

/// What the slots of one instance keep resident when it is gone, as the keys `resident_*` of
/// `[engine]` say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Of its memories and tables.
    memory_bytes: u64,
    /// Of its stack.
    stack_bytes: u64,
}

impl Kept {
    pub(crate) fn of(residency: &Residency, memories: u32, tables: u32) -> Self {
        let (memory, table) = (residency.memory_bytes as u64, residency.table_bytes as u64);
        Kept {
            memory_bytes: u64::from(memories) * memory + u64::from(tables) * table,
            stack_bytes: residency.stack_bytes as u64,
        }
    }

    fn bytes(self) -> u64 {
        self.memory_bytes + self.stack_bytes
    }
}

/// The slots of the engine's pool that were used and are free again. They stay resident, so what they hold stays
/// taken from the host's budget; the next instance takes it over.
pub(crate) struct Slots {
    budget: Arc<dyn Memory>,
    free: Mutex<Option<Reservation>>,
}

impl Slots {
    pub(crate) fn new(budget: Arc<dyn Memory>) -> Arc<Self> {
        Arc::new(Slots { budget, free: Mutex::default() })
    }

    fn take(self: &Arc<Self>, bytes: u64) -> Option<Slot> {
        let free = self.free.lock().as_mut().map(|free| free.split(bytes));
        let held = match free {
            Some(mut part) => {
                let missing = bytes - part.bytes();
                // What was split off goes back to the others if the rest is refused.
                if missing > 0 && !part.grow(missing) {
                    self.give_back(part);
                    return None;
                }
                part
            }
            None => self.budget.reserve(MemoryUse::Slots, bytes)?,
        };
        Some(Slot { held: Some(held), slots: self.clone() })
    }

    fn give_back(&self, held: Reservation) {
        let mut free = self.free.lock();
        match &mut *free {
            Some(free) => free.merge(held),
            free => *free = Some(held),
        }
    }
}

/// The slots that an instance is in.
struct Slot {
    held: Option<Reservation>,
    slots: Arc<Slots>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.slots.give_back(held);
        }
    }
}

/// Why an instance did not get memory that it asked for.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It would have exceeded `limits.memory`.
    Limit(Exceeded),
    /// The host's budget has no room.
    Budget,
}

impl Denied {
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Denied::Limit(exceeded) => exceeded.into_failure(),
            Denied::Budget => Failure::new(Kind::Overloaded, "the host has no memory to spare")
                .with_retry_after_s(1)
                .with_private("the memory of the host is used up. To allow more, write in wharf.toml, and restart:\n  [memory]\n  total = \"4GiB\""),
        }
    }
}

/// Adds up all linear memories and tables of one instance, and pays for all that the instance takes.
///
/// wasmtime asks about one memory at a time; a component may have many, so the sum is kept here. What is
/// granted is also taken from the host-wide budget, and given back when the instance is dropped. The rest of
/// an instance is paid for when it is made: nothing of a warm call asks the budget.
pub(crate) struct MemoryLimiter {
    enforcer: Arc<Enforcer>,
    /// All memories and tables.
    bytes: u64,
    /// What the instance takes beside those, and of those what its slot does not pay for.
    reserved: Reservation,
    denied: Option<Denied>,
    /// Given back last.
    _slot: Slot,
}

/// What the host keeps for an element of a table: a pointer.
const TABLE_ELEMENT_BYTES: usize = 8;

impl MemoryLimiter {
    /// Pays for an instance without its memories.
    ///
    /// # Errors
    /// [`Denied::Budget`].
    pub(crate) fn new(enforcer: Arc<Enforcer>) -> Result<Self, Denied> {
        let slots = &enforcer.slots;
        let chunks = enforcer.plugin.limits.chunk_bytes as u64 * CHUNKS_WAITING;
        let stack = (enforcer.stack_bytes + HOST_STACK_BYTES).saturating_sub(enforcer.kept.stack_bytes);
        let slot = slots.take(enforcer.kept.bytes()).ok_or(Denied::Budget)?;
        let fixed = slots.budget.reserve(MemoryUse::Instances, OVERHEAD_BYTES + chunks + stack);
        let reserved = fixed.ok_or(Denied::Budget)?;
        Ok(MemoryLimiter { enforcer, bytes: 0, reserved, denied: None, _slot: slot })
    }

    /// What all memories and tables have together, whether the guest has written to it or not.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last refusal since this was last asked.
    pub(crate) fn take_denied(&mut self) -> Option<Denied> {
        self.denied.take()
    }

    fn grow(&mut self, more: usize) -> bool {
        let sum = self.bytes.saturating_add(more as u64);
        if let Err(exceeded) = self.enforcer.check(LimitKey::Memory, sum) {
            self.denied = Some(Denied::Limit(exceeded));
            return false;
        }
        let by_slot = self.enforcer.kept.memory_bytes;
        let unpaid = sum.saturating_sub(by_slot) - self.bytes.saturating_sub(by_slot);
        if unpaid > 0 && !self.reserved.grow(unpaid) {
            self.denied = Some(Denied::Budget);
            return false;
        }
        self.bytes = sum;
        true
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
mod tests;
