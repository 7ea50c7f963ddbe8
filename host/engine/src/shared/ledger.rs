//! Who in an instance has computed how much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use wasmtime::component::GuestTaskId;
use wharf_call::{Exceeded, Failure, Kind};

use super::call::Lost;
use crate::answer::Answer;
use crate::enforcer::Enforcer;
use crate::epoch::Meter;

/// The calls that work in one instance.
///
/// Computing is billed by the tick: to the call whose task runs when the ticker interrupts the instance, for the time
/// since the last tick or since the instance was polled. What takes less than a tick is billed to whoever runs at the
/// next one, or to nobody.
pub(crate) struct Ledger {
    calls: Mutex<Vec<Entry>>,
    /// Measures one poll of the instance, up to a tick. Its budget is what nobody's call may use up.
    watch: Arc<Meter>,
    /// Host calls with an effect outside of the instance, since it was made.
    effects: Arc<AtomicU64>,
}

struct Entry {
    task: GuestTaskId,
    meter: Arc<Meter>,
    answer: Answer,
    effects_before: u64,
    /// Who made the call is told here when somebody else's fault ends it.
    lost: oneshot::Sender<Lost>,
    /// Since when nobody waits for it, as far as that was noticed.
    unwanted_since: Option<Instant>,
    to_blame: bool,
}

impl Ledger {
    pub(crate) fn new(enforcer: Arc<Enforcer>, effects: Arc<AtomicU64>) -> Self {
        Ledger { calls: Mutex::default(), watch: Arc::new(Meter::new(enforcer)), effects }
    }

    pub(super) fn begin(
        &self,
        task: GuestTaskId,
        meter: Arc<Meter>,
        answer: Answer,
        lost: oneshot::Sender<Lost>,
    ) {
        let effects_before = self.effects.load(Relaxed);
        self.calls.lock().push(Entry {
            task,
            meter,
            answer,
            effects_before,
            lost,
            unwanted_since: None,
            to_blame: false,
        });
    }

    pub(super) fn end(&self, task: GuestTaskId) {
        self.calls.lock().retain(|call| call.task != task);
    }

    /// The instance is about to be polled.
    pub(super) fn enter(&self) {
        self.watch.begin_budget();
        self.watch.enter();
    }

    /// The instance was polled.
    pub(super) fn leave(&self) {
        self.watch.leave_unbilled();
        self.watch.rest();
    }

    /// What measures a poll of the instance.
    pub(crate) fn watch(&self) -> &Arc<Meter> {
        &self.watch
    }

    /// A tick interrupted the instance while `stack` ran, the current task first.
    pub(crate) fn tick(&self, stack: &[GuestTaskId]) -> Result<(), Exceeded> {
        let spent_ns = self.watch.lap();
        let mut calls = self.calls.lock();
        match calls.iter_mut().find(|call| stack.contains(&call.task)) {
            Some(call) => call.meter.bill(spent_ns).inspect_err(|_| call.to_blame = true),
            // A task that a call left behind, say: it must not compute without end either.
            None => self.watch.bill(spent_ns),
        }
    }

    /// The instance trapped while `stack` ran.
    pub(super) fn blame(&self, stack: &[GuestTaskId]) {
        let mut calls = self.calls.lock();
        if !calls.iter().any(|call| call.to_blame)
            && let Some(call) = calls.iter_mut().find(|call| stack.contains(&call.task))
        {
            call.to_blame = true;
        }
    }

    /// Whether a call goes on that nobody has wanted for longer than `grace`; asked now and then.
    pub(super) fn overdue(&self, now: Instant, grace: Duration) -> bool {
        let mut calls = self.calls.lock();
        let unwanted = calls.iter_mut().filter(|call| call.answer.has_ended());
        unwanted.fold(false, |overdue, call| {
            let since = *call.unwanted_since.get_or_insert(now);
            overdue | (now.saturating_duration_since(since) > grace)
        })
    }

    /// The instance has ended with `failure`: who is to blame gets it, and the others get to know that it was not
    /// they. When nobody can be blamed, everybody gets it.
    pub(super) fn close(&self, failure: &Failure) {
        let mut calls = std::mem::take(&mut *self.calls.lock());
        let known = calls.iter().any(|call| call.to_blame);
        for call in calls.drain(..) {
            if call.to_blame {
                call.answer.fail(failure.clone());
                continue;
            }
            let had_effects = self.effects.load(Relaxed) != call.effects_before;
            // Told before it is answered: it looks when it has its answer.
            let _ = call.lost.send(Lost { had_effects });
            call.answer.fail(if known { sibling(failure) } else { failure.clone() });
        }
    }
}

fn sibling(failure: &Failure) -> Failure {
    Failure::new(Kind::Unavailable, "the plugin's instance ended")
        .with_retry_after_s(1)
        .with_private(format!("another call ended the instance that this one shared with it: {failure}"))
}
