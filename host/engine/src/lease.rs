//! An instance borrowed for one call.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use wharf_call::{Deadline, Failure};

use crate::generation::Generation;
use crate::instance::{Hook, Instance};
use crate::pool::Admission;

/// An instance that works on one call, the slot that it takes, and the generation that it belongs to.
///
/// Invariant: a lease is poisoned until [`Lease::end_well`] says otherwise. Dropping it, because the guest
/// trapped, a limit ended it, or the client went away and the future of the call was dropped, drops the
/// store with it: a store whose call was cut off in the middle must never be entered again.
///
/// It keeps its generation alive: an old one is dropped when its last lease ends.
pub(crate) struct Lease {
    instance: Option<Box<Instance>>,
    generation: Arc<Generation>,
    _admission: Admission,
}

impl Lease {
    /// Waits for a slot and takes an idle instance or makes one.
    ///
    /// # Errors
    /// [`Kind::Overloaded`](wharf_call::Kind::Overloaded) when there is no slot in time, and whatever
    /// instantiating or `lifecycle.start` came to.
    pub(crate) async fn take(generation: &Arc<Generation>, deadline: Deadline) -> Result<Self, Failure> {
        let admission = generation.pool.admit(deadline).await?;
        let instance = match generation.pool.take() {
            Some(instance) => instance,
            // Boxed, because it is large and rare.
            None => Box::pin(generation.started_instance()).await?,
        };
        Ok(Lease::begin(generation, instance, admission))
    }

    fn begin(generation: &Arc<Generation>, instance: Box<Instance>, admission: Admission) -> Self {
        generation.in_flight.fetch_add(1, Relaxed);
        Lease { instance: Some(instance), generation: generation.clone(), _admission: admission }
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    pub(crate) fn instance(&mut self) -> &mut Instance {
        self.instance.as_mut().expect("a lease has its instance until it ends")
    }

    /// The call has ended well: the instance may serve the next one.
    pub(crate) fn end_well(mut self) {
        if let Some(instance) = self.instance.take()
            && let Some(spent) = self.generation.pool.keep(instance)
        {
            stop(&self.generation, spent);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.generation.in_flight.fetch_sub(1, Relaxed);
        if let Some(poisoned) = self.instance.take() {
            drop(poisoned);
            self.generation.pool.gone();
            self.generation.metrics.poisoned.increment(1);
        }
    }
}

/// Calls `lifecycle.stop`, then drops the instance, in a task of its own: nobody waits for it. The hook is
/// bounded by the plugin's limits, so the task is.
pub(crate) fn stop(generation: &Arc<Generation>, mut instance: Box<Instance>) {
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
        drop(instance);
        generation.pool.gone();
    });
}
