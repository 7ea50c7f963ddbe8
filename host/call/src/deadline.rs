use std::time::{Duration, Instant};

/// The moment by which a call must have the head of its response; a call without one may take forever.
///
/// Deadlines only ever move closer: each layer narrows what it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline.
    pub const NONE: Deadline = Deadline(None);

    /// At `instant`.
    pub fn at(instant: Instant) -> Self {
        Deadline(Some(instant))
    }

    /// The earlier of this deadline and `limit` from `now`.
    pub fn narrow(self, now: Instant, limit: Duration) -> Self {
        let Some(limited) = now.checked_add(limit) else { return self };
        Deadline(Some(self.0.map_or(limited, |at| at.min(limited))))
    }

    /// The moment itself, if there is one.
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// What is left at `now`: zero when the deadline has passed, `None` when there is none.
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_never_moves_a_deadline_away() {
        let now = Instant::now();
        let near = Deadline::NONE.narrow(now, Duration::from_secs(1));
        assert_eq!(near.remaining(now), Some(Duration::from_secs(1)));
        assert_eq!(near.narrow(now, Duration::from_secs(5)), near);
        assert_eq!(near.narrow(now, Duration::MAX), near);
        assert_eq!(near.narrow(now, Duration::from_millis(1)).remaining(now), Some(Duration::from_millis(1)));
    }
}
