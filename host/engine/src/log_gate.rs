//! How much a plugin may write to the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use wharf_call::LimitKey;

use crate::limits::Limits;

/// For how long an allowance that is not used is saved: what may come at once.
const SAVED: Duration = Duration::from_secs(10);

/// What one plugin has left of `limits.log_lines` and `limits.log_bytes`, and what it was denied.
///
/// Two token buckets, one of lines and one of bytes; a line takes from both or from neither. All instances
/// and generations of the plugin share them, each generation with the limits of its own manifest entry.
#[derive(Default)]
pub(crate) struct LogGate(Mutex<Gate>);

#[derive(Default)]
struct Gate {
    lines: Allowance,
    bytes: Allowance,
    dropped: Dropped,
    /// Whether somebody is going to say what was dropped.
    reported: bool,
}

/// Lines that were dropped, by the limit that was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) by_lines: u64,
    pub(crate) by_bytes: u64,
}

/// Whether a line may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write it.
    Pass,
    /// Write it, although this limit was reached: it is observed.
    Observe(LimitKey),
    /// Do not: this limit was reached. With `report`, say in a second what [`LogGate::take_dropped`] gives:
    /// nobody else will.
    Drop { key: LimitKey, report: bool },
}

impl LogGate {
    /// A line of `bytes` is to be written at `now`.
    pub(crate) fn admit(&self, limits: &Limits, bytes: usize, now: Instant) -> Verdict {
        let bytes = bytes as f64;
        let mut gate = self.0.lock();
        let lines_left = gate.lines.left(f64::from(limits.log_lines), now);
        let bytes_left = gate.bytes.left(limits.log_bytes as f64, now);
        let reached = [
            (lines_left < 1.0).then_some(LimitKey::LogLines),
            (bytes_left < bytes).then_some(LimitKey::LogBytes),
        ];
        let mut reached = reached.into_iter().flatten();
        let enforced = reached.clone().find(|key| !limits.observed.has(*key));
        let Some(key) = enforced else {
            gate.lines.left = (lines_left - 1.0).max(0.0);
            gate.bytes.left = (bytes_left - bytes).max(0.0);
            return reached.next().map_or(Verdict::Pass, Verdict::Observe);
        };
        let dropped = &mut gate.dropped;
        let count = if key == LimitKey::LogLines { &mut dropped.by_lines } else { &mut dropped.by_bytes };
        *count += 1;
        Verdict::Drop { key, report: !std::mem::replace(&mut gate.reported, true) }
    }

    /// What was dropped since this was last asked, to be said now.
    pub(crate) fn take_dropped(&self) -> Dropped {
        let mut gate = self.0.lock();
        gate.reported = false;
        std::mem::take(&mut gate.dropped)
    }
}

#[derive(Default)]
struct Allowance {
    left: f64,
    /// When that was; full before the first time.
    at: Option<Instant>,
}

impl Allowance {
    /// What is left at `now` when `rate` is allowed in a second.
    fn left(&mut self, rate: f64, now: Instant) -> f64 {
        let full = rate * SAVED.as_secs_f64();
        let earned = match self.at {
            Some(at) => self.left + rate * now.saturating_duration_since(at).as_secs_f64(),
            None => full,
        };
        self.left = earned.min(full);
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
        self.left
    }
}

#[cfg(test)]
mod tests {
    use wharf_call::LimitSet;

    use super::*;

    fn limits(log_lines: u32, log_bytes: u64) -> Limits {
        Limits { log_lines, log_bytes, ..Limits::default() }
    }

    /// How many of `lines` lines with `bytes` each pass at `now`.
    fn passed(gate: &LogGate, limits: &Limits, lines: usize, bytes: usize, now: Instant) -> usize {
        (0..lines).filter(|_| gate.admit(limits, bytes, now) == Verdict::Pass).count()
    }

    #[test]
    fn ten_seconds_of_lines_may_come_at_once_and_then_the_rate_holds() {
        let (gate, limits) = (LogGate::default(), limits(5, 1 << 30));
        let start = Instant::now();
        assert_eq!(passed(&gate, &limits, 80, 1, start), 50);
        assert_eq!(passed(&gate, &limits, 80, 1, start + Duration::from_secs(1)), 5);
        assert_eq!(passed(&gate, &limits, 80, 1, start + Duration::from_millis(1_500)), 2);
        assert_eq!(passed(&gate, &limits, 80, 1, start + Duration::from_secs(3_600)), 50);
        assert_eq!(gate.take_dropped(), Dropped { by_lines: 30 + 75 + 78 + 30, by_bytes: 0 });
    }

    #[test]
    fn bytes_are_counted_beside_lines_and_a_dropped_line_costs_nothing() {
        let (gate, limits) = (LogGate::default(), limits(100, 100));
        let now = Instant::now();
        assert_eq!(passed(&gate, &limits, 1, 1_001, now), 0);
        assert_eq!(passed(&gate, &limits, 10, 300, now), 3);
        assert_eq!(passed(&gate, &limits, 200, 1, now), 100);
        assert_eq!(gate.take_dropped(), Dropped { by_lines: 0, by_bytes: 1 + 7 + 100 });
        assert_eq!(gate.take_dropped(), Dropped::default());
    }

    #[test]
    fn one_of_those_who_are_dropped_says_so() {
        let (gate, limits) = (LogGate::default(), limits(0, 1 << 20));
        let now = Instant::now();
        let dropped = |report| Verdict::Drop { key: LimitKey::LogLines, report };
        assert_eq!(gate.admit(&limits, 1, now), dropped(true));
        assert_eq!(gate.admit(&limits, 1, now), dropped(false));
        assert_eq!(gate.take_dropped().by_lines, 2);
        assert_eq!(gate.admit(&limits, 1, now), dropped(true));
    }

    #[test]
    fn what_is_observed_passes_unless_another_limit_is_enforced() {
        let (gate, now) = (LogGate::default(), Instant::now());
        let observed = LimitSet::EMPTY.with(LimitKey::LogLines);
        let limits = Limits { observed, ..limits(0, 100) };
        assert_eq!(gate.admit(&limits, 900, now), Verdict::Observe(LimitKey::LogLines));
        let too_long = Verdict::Drop { key: LimitKey::LogBytes, report: true };
        assert_eq!(gate.admit(&limits, 900, now), too_long);
        assert_eq!(gate.take_dropped(), Dropped { by_lines: 0, by_bytes: 1 });
    }

    #[test]
    fn a_new_generation_brings_its_own_limits_and_gets_no_second_burst() {
        let gate = LogGate::default();
        let now = Instant::now();
        assert_eq!(passed(&gate, &limits(1, 1 << 20), 20, 1, now), 10);
        assert_eq!(passed(&gate, &limits(100, 1 << 20), 20, 1, now), 0);
        assert_eq!(passed(&gate, &limits(100, 1 << 20), 200, 1, now + Duration::from_secs(1)), 100);
        assert_eq!(passed(&gate, &limits(2, 1 << 20), 200, 1, now + Duration::from_secs(60)), 20);
    }

    #[test]
    fn a_clock_that_seems_to_go_back_gives_nothing() {
        let (gate, limits) = (LogGate::default(), limits(1, 1 << 20));
        let now = Instant::now() + Duration::from_secs(60);
        assert_eq!(passed(&gate, &limits, 20, 1, now), 10);
        assert_eq!(passed(&gate, &limits, 20, 1, now - Duration::from_secs(30)), 0);
        assert_eq!(passed(&gate, &limits, 20, 1, now), 0);
    }
}
