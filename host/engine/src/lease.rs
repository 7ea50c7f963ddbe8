//! An instance borrowed for one call.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use wharf_call::{Failure, Invocation};

use crate::config::Isolation;
use crate::generation::Generation;
use crate::instance::{Hook, Instance};
use crate::pool::{Admission, Place, Placed};
use crate::restarts::Crash;

/// An instance that works on one call, the place that it takes, and the generation that it belongs to.
///
/// Invariant: a lease is poisoned until [`Lease::end_well`] says otherwise. Dropping it, because the guest
/// trapped, a limit ended it, or the client went away and the future of the call was dropped, drops the
/// store with it: a store whose call was cut off in the middle must never be entered again.
///
/// It keeps its generation alive: an old one is dropped when its last lease ends.
pub(crate) struct Lease {
    placed: Option<Placed<Box<Instance>>>,
    generation: Arc<Generation>,
}

impl Lease {
    /// Takes an idle instance, or makes one, or waits for its turn.
    ///
    /// # Errors
    /// [`Kind::Overloaded`](wharf_call::Kind::Overloaded) when there is no instance in time,
    /// [`Kind::Unavailable`](wharf_call::Kind::Unavailable) while a plugin that only crashes is held back, and
    /// whatever instantiating or `lifecycle.start` came to.
    pub(crate) async fn take(generation: &Arc<Generation>, invocation: &Invocation) -> Result<Self, Failure> {
        let owner = match generation.plugin.pool.isolation {
            Isolation::Plugin | Isolation::Request => None,
            Isolation::Caller => Some(invocation.caller_key()),
        };
        let placed = match generation.pool.admit(owner.as_ref(), invocation.deadline).await? {
            Admission::Warm(placed) => placed,
            // Boxed, because it is large and rare.
            Admission::Place(place) => Box::pin(cold_start(generation, place)).await?.owned_by(owner),
            Admission::Instead(old) => {
                let (old, place) = old.clear();
                stop(generation, old, None);
                Box::pin(cold_start(generation, place)).await?.owned_by(owner)
            }
        };
        generation.pool.begin();
        Ok(Lease { placed: Some(placed), generation: generation.clone() })
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    pub(crate) fn instance(&mut self) -> &mut Instance {
        &mut self.placed.as_mut().expect("a lease has its instance until it ends").instance
    }

    /// The call has ended well: the instance may serve the next one.
    pub(crate) fn end_well(mut self) {
        let Some(placed) = self.placed.take() else { return };
        let generation = &self.generation;
        if generation.restarts.served() {
            generation.report_recovery();
        }
        let pool = &generation.plugin.pool;
        let spent = placed.instance.calls() >= pool.reuse || pool.isolation == Isolation::Request;
        if let Some(spent) = if spent { Some(placed) } else { generation.pool.keep(placed) } {
            let (instance, place) = spent.clear();
            stop(generation, instance, Some(place));
        }
    }

    /// The call has ended with a failure of the guest's: the instance is dropped.
    pub(crate) fn end_badly(self, failure: &Failure) {
        if failure.is_crash() {
            self.generation.crashed(Crash::Call);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(poisoned) = self.placed.take() {
            let (instance, place) = poisoned.clear();
            bury(instance, Some(place));
            self.generation.metrics.poisoned.increment(1);
        }
        self.generation.pool.end();
    }
}

/// A call finds no idle instance and makes one.
async fn cold_start(
    generation: &Arc<Generation>,
    place: Place<Box<Instance>>,
) -> Result<Placed<Box<Instance>>, Failure> {
    let begun = Instant::now();
    let instance = generation.started_instance().await?;
    generation.metrics.cold_start(begun.elapsed());
    Ok(place.fill(instance))
}

/// Calls `lifecycle.stop`, then drops the instance and gives up its place. The hook runs in a task of its own, so
/// that nobody waits for it; it is bounded by the plugin's limits, so the task is. An instance without hooks is
/// dropped at once.
pub(crate) fn stop(
    generation: &Arc<Generation>,
    mut instance: Box<Instance>,
    place: Option<Place<Box<Instance>>>,
) {
    if !instance.has_hooks() {
        bury(instance, place);
        return;
    }
    let generation = generation.clone();
    tokio::spawn(async move {
        if let Err(error) = instance.hook(Hook::Stop).await {
            tracing::warn!(
                plugin = generation.plugin.name,
                generation = generation.number,
                "lifecycle.stop: {}",
                error.describe()
            );
        }
        bury(instance, place);
    });
}

/// Drops an instance and gives up its place, in this order: its memory is to be free for the one that comes next.
///
/// A large one is dropped by a thread that may block: the kernel takes a millisecond and more to take its pages back, in
/// which whoever else this thread serves would wait. Not so one whose place somebody has already, who would have to
/// find the memory beside it.
fn bury(instance: Box<Instance>, place: Option<Place<Box<Instance>>>) {
    let may_take_long = instance.is_large() && place.is_some();
    let bury = move || {
        drop(instance);
        drop(place);
    };
    match Handle::try_current() {
        Ok(runtime) if may_take_long => drop(runtime.spawn_blocking(bury)),
        _ => bury(),
    }
}
