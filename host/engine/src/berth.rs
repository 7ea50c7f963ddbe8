//! What all generations and instances of one plugin share: the ports, and the limits that are counted for
//! the plugin as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::capabilities::Ports;
use crate::cores::Cores;
use crate::log_gate::LogGate;
use crate::profile::Profiling;

/// How often refusals of one kind are worth a line.
const REFUSAL_PERIOD: Duration = Duration::from_secs(1);

/// The place of one plugin in the host. It lasts from the plugin's first generation to its last.
pub(crate) struct Berth {
    pub(crate) ports: Ports,
    pub(crate) log: LogGate,
    pub(crate) refusals: Refusals,
    pub(crate) profiling: Profiling,
    pub(crate) cores: Arc<Cores>,
    /// Calls at once, counted while `limits.calls` is set.
    pub(crate) calls: AtomicU64,
}

impl Berth {
    pub(crate) fn new(ports: Ports, cores: Arc<Cores>) -> Arc<Self> {
        Arc::new(Berth {
            ports,
            log: LogGate::default(),
            refusals: Refusals::default(),
            profiling: Profiling::default(),
            cores,
            calls: AtomicU64::new(0),
        })
    }
}

/// Which refused calls get a line in the log, so that a guest that is refused without end does not fill it.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, Said>>);

struct Said {
    at: Instant,
    unsaid: u64,
}

impl Refusals {
    /// A call was refused at `now`, for a reason of this `kind`. When it is worth a line: how many of its
    /// kind had none since the last one.
    pub(crate) fn say(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock();
        match kinds.get_mut(kind) {
            Some(last) if now.saturating_duration_since(last.at) < REFUSAL_PERIOD => {
                last.unsaid += 1;
                None
            }
            last => {
                let unsaid = last.map_or(0, |last| last.unsaid);
                kinds.insert(kind, Said { at: now, unsaid: 0 });
                Some(unsaid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_one_kind_share_a_line_a_second() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(refusals.say("keyvalue", at(0)), Some(0));
        assert_eq!(refusals.say("keyvalue", at(1)), None);
        assert_eq!(refusals.say("quota", at(2)), Some(0));
        assert_eq!(refusals.say("keyvalue", at(999)), None);
        assert_eq!(refusals.say("keyvalue", at(1_000)), Some(2));
        assert_eq!(refusals.say("keyvalue", at(2_500)), Some(0));
    }
}
