//! Where the requests of an HTTP/2 connection run.
//!
//! hyper wants a task for each. A task costs a request that is answered at once, as most are, more than many handlers do: it
//! goes through the executor's queue, a second worker is woken to take it, and both then want the lock that h2 has around the
//! connection. So a request runs within the task of its connection, as it does with HTTP/1, until it has to wait for something,
//! and is a task from then on.
//!
//! Requests of one connection must not wait for each other where there are workers to spare. Those that came together are run
//! here for a [`BURST`], and the rest become tasks at once. When one computes for that long by itself, those that come within
//! [`APART`] are tasks from the beginning.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use hyper::rt::Executor;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use rustix::time::{ClockId, clock_gettime};

use crate::metrics;

/// For how long a connection runs its own requests each time it is polled: several times what handing one over costs, and
/// far less than a guest's tick.
const BURST: Duration = Duration::from_micros(100);

/// How long a connection hands over all requests after one that computed for longer than a [`BURST`]. Trying again costs the
/// others a tick of a guest at most, which is a hundredth of this.
const APART: Duration = Duration::from_millis(100);

pin_project! {
    /// A connection of HTTP/2, and its requests, which run while it is polled.
    pub(crate) struct WithRequests<C> {
        #[pin]
        connection: C,
        requests: Requests,
    }
}

impl<C> WithRequests<C> {
    pub(crate) fn new(connection: C) -> Self {
        WithRequests { connection, requests: Requests::new() }
    }

    pub(crate) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future> Future for WithRequests<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.project();
        this.requests.burst(cx, |cx| this.connection.poll(cx))
    }
}

/// The requests of one connection, for whoever polls that.
struct Requests {
    pace: Pace,
    wakes: Arc<Wakes>,
    /// That of `wakes`.
    waker: Waker,
}

impl Requests {
    fn new() -> Self {
        let wakes = Arc::new(Wakes(Mutex::new(Waker::noop().clone())));
        Requests { pace: Pace::default(), waker: wakes.clone().into(), wakes }
    }

    /// Polls the connection that they are of, which may run them meanwhile.
    fn burst<T>(&mut self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        struct End<'a>(&'a mut Pace);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                if let Some(burst) = NOW.take() {
                    *self.0 = burst.pace;
                }
            }
        }

        self.wakes.0.lock().clone_from(cx.waker());
        NOW.set(Some(Burst {
            ends: Instant::now() + BURST,
            pace: self.pace,
            wakes: Arc::as_ptr(&self.wakes),
            runs: false,
        }));
        let _end = End(&mut self.pace);
        poll(&mut Context::from_waker(&self.waker))
    }
}

/// Wakes the task of a connection, but not for what a request does while it runs within that: hyper polls h2 again after each
/// request that it has handed out, and finds it. tokio would put the task into its queue and wake another worker to take it.
struct Wakes(Mutex<Waker>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !NOW.get().is_some_and(|burst| burst.runs && burst.wakes == Arc::as_ptr(self)) {
            self.0.lock().wake_by_ref();
        }
    }
}

/// How long the requests of a connection have taken.
#[derive(Clone, Copy, Default)]
struct Pace {
    apart_until: Option<Instant>,
    /// Whether the last one took long. It may only have been preempted, which on a busy host is common: the next one's CPU time
    /// tells, and costs a system call.
    suspect: bool,
}

impl Pace {
    /// A request has taken a [`BURST`], in CPU time if the one before did, or less; it is now `now`.
    fn learn(&mut self, long: bool, now: Instant) {
        if long && self.suspect {
            self.apart_until = Some(now + APART);
        }
        self.suspect = long;
    }
}

/// While a connection is polled.
#[derive(Clone, Copy)]
struct Burst {
    ends: Instant,
    pace: Pace,
    /// Those of the connection. Only compared.
    wakes: *const Wakes,
    /// Whether one of its requests is running.
    runs: bool,
}

impl Burst {
    /// Whether a request that comes at `now` runs here.
    fn takes(&self, now: Instant) -> bool {
        now < self.ends && self.pace.apart_until.is_none_or(|until| until <= now)
    }

    /// Runs a request at `begun`, and learns from how long it takes.
    fn run<T>(mut self, begun: Instant, run: impl FnOnce() -> T) -> T {
        let cpu = self.pace.suspect.then(cpu_time);
        NOW.set(Some(Burst { runs: true, ..self }));
        let ran = run();
        let now = Instant::now();
        let took = cpu.map_or_else(|| now - begun, |before| cpu_time().saturating_sub(before));
        self.pace.learn(took >= BURST, now);
        NOW.set(Some(self));
        ran
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

thread_local! {
    /// The burst of the connection that this thread polls.
    static NOW: Cell<Option<Burst>> = const { Cell::new(None) };
}

/// Runs the requests of a connection: here while a burst lasts, else in tasks.
#[derive(Clone, Copy)]
pub(crate) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        let mut request = Box::pin(request);
        let begun = Instant::now();
        if let Some(burst) = NOW.get().filter(|burst| burst.takes(begun)) {
            // Whatever it waits for, the task asks for it anew. That is not for the connection to be woken for.
            let mut cx = Context::from_waker(Waker::noop());
            // A panic ends the stream, as that of a task would, and no other.
            let poll = AssertUnwindSafe(|| request.as_mut().poll(&mut cx));
            let polled = burst.run(begun, || catch_unwind(poll));
            match polled {
                Ok(polled) if polled.is_pending() => {}
                Ok(_) => return,
                Err(panic) => return tracing::error!("{}", metrics::panicked(&*panic)),
            }
        }
        tokio::spawn(request);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A request that is answered when it has been polled so often. It says in which task that was.
    fn request(seen: mpsc::Sender<Option<tokio::task::Id>>, polls: usize) -> impl Future<Output = ()> + Send {
        let mut left = polls;
        std::future::poll_fn(move |cx| {
            let _ = seen.send(tokio::task::try_id());
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    impl Requests {
        fn run(&mut self, run: impl FnOnce()) {
            self.burst(&mut Context::from_waker(Waker::noop()), |_| run());
        }
    }

    #[tokio::test]
    async fn a_request_is_a_task_when_it_waits() {
        let (seen, polls) = mpsc::channel();
        let here = tokio::task::try_id();
        Requests::new().run(|| {
            Streams.execute(request(seen.clone(), 1));
            Streams.execute(request(seen.clone(), 3));
        });
        assert_eq!(polls.try_iter().collect::<Vec<_>>(), [here, here], "both are begun here");
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        let tasks: Vec<_> = polls.try_iter().collect();
        assert!(tasks.len() == 2 && tasks[0] != here && tasks[0] == tasks[1], "{tasks:?}");
    }

    #[tokio::test]
    async fn after_a_burst_requests_are_tasks_at_once() {
        let (seen, polls) = mpsc::channel();
        let mut requests = Requests::new();
        requests.run(|| {
            thread::sleep(BURST);
            Streams.execute(request(seen.clone(), 1));
        });
        Streams.execute(request(seen.clone(), 1));
        assert_eq!(polls.try_iter().count(), 0, "neither is begun here");
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(polls.try_iter().count(), 2);
        requests.run(|| Streams.execute(request(seen, 1)));
        assert_eq!(polls.try_iter().count(), 1, "the next burst begins anew");
    }

    /// Uses the CPU for longer than a burst.
    fn compute() {
        let begun = cpu_time();
        while cpu_time() - begun < 2 * BURST {}
    }

    #[tokio::test]
    async fn after_a_request_that_computes_for_long_the_next_are_tasks_for_a_while() {
        let (seen, polls) = mpsc::channel();
        let mut requests = Requests::new();
        // The first one might have been preempted.
        requests.run(|| Streams.execute(async { compute() }));
        requests.run(|| Streams.execute(async { compute() }));
        requests.run(|| Streams.execute(request(seen.clone(), 1)));
        assert_eq!(polls.try_iter().count(), 0);
        Requests::new().run(|| Streams.execute(request(seen.clone(), 1)));
        assert_eq!(polls.try_iter().count(), 1, "another connection's is not");
        thread::sleep(APART);
        requests.run(|| Streams.execute(request(seen.clone(), 1)));
        assert_eq!(polls.try_iter().count(), 1, "it is tried again");
    }

    #[tokio::test]
    async fn a_request_that_was_preempted_does_not_make_tasks_of_the_next() {
        let (seen, polls) = mpsc::channel();
        let mut requests = Requests::new();
        for _ in 0..5 {
            requests.run(|| Streams.execute(async { thread::sleep(BURST) }));
        }
        requests.run(|| Streams.execute(request(seen, 1)));
        assert_eq!(polls.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn a_panic_is_that_of_one_request() {
        let (seen, polls) = mpsc::channel();
        let mut requests = Requests::new();
        requests.run(|| Streams.execute(async { panic!("a mistake") }));
        requests.run(|| Streams.execute(request(seen, 1)));
        assert_eq!(polls.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn a_connection_is_not_woken_for_what_its_requests_do_within_it() {
        struct Count(AtomicUsize);

        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Relaxed);
            }
        }

        let count = Arc::new(Count(AtomicUsize::new(0)));
        let woken = || count.0.swap(0, Relaxed);
        let (mine, other) = (Waker::from(count.clone()), Waker::from(count.clone()));
        let (mut requests, mut others) = (Requests::new(), Requests::new());
        let other = others.burst(&mut Context::from_waker(&other), |cx| cx.waker().clone());
        requests.burst(&mut Context::from_waker(&mine), |cx| {
            let own = cx.waker().clone();
            let (within, from_elsewhere) = (own.clone(), own.clone());
            Streams.execute(async move { within.wake() });
            assert_eq!(woken(), 0, "hyper looks at the connection once more");
            Streams.execute(async move { other.wake() });
            assert_eq!(woken(), 1, "another connection has to be told");
            Streams.execute(async move { thread::spawn(|| from_elsewhere.wake()).join().expect("woke") });
            assert_eq!(woken(), 1, "so has this one of what another thread does");
            own.wake_by_ref();
            assert_eq!(woken(), 1, "and of what it does itself");
        });
        requests.waker.wake_by_ref();
        assert_eq!(woken(), 1, "and of everything when it is not polled");
    }
}
