//! Keeps a pool at its size between calls: what nobody needs goes, and what is to be warm is there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::generation::Generation;

/// The longest time between two looks: a pool that lost its instances is back at `pool.min` within it.
const PERIOD_MAX: Duration = Duration::from_secs(1);
/// An instance that expires is gone a quarter of `pool.idle` later at most.
const LOOKS_PER_IDLE: u32 = 4;

/// The task that does it. It ends when this is dropped.
pub(crate) struct Upkeep(AbortHandle);

impl Upkeep {
    /// Begins to look after the pool of `generation`, which is to own this.
    pub(crate) fn begin(generation: &Arc<Generation>) -> Self {
        let of = Arc::downgrade(generation);
        let (period, sweeps) = schedule(generation.plugin.pool.idle);
        Upkeep(tokio::spawn(run(of, period, sweeps)).abort_handle())
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How often to look, and after how many looks an instance has been idle for long enough.
fn schedule(idle: Duration) -> (Duration, u32) {
    let period = (idle / LOOKS_PER_IDLE).min(PERIOD_MAX);
    (period, u32::try_from(idle.as_millis() / period.as_millis().max(1)).unwrap_or(u32::MAX))
}

async fn run(of: Weak<Generation>, period: Duration, sweeps: u32) {
    let mut looks = interval(period);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once; the instance that proved the generation is there by then.
    loop {
        looks.tick().await;
        let Some(generation) = of.upgrade() else { return };
        if generation.pool.is_retired() {
            return;
        }
        generation.sweep(sweeps);
        refill(&generation, generation.plugin.pool.min).await;
    }
}

/// Makes instances up to `min`. What fails was reported, and is tried again at the next look.
async fn refill(generation: &Arc<Generation>, min: u32) {
    while generation.instances() < min {
        let Ok(instance) = generation.started_instance().await else { return };
        generation.add(instance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_at_least_once_a_second_and_four_times_before_an_instance_expires() {
        let ms = Duration::from_millis;
        assert_eq!(schedule(ms(60_000)), (ms(1_000), 60));
        assert_eq!(schedule(ms(2_000)), (ms(500), 4));
        assert_eq!(schedule(ms(100)), (ms(25), 4));
    }
}
