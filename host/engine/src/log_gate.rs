//! How much a plugin may write to the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::Limits;

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
    /// Do not. Somebody says so already.
    Drop,
    /// Do not, and in a second say what [`LogGate::take_dropped`] gives: nobody else will.
    DropAndReport,
}

impl LogGate {
    /// A line of `bytes` is to be written at `now`.
    pub(crate) fn admit(&self, limits: &Limits, bytes: usize, now: Instant) -> Verdict {
        let bytes = bytes as f64;
        let mut gate = self.0.lock();
        let lines_left = gate.lines.left(f64::from(limits.log_lines), now);
        let bytes_left = gate.bytes.left(limits.log_bytes as f64, now);
        if lines_left >= 1.0 && bytes_left >= bytes {
            gate.lines.left = lines_left - 1.0;
            gate.bytes.left = bytes_left - bytes;
            return Verdict::Pass;
        }
        let dropped = &mut gate.dropped;
        let count = if lines_left < 1.0 { &mut dropped.by_lines } else { &mut dropped.by_bytes };
        *count += 1;
        if std::mem::replace(&mut gate.reported, true) { Verdict::Drop } else { Verdict::DropAndReport }
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
        assert_eq!(gate.admit(&limits, 1, now), Verdict::DropAndReport);
        assert_eq!(gate.admit(&limits, 1, now), Verdict::Drop);
        assert_eq!(gate.take_dropped().by_lines, 2);
        assert_eq!(gate.admit(&limits, 1, now), Verdict::DropAndReport);
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
