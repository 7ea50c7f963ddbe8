//! What interrupts running guests, and what it costs them: the ticker and the meter.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Moves the engine's epoch on, once a tick, from a thread of its own.
///
/// Invariant: it is an OS thread. A ticker on the executor would wait behind the very guest that it is
/// to interrupt.
pub(crate) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine, period: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("wharf-epoch".into()).spawn(move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Ticker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread sleeps for at most a tick and cannot panic.
            let _ = thread.join();
        }
    }
}

/// A call computed longer than `limits.cpu` allows.
#[derive(Debug)]
pub(crate) struct CpuExceeded;

impl std::fmt::Display for CpuExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the call computed longer than limits.cpu allows")
    }
}

impl std::error::Error for CpuExceeded {}

/// How long the current call of an instance has computed.
///
/// Computing is what happens while the call's future is being polled: a guest that waits is not polled,
/// so waiting costs it nothing. Nearly all calls finish within a tick and pay for two reads of the
/// monotonic clock. A call that is still running at a tick is measured by the CPU clock of its thread from
/// then on, so a busy machine that preempts it does not use up its budget; what it ran before that is taken
/// as at most [`Meter::UNSEEN_NS_MAX`].
///
/// A streamed body would use up any budget in the end. The budget is therefore for the time up to the
/// head, and again for the time between two chunks: [`Meter::progress`] starts it anew.
///
/// All values are only touched by the thread that is polling the call, so relaxed atomics suffice.
pub(crate) struct Meter {
    origin: Instant,
    budget_ns: u64,
    spent_ns: AtomicU64,
    /// When the current poll began: of `origin`'s clock, or of the thread's once the call is known to be long.
    since_ns: AtomicU64,
    long: AtomicBool,
}

impl Meter {
    /// The most that one poll is charged by the monotonic clock: two ticks of the slowest kind would be
    /// 20 ms, but the ticker is asked for 1 ms; beyond 4 ms the thread was preempted, not computing.
    const UNSEEN_NS_MAX: u64 = 4_000_000;

    pub(crate) fn new(budget: Duration) -> Self {
        Meter {
            origin: Instant::now(),
            budget_ns: u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX),
            spent_ns: AtomicU64::new(0),
            since_ns: AtomicU64::new(0),
            long: AtomicBool::new(false),
        }
    }

    /// A new call begins.
    pub(crate) fn begin(&self) {
        self.spent_ns.store(0, Relaxed);
        self.long.store(false, Relaxed);
    }

    /// The call is about to be polled.
    pub(crate) fn enter(&self) {
        let now = if self.long.load(Relaxed) { thread_ns() } else { self.monotonic_ns() };
        self.since_ns.store(now, Relaxed);
    }

    /// The call was polled. Fails when the budget is used up.
    pub(crate) fn leave(&self) -> Result<(), CpuExceeded> {
        let spent = self.spent_ns.load(Relaxed) + self.unbilled_ns();
        self.spent_ns.store(spent, Relaxed);
        if spent > self.budget_ns { Err(CpuExceeded) } else { Ok(()) }
    }

    /// A tick interrupted the call. Fails when the budget is used up.
    pub(crate) fn tick(&self) -> Result<(), CpuExceeded> {
        self.leave()?;
        self.long.store(true, Relaxed);
        self.since_ns.store(thread_ns(), Relaxed);
        Ok(())
    }

    /// What was computed since [`Meter::enter`] or since this was last asked, in nanoseconds; for a meter that
    /// measures for others. It bills nothing.
    pub(crate) fn lap(&self) -> u64 {
        let spent = self.unbilled_ns();
        self.long.store(true, Relaxed);
        self.since_ns.store(thread_ns(), Relaxed);
        spent
    }

    /// Bills what another meter has measured. Fails when the budget is used up.
    pub(crate) fn bill(&self, ns: u64) -> Result<(), CpuExceeded> {
        let spent = self.spent_ns.load(Relaxed).saturating_add(ns);
        self.spent_ns.store(spent, Relaxed);
        if spent > self.budget_ns { Err(CpuExceeded) } else { Ok(()) }
    }

    /// A chunk of a streamed body went by: the budget starts anew.
    pub(crate) fn progress(&self) {
        self.spent_ns.store(0, Relaxed);
    }

    fn unbilled_ns(&self) -> u64 {
        let since = self.since_ns.load(Relaxed);
        if self.long.load(Relaxed) {
            thread_ns().saturating_sub(since)
        } else {
            self.monotonic_ns().saturating_sub(since).min(Self::UNSEEN_NS_MAX)
        }
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// CPU time of the current thread.
fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burn(cpu: Duration) {
        let until = thread_ns() + u64::try_from(cpu.as_nanos()).expect("short");
        while thread_ns() < until {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn computing_is_billed_and_waiting_is_not() {
        let meter = Meter::new(Duration::from_millis(20));
        meter.begin();
        for _ in 0..3 {
            meter.enter();
            meter.leave().expect("nothing was computed");
            // What passes between two polls is waiting.
            burn(Duration::from_millis(15));
        }
        meter.enter();
        meter.tick().expect("within the budget");
        burn(Duration::from_millis(25));
        assert!(meter.tick().is_err());
    }

    #[test]
    fn progress_starts_the_budget_anew() {
        let meter = Meter::new(Duration::from_millis(20));
        meter.begin();
        meter.enter();
        meter.tick().expect("within the budget");
        for _ in 0..3 {
            burn(Duration::from_millis(12));
            meter.tick().expect("each stretch is within the budget");
            meter.progress();
        }
    }
}
