//! What interrupts running guests, and what it costs them: the ticker and the meter.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wharf_call::{Exceeded, LimitGuard, LimitKey};

use crate::enforcer::Enforcer;
use crate::slice;
use crate::turns::{self, Turn};

const NS_PER_MS: u64 = 1_000_000;
/// For how long a stream may compute at its rate in advance.
const STREAM_BURST_NS: u64 = 10_000 * NS_PER_MS;

/// Moves the engine's epoch on, once a tick, from a thread of its own. It rests while no guest runs.
///
/// Invariant: it is an OS thread, and the system runs it soon. A ticker on the executor would wait behind the very guest that
/// it is to interrupt; so would a thread with the usual time slice where a guest computes on its core, for as long as that
/// guest's slice lasts, which may be 4 ms.
pub(crate) struct Ticker {
    activity: Arc<Activity>,
    thread: Option<JoinHandle<()>>,
}

/// After so many ticks the ticker looks whether there is anybody left to interrupt.
const TICKS_PER_LOOK: u32 = 64;
/// A host in which no guest has run for so long is idle.
pub(crate) const QUIET: Duration = Duration::from_secs(5);

/// What is done once whenever no guest has run for a while.
///
/// It has a thread of its own: who wakes the ticker meanwhile is to be interrupted in time. Dropping this waits for it.
pub(crate) struct Quiet {
    after: Duration,
    then: fn(),
    doing: Option<JoinHandle<()>>,
}

impl Quiet {
    pub(crate) fn new(after: Duration, then: fn()) -> Self {
        Quiet { after, then, doing: None }
    }

    fn begin(&mut self) {
        if self.doing.as_ref().is_none_or(JoinHandle::is_finished) {
            // Without a thread for it, the next time will do.
            self.doing = std::thread::Builder::new().name("wharf-quiet".into()).spawn(self.then).ok();
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(doing) = self.doing.take() {
            // What it does is not ours to report on.
            let _ = doing.join();
        }
    }
}

impl Ticker {
    /// Ticks every `period` while guests run, and does what is to be done when it is quiet.
    pub(crate) fn start(
        engine: wasmtime::Engine,
        period: Duration,
        mut quiet: Quiet,
    ) -> std::io::Result<Self> {
        let activity = Arc::new(Activity::default());
        let watched = activity.clone();
        let thread = std::thread::Builder::new().name("wharf-epoch".into()).spawn(move || {
            if let Err(error) = slice::shorten() {
                tracing::debug!("guests may be interrupted late where cores are few: {error}");
            }
            for tick in (1..=TICKS_PER_LOOK).cycle() {
                std::thread::sleep(period);
                engine.increment_epoch();
                if watched.is_over() {
                    return;
                }
                if tick == TICKS_PER_LOOK {
                    watched.rest_if_quiet(&mut quiet);
                }
            }
        })?;
        let _ = activity.ticker.set(thread.thread().clone());
        Ok(Ticker { activity, thread: Some(thread) })
    }

    /// Where it is to be told that guests run.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.activity.end();
        if let Some(thread) = self.thread.take() {
            // The thread sleeps for at most a tick and cannot panic.
            let _ = thread.join();
        }
    }
}

/// Whether guests run: what lets the ticker rest on an idle host, and wakes it.
///
/// Guests leave a mark when they are entered and at each tick, and each look of the ticker takes it away; it rests when there was
/// none. A guest that is there all the same has been in one long call of the host since the look before: so its deadline, a
/// tick after it was entered or interrupted last, has passed, its next check interrupts it, and that wakes the ticker.
#[derive(Default)]
pub(crate) struct Activity {
    seen: AtomicBool,
    resting: AtomicBool,
    over: AtomicBool,
    ticker: OnceLock<Thread>,
}

impl Activity {
    /// A guest is entered, or was interrupted by a tick.
    pub(crate) fn note(&self) {
        // On a busy host it was noted already: all that is done is to read what nobody writes.
        if !self.seen.load(Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.seen.store(true, SeqCst);
        // Pairs with `rest_if_quiet`: either this sees that it rests, or it sees what was noted.
        if self.resting.load(SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.ticker.get() {
            thread.unpark();
        }
    }

    fn rest_if_quiet(&self, quiet: &mut Quiet) {
        if self.seen.swap(false, SeqCst) {
            return;
        }
        self.resting.store(true, SeqCst);
        let mut quiet_at = Some(Instant::now() + quiet.after);
        while !self.seen.load(SeqCst) && !self.is_over() {
            let now = Instant::now();
            match quiet_at {
                Some(at) if at <= now => {
                    quiet.begin();
                    quiet_at = None;
                }
                Some(at) => std::thread::park_timeout(at - now),
                None => std::thread::park(),
            }
        }
        self.resting.store(false, SeqCst);
    }

    fn end(&self) {
        self.over.store(true, SeqCst);
        self.unpark();
    }

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }
}

/// How long the current call of an instance has computed.
///
/// Computing is what happens while the call's future is being polled: a guest that waits is not polled,
/// so waiting costs it nothing. Nearly all calls finish within a tick and pay for two reads of the
/// monotonic clock. A call that is still running at a tick is measured by the CPU clock of its thread from
/// then on, so a busy machine that preempts it does not use up its budget; what it ran before that is taken
/// as at most [`Meter::UNSEEN_NS_MAX`].
///
/// A streamed body would use up any budget in the end. The budget is therefore for the time up to the
/// head, and again for the time between two chunks: [`Meter::progress`] starts it anew. What a stream computes
/// altogether is held to a rate, `limits.stream_cpu`: [`Meter::begin_stream`].
///
/// All values are only touched by the thread that is polling the call, so relaxed atomics suffice.
pub(crate) struct Meter {
    enforcer: Arc<Enforcer>,
    origin: Instant,
    /// What the call may compute: `limits.cpu`, and its ceiling once that was exceeded and observed.
    budget_ns: AtomicU64,
    spent_ns: AtomicU64,
    stream: Stream,
    /// When the current poll began: of `origin`'s clock, or of the thread's once the call is known to be long.
    since_ns: AtomicU64,
    long: AtomicBool,
    /// What was computed since the call began, or made way.
    stint_ns: AtomicU64,
    /// What else was, unless the thread was preempted meanwhile.
    unsure_ns: AtomicU64,
    turn: Turn,
}

impl Meter {
    /// What a call may compute before a tick makes it wait for its turn: an eighth of a tick. Some of those that a tick finds need
    /// next to nothing. They are in nobody's way, and would wait for all guests that compute for long. By as much those that do
    /// compute for long exceed a tick, while others wait.
    const STINT_NS: u64 = NS_PER_MS / 8;

    /// Who computes is found by a tick within a tick of 1 ms, which may come a little late. More than that has hardly passed
    /// without the thread being preempted.
    const SURE_NS_MAX: u64 = NS_PER_MS * 5 / 4;

    /// The most that one poll is charged by the monotonic clock: two ticks of the slowest kind would be
    /// 20 ms, but the ticker is asked for 1 ms; beyond 4 ms the thread was preempted, not computing.
    const UNSEEN_NS_MAX: u64 = 4_000_000;

    pub(crate) fn new(enforcer: Arc<Enforcer>) -> Self {
        Meter {
            origin: Instant::now(),
            budget_ns: AtomicU64::new(nanos(enforcer.plugin.limits.cpu)),
            spent_ns: AtomicU64::new(0),
            stream: Stream::default(),
            enforcer,
            since_ns: AtomicU64::new(0),
            long: AtomicBool::new(false),
            stint_ns: AtomicU64::new(0),
            unsure_ns: AtomicU64::new(0),
            turn: Turn::default(),
        }
    }

    /// The limits of the plugin whose calls these are. An instance has its own meter, so that nobody has to
    /// count references to what all instances share.
    pub(crate) fn enforcer(&self) -> &Enforcer {
        &self.enforcer
    }

    /// A new call begins.
    pub(crate) fn begin(&self) {
        self.begin_stint();
        self.begin_budget();
    }

    /// The budget starts anew, for what may be the same call.
    pub(crate) fn begin_budget(&self) {
        self.budget_ns.store(nanos(self.enforcer.plugin.limits.cpu), Relaxed);
        self.spent_ns.store(0, Relaxed);
        self.stream.on.store(false, Relaxed);
        self.long.store(false, Relaxed);
    }

    /// From now on the call is a stream, held to `limits.stream_cpu`.
    pub(crate) fn begin_stream(&self) {
        self.stream.since_ns.store(self.monotonic_ns(), Relaxed);
        self.stream.spent_ns.store(0, Relaxed);
        self.stream.on.store(true, Relaxed);
    }

    /// The call is about to be polled.
    pub(crate) fn enter(&self) {
        self.enforcer.activity.note();
        let now = if self.long.load(Relaxed) { thread_ns() } else { self.monotonic_ns() };
        self.since_ns.store(now, Relaxed);
    }

    /// The call was polled. Fails when the budget is used up.
    pub(crate) fn leave(&self) -> Result<(), Exceeded> {
        self.bill(self.seen())
    }

    /// The same for a meter that measures for others: it bills nothing.
    pub(crate) fn leave_unbilled(&self) {
        self.seen();
    }

    /// Bills what was computed, which another meter may have measured. Fails when the budget is used up.
    pub(crate) fn bill(&self, ns: u64) -> Result<(), Exceeded> {
        let spent = self.spent_ns.load(Relaxed).saturating_add(ns);
        self.spent_ns.store(spent, Relaxed);
        if spent > self.budget_ns.load(Relaxed) {
            self.over_budget(spent)?;
        }
        if self.stream.on.load(Relaxed) { self.bill_stream(ns) } else { Ok(()) }
    }

    #[cold]
    fn over_budget(&self, spent_ns: u64) -> Result<(), Exceeded> {
        self.enforcer.exceeded(LimitKey::Cpu, spent_ns / NS_PER_MS)?;
        self.budget_ns.store(LimitKey::Cpu.ceiling() * NS_PER_MS, Relaxed);
        Ok(())
    }

    fn bill_stream(&self, billed_ns: u64) -> Result<(), Exceeded> {
        let spent = self.stream.spent_ns.load(Relaxed) + billed_ns;
        self.stream.spent_ns.store(spent, Relaxed);
        let lasted = self.monotonic_ns().saturating_sub(self.stream.since_ns.load(Relaxed));
        let percent = u64::from(self.enforcer.plugin.limits.stream_cpu_percent);
        if spent > lasted.saturating_add(STREAM_BURST_NS).saturating_mul(percent) / 100 {
            self.enforcer.used_up(LimitKey::StreamCpu)?;
            // It is observed, and known of this stream.
            self.stream.on.store(false, Relaxed);
        }
        Ok(())
    }

    /// A tick interrupted the call. Fails when the budget is used up.
    pub(crate) fn tick(&self) -> Result<(), Exceeded> {
        self.bill(self.lap())
    }

    /// Whether a call that a tick has interrupted has to make way before it computes on.
    pub(crate) fn has_had_its_stint(&self) -> bool {
        self.stint_ns.load(Relaxed).saturating_add(self.unsure_ns.load(Relaxed)) >= Self::STINT_NS
    }

    /// Waits until it may compute on: for its next turn, or for what is in the queue of its core when it may only have been
    /// preempted.
    pub(crate) async fn make_way(&self) {
        if self.stint_ns.load(Relaxed) >= Self::STINT_NS {
            self.turn.next(&self.enforcer.turns).await;
        } else {
            turns::behind_others().await;
        }
        self.begin_stint();
    }

    fn begin_stint(&self) {
        self.stint_ns.store(0, Relaxed);
        self.unsure_ns.store(0, Relaxed);
    }

    /// The poll is over: if the call had a turn to compute for longer than a tick, somebody else may have it.
    pub(crate) fn rest(&self) {
        self.turn.rest();
    }

    /// What was computed since [`Meter::enter`] or since this was last asked, in nanoseconds; asked at a tick. It bills
    /// nothing.
    pub(crate) fn lap(&self) -> u64 {
        let spent = self.seen();
        if !self.long.swap(true, Relaxed) {
            let stint = if spent > Self::SURE_NS_MAX { &self.unsure_ns } else { &self.stint_ns };
            add(stint, spent);
        }
        self.since_ns.store(thread_ns(), Relaxed);
        spent
    }

    /// A chunk of a streamed body went by: the budget starts anew.
    pub(crate) fn progress(&self) {
        self.spent_ns.store(0, Relaxed);
    }

    /// What was computed that was not seen yet, in nanoseconds.
    fn seen(&self) -> u64 {
        let since = self.since_ns.load(Relaxed);
        if !self.long.load(Relaxed) {
            return self.monotonic_ns().saturating_sub(since).min(Self::UNSEEN_NS_MAX);
        }
        let ns = thread_ns().saturating_sub(since);
        add(&self.stint_ns, ns);
        ns
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What the current call has computed since it became a stream.
#[derive(Default)]
struct Stream {
    on: AtomicBool,
    since_ns: AtomicU64,
    spent_ns: AtomicU64,
}

/// Adds to what nobody else writes.
fn add(to: &AtomicU64, ns: u64) {
    to.store(to.load(Relaxed).saturating_add(ns), Relaxed);
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of the current thread.
fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use wharf_call::LimitSet;

    use super::*;
    use crate::limits::Limits;
    use crate::testing::Room;

    fn meter(limits: Limits) -> Meter {
        let meter = Meter::new(Room::new(0).enforcer(limits));
        meter.begin();
        meter
    }

    fn cpu_ms(ms: u64) -> Limits {
        Limits { cpu: Duration::from_millis(ms), ..Limits::default() }
    }

    fn burn(cpu: Duration) {
        let until = thread_ns() + u64::try_from(cpu.as_nanos()).expect("short");
        while thread_ns() < until {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_ticker_rests_while_no_guest_runs() {
        let period = Duration::from_millis(1);
        let ticker = Ticker::start(wasmtime::Engine::default(), period, Quiet::new(QUIET, || ()))
            .expect("a thread can be started");
        let activity = ticker.activity();
        let until = |resting: bool| {
            let since = Instant::now();
            while activity.resting.load(SeqCst) != resting {
                assert!(since.elapsed() < Duration::from_secs(60), "it never comes to that");
                std::thread::sleep(period);
            }
        };
        until(true);
        for _ in 0..3 {
            activity.note();
            until(false);
            // It ticks for at least as long as it takes to look twice, and then rests again.
            until(true);
            assert!(!activity.seen.load(SeqCst));
        }
        drop(ticker);
    }

    #[test]
    fn a_quiet_host_is_told_of_once_and_again_when_it_was_busy_in_between() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        let tell = || {
            TOLD.fetch_add(1, SeqCst);
        };
        let period = Duration::from_millis(1);
        let ticker = Ticker::start(wasmtime::Engine::default(), period, Quiet::new(period, tell))
            .expect("a thread can be started");
        for times in 1..=3 {
            let since = Instant::now();
            while TOLD.load(SeqCst) < times {
                assert!(since.elapsed() < Duration::from_secs(60), "nobody is told");
                std::thread::sleep(period);
            }
            // It is quiet for many times as long, and that is nothing new.
            std::thread::sleep(period * 50);
            assert_eq!(TOLD.load(SeqCst), times);
            ticker.activity().note();
        }
    }

    #[test]
    fn a_guest_that_spins_after_a_long_call_of_the_host_is_interrupted() {
        // (import "h" "f" (func)) (func (export "run") (call 0) (loop (br 0)))
        const SPINS: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01h\x01f\0\0\x03\x02\x01\0\
            \x07\x07\x01\x03run\0\x01\x0a\x0b\x01\x09\0\x10\0\x03\x40\x0c\0\x0b\x0b";
        let engine =
            wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).expect("an engine");
        let ticker = Ticker::start(engine.clone(), Duration::from_millis(1), Quiet::new(QUIET, || ()))
            .expect("a thread can be started");
        let module = wasmtime::Module::new(&engine, SPINS).expect("a module");
        let mut store = wasmtime::Store::new(&engine, 0);
        let (entered, interrupted) = (ticker.activity().clone(), ticker.activity().clone());
        let call = wasmtime::Func::wrap(&mut store, move || {
            while !entered.resting.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        store.epoch_deadline_callback(move |mut store| {
            interrupted.note();
            *store.data_mut() += 1;
            // Not only the first time, for which the ticker need not go on.
            if *store.data() < 3 {
                Ok(wasmtime::UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg("enough"))
            }
        });
        store.set_epoch_deadline(1);
        ticker.activity().note();
        let instance = wasmtime::Instance::new(&mut store, &module, &[call.into()]).expect("an instance");
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").expect("it is exported");
        assert!(run.call(&mut store, ()).is_err());
        assert_eq!(*store.data(), 3);
    }

    #[test]
    fn computing_is_billed_and_waiting_is_not() {
        let meter = meter(cpu_ms(20));
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

    #[tokio::test]
    async fn a_call_makes_way_when_it_has_computed_for_long_and_not_because_a_tick_finds_it() {
        let meter = meter(cpu_ms(10_000));
        let stint = Duration::from_nanos(Meter::STINT_NS);
        let turns = || meter.enforcer.turns.free();
        let all = turns();
        let begins = || {
            meter.begin();
            meter.enter();
            meter.tick().expect("within the budget");
            !meter.has_had_its_stint()
        };
        assert!((0..1000).any(|_| begins()), "it has only begun, and is not preempted each time");
        burn(stint);
        meter.tick().expect("within the budget");
        assert!(meter.has_had_its_stint());
        meter.make_way().await;
        assert!(!meter.has_had_its_stint());
        assert_eq!(turns(), all - 1, "it has a turn");
        // However often it waits in between, and says that it makes progress.
        for _ in 0..4 {
            burn(stint / 4);
            meter.leave().expect("within the budget");
            meter.rest();
            meter.progress();
            meter.enter();
        }
        meter.tick().expect("within the budget");
        assert!(meter.has_had_its_stint());
        meter.begin();
        assert!(!meter.has_had_its_stint(), "the next call is another one");
    }

    #[tokio::test]
    async fn a_stint_goes_on_when_only_the_budget_begins_anew() {
        let meter = meter(cpu_ms(10_000));
        for _ in 0..4 {
            meter.begin_budget();
            meter.enter();
            meter.lap();
            burn(Duration::from_nanos(Meter::STINT_NS / 4));
            meter.leave_unbilled();
        }
        assert!(meter.has_had_its_stint());
    }

    #[tokio::test]
    async fn a_call_that_may_have_been_preempted_does_not_wait_for_a_turn() {
        let meter = meter(cpu_ms(10_000));
        meter.enter();
        std::thread::sleep(Duration::from_nanos(Meter::SURE_NS_MAX));
        meter.tick().expect("within the budget");
        assert!(meter.has_had_its_stint(), "or so it seems");
        let free = meter.enforcer.turns.free();
        meter.make_way().await;
        assert_eq!(meter.enforcer.turns.free(), free);
        assert!(!meter.has_had_its_stint());
    }

    #[test]
    fn progress_starts_the_budget_anew() {
        let meter = meter(cpu_ms(20));
        meter.enter();
        meter.tick().expect("within the budget");
        for _ in 0..3 {
            burn(Duration::from_millis(12));
            meter.tick().expect("each stretch is within the budget");
            meter.progress();
        }
    }

    #[test]
    fn an_observed_budget_is_exceeded_and_the_call_goes_on() {
        let observed = LimitSet::EMPTY.with(LimitKey::Cpu);
        let meter = meter(Limits { observed, ..cpu_ms(10) });
        meter.enter();
        meter.tick().expect("within the budget");
        for _ in 0..3 {
            burn(Duration::from_millis(15));
            meter.tick().expect("it is observed");
        }
    }

    #[test]
    fn a_stream_is_held_to_a_rate_however_often_it_makes_progress() {
        // One percent of ten seconds may come at once: 100 ms.
        let meter = meter(Limits { stream_cpu_percent: 1, ..cpu_ms(10_000) });
        meter.begin_stream();
        meter.enter();
        meter.tick().expect("nothing was computed");
        burn(Duration::from_millis(30));
        meter.tick().expect("within the burst");
        meter.progress();
        burn(Duration::from_millis(200));
        assert_eq!(meter.tick().expect_err("beyond it").key(), LimitKey::StreamCpu);
        // The next call is none.
        meter.begin();
        meter.enter();
        meter.tick().expect("its budget is new");
    }
}
