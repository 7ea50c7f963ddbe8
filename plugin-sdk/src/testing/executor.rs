//! Runs futures in a native test, on the thread of the test, with a clock that does not wait.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long another thread may take to wake a future before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static SPAWNED: RefCell<Vec<Task>> = const { RefCell::new(Vec::new()) };
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static TIMERS: RefCell<Vec<(Duration, Waker)>> = const { RefCell::new(Vec::new()) };
}

struct Flag {
    woken: AtomicBool,
    thread: Thread,
}

impl Flag {
    fn new() -> Arc<Self> {
        Arc::new(Flag { woken: AtomicBool::new(true), thread: thread::current() })
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future to its end, with everything that it leaves in the background until then.
///
/// Time stands still while anything can go on. When everything waits, the clock of
/// [`time`](crate::time) goes on to the next moment that something waits for, so that nothing takes time.
///
/// # Panics
/// When the future waits for something that nobody can do.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let main = Flag::new();
    let mut tasks: Vec<(Arc<Flag>, Task)> = Vec::new();
    loop {
        if main.woken.swap(false, Ordering::Acquire) {
            let waker = Waker::from(main.clone());
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
        }
        tasks.extend(SPAWNED.take().into_iter().map(|task| (Flag::new(), task)));
        tasks.retain_mut(|(flag, task)| {
            if !flag.woken.swap(false, Ordering::Acquire) {
                return true;
            }
            let waker = Waker::from(flag.clone());
            task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        let woken = |flag: &Arc<Flag>| flag.woken.load(Ordering::Acquire);
        let new = SPAWNED.with_borrow(|spawned| !spawned.is_empty());
        if new || woken(&main) || tasks.iter().any(|(flag, _)| woken(flag)) || next_timer() {
            continue;
        }
        thread::park_timeout(PATIENCE);
        assert!(
            woken(&main) || tasks.iter().any(|(flag, _)| woken(flag)),
            "the test waits for something that never happens"
        );
    }
}

/// Goes on to the earliest moment that somebody waits for.
fn next_timer() -> bool {
    let due = TIMERS.with_borrow_mut(|timers| {
        let earliest = timers.iter().map(|(at, _)| *at).min()?;
        NOW.set(NOW.get().max(earliest));
        let (due, later) = timers.drain(..).partition(|(at, _)| *at <= earliest);
        *timers = later;
        Some::<Vec<_>>(due)
    });
    let Some(due) = due else { return false };
    due.into_iter().for_each(|(_, waker)| waker.wake());
    true
}

/// Runs a future beside the one that runs now.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    SPAWNED.with_borrow_mut(|spawned| spawned.push(Box::pin(future)));
}

/// The test's clock: how long it has run, as it tells it.
pub(crate) fn now() -> Duration {
    NOW.get()
}

/// Waits for a moment of the test's clock.
pub(crate) async fn sleep_until(at: Duration) {
    poll_fn(|cx| {
        if NOW.get() >= at {
            return Poll::Ready(());
        }
        TIMERS.with_borrow_mut(|timers| timers.push((at, cx.waker().clone())));
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn waiting_takes_no_time_and_keeps_its_order() {
        let began = std::time::Instant::now();
        let order = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            let start = now();
            for seconds in [3_600, 60] {
                let order = order.clone();
                spawn(async move {
                    sleep_until(start + Duration::from_secs(seconds)).await;
                    order.borrow_mut().push(seconds);
                });
            }
            sleep_until(start + Duration::from_secs(7_200)).await;
            assert_eq!(now() - start, Duration::from_secs(7_200));
        });
        assert_eq!(*order.borrow(), [60, 3_600]);
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_future_can_be_woken_from_another_thread() {
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let waking = thread::spawn(move || receiver.recv().expect("a waker").wake());
        let mut asked = false;
        block_on(poll_fn(|cx| {
            if asked {
                return Poll::Ready(());
            }
            asked = true;
            sender.send(cx.waker().clone()).expect("the thread waits");
            Poll::Pending
        }));
        waking.join().expect("it woke");
    }
}
