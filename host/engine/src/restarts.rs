//! How fast a plugin that crashes is started again.
//!
//! One bad request must not cost the others anything, so a crash alone never slows a plugin down: its instance is
//! gone, the next call gets a new one at once. Only a plugin that does nothing but crash is held back: then new
//! instances are made after a pause, which doubles with every one that crashes again. One call that ends well
//! puts an end to it. Instances that are still there serve all the while.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many crashes, with nothing that ended well between them, ...
const CRASHES: u32 = 20;
/// ... over at least so long: who sends nothing but bad requests holds others back only where those send less
/// than one good request in this time.
const CRASHING_FOR: Duration = Duration::from_secs(1);
/// An instance that cannot be started has seen no request: nobody but the plugin is to blame.
const FAILED_STARTS: u32 = 3;
/// The first pause, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The restarts of one generation.
#[derive(Default)]
pub(crate) struct Restarts {
    /// Crashes and failed starts in a row: 0 for nearly every plugin at nearly every time, which costs a call one load.
    in_a_row: AtomicU32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    failed_starts: u32,
    first: Option<Instant>,
    pause: Option<Pause>,
}

#[derive(Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

/// What went wrong with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// It could not be made, or `lifecycle.start` failed.
    Start,
    /// It trapped, or ran out of memory, in a call.
    Call,
}

impl Restarts {
    /// Whether an instance may be made at `now`; if not, how long it takes until one may.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Duration> {
        if self.in_a_row.load(Relaxed) == 0 {
            return Ok(());
        }
        let mut inner = self.inner.lock();
        let Some(pause) = &mut inner.pause else { return Ok(()) };
        if now < pause.until {
            return Err(pause.until - now);
        }
        // One tries; the next one only after another pause, unless this one ends well.
        pause.until = now + pause.length;
        Ok(())
    }

    /// An instance crashed at `now`. True when the plugin is held back from now on.
    pub(crate) fn crashed(&self, crash: Crash, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        let in_a_row = self.in_a_row.load(Relaxed).saturating_add(1);
        self.in_a_row.store(in_a_row, Relaxed);
        let first = *inner.first.get_or_insert(now);
        inner.failed_starts += u32::from(crash == Crash::Start);
        let looping = inner.failed_starts >= FAILED_STARTS
            || (in_a_row >= CRASHES && now.saturating_duration_since(first) >= CRASHING_FOR);
        if !looping {
            return false;
        }
        let begins = inner.pause.is_none();
        let length = inner.pause.map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
        inner.pause = Some(Pause { length, until: now + length });
        begins
    }

    /// A call ended well. True when that ends a time of being held back.
    pub(crate) fn served(&self) -> bool {
        if self.in_a_row.load(Relaxed) == 0 {
            return false;
        }
        let mut inner = self.inner.lock();
        self.in_a_row.store(0, Relaxed);
        let held_back = inner.pause.is_some();
        *inner = Inner::default();
        held_back
    }

    /// What there is to say while the plugin is held back.
    pub(crate) fn degraded(&self) -> Option<String> {
        let inner = self.inner.lock();
        let pause = inner.pause?;
        let crashes = self.in_a_row.load(Relaxed);
        Some(format!(
            "it crashed {crashes} times in a row; a new instance is tried every {} ms",
            pause.length.as_millis()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock(Instant);

    impl Clock {
        fn after(&mut self, ms: u64) -> Instant {
            self.0 += Duration::from_millis(ms);
            self.0
        }
    }

    fn clock() -> Clock {
        Clock(Instant::now())
    }

    #[test]
    fn crashes_with_good_calls_between_them_cost_nothing() {
        let (restarts, mut clock) = (Restarts::default(), clock());
        for _ in 0..100 {
            for _ in 0..CRASHES - 1 {
                assert!(!restarts.crashed(Crash::Call, clock.after(100)));
                assert_eq!(restarts.admit(clock.0), Ok(()));
            }
            assert!(!restarts.served());
        }
        assert_eq!(restarts.degraded(), None);
    }

    #[test]
    fn a_burst_of_crashes_is_no_loop() {
        let (restarts, mut clock) = (Restarts::default(), clock());
        for _ in 0..1_000 {
            assert!(!restarts.crashed(Crash::Call, clock.0));
        }
        assert_eq!(restarts.admit(clock.after(1)), Ok(()));
    }

    #[test]
    fn nothing_but_crashes_is_held_back_ever_longer_until_a_call_ends_well() {
        let (restarts, mut clock) = (Restarts::default(), clock());
        let said: Vec<bool> = (0..CRASHES).map(|_| restarts.crashed(Crash::Call, clock.after(60))).collect();
        assert_eq!(said.iter().filter(|said| **said).count(), 1, "said once: {said:?}");
        assert_eq!(restarts.admit(clock.after(40)), Err(Duration::from_millis(60)));
        assert_eq!(restarts.admit(clock.after(60)), Ok(()), "one tries");
        assert_eq!(restarts.admit(clock.0), Err(PAUSE_MIN), "and no other");
        assert!(!restarts.crashed(Crash::Call, clock.0));
        assert_eq!(restarts.admit(clock.after(150)), Err(Duration::from_millis(50)));
        assert!(restarts.degraded().is_some_and(|text| text.contains("21 times")));
        for _ in 0..20 {
            let _ = restarts.crashed(Crash::Call, clock.after(1));
        }
        assert_eq!(restarts.admit(clock.0), Err(PAUSE_MAX));
        assert!(restarts.served());
        assert_eq!((restarts.admit(clock.0), restarts.degraded()), (Ok(()), None));
    }

    #[test]
    fn an_instance_that_cannot_be_started_is_held_back_soon() {
        let (restarts, mut clock) = (Restarts::default(), clock());
        assert!(!restarts.crashed(Crash::Start, clock.after(1)));
        assert!(!restarts.crashed(Crash::Start, clock.after(1)));
        assert!(restarts.crashed(Crash::Start, clock.after(1)));
        assert_eq!(restarts.admit(clock.0), Err(PAUSE_MIN));
    }
}
