//! Whose turn it is among the guests that compute for longer than a tick.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a guest waits for its turn at most. With more than a hundred guests for each core that all compute, there is
/// nothing left to save for the others.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Lets as many guests go on computing at once as there are cores to do it.
///
/// A guest that a tick interrupts goes to the end of the executor's queue. With ten such guests in it, a request that comes
/// waits for ten ticks, and so does every further step of it: its connection, its answer. So the guests wait here,
/// first come, first served, and at most one for each core is in the queue. A call that is over within
/// a tick, as most are, has no part in it.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// One for each core that the executor uses.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Handle::try_current();
        let workers = runtime.map_or(cores, |runtime| runtime.metrics().num_workers());
        Turns::of(workers.min(cores))
    }

    fn of(at_once: usize) -> Self {
        Turns(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// How many could begin at once.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

/// The part that one store has in it.
#[derive(Default)]
pub(crate) struct Turn {
    has: Mutex<Has>,
    /// Whether it is [`Has::Runs`], for all those calls that never have anything. Only whoever polls the store writes it.
    runs: AtomicBool,
}

#[derive(Default)]
enum Has {
    #[default]
    Nothing,
    /// It is in the executor's queue.
    Queued(OwnedSemaphorePermit),
    /// It computes.
    Runs(#[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit),
}

impl Turn {
    /// Gives up the turn that it has, and waits for the next, and then for those who came to the queue before it.
    /// Whoever drops this future gives the turn up.
    pub(crate) async fn next(&self, turns: &Turns) {
        let _given_up = GiveUp(self);
        self.set(Has::Nothing);
        let turn = match turns.0.clone().try_acquire_owned() {
            Ok(turn) => Some(turn),
            // It is never closed.
            Err(_) => tokio::time::timeout(WAIT_MAX, turns.0.clone().acquire_owned())
                .await
                .ok()
                .and_then(Result::ok),
        };
        self.set(turn.map_or(Has::Nothing, Has::Queued));
        // Through the queue, even when the turn came from a guest that gave it up: whoever is woken by a task goes before
        // all others in tokio, and so guests would pass the core on among themselves.
        behind_others().await;
        let mut has = self.has.lock();
        if let Has::Queued(turn) = std::mem::take(&mut *has) {
            *has = Has::Runs(turn);
            self.runs.store(true, Relaxed);
        }
    }

    /// The guest computes no more: it waits for something, or is done. One that waits in [`Turn::next`] keeps its place.
    pub(crate) fn rest(&self) {
        if self.runs.load(Relaxed) {
            self.set(Has::Nothing);
        }
    }

    fn set(&self, has: Has) {
        self.runs.store(false, Relaxed);
        *self.has.lock() = has;
    }
}

/// Lets go first what is in the executor's queue, and what the executor has not found out yet.
///
/// tokio looks for what has come in before it wakes a task that has yielded, but wakes it last, and goes on with whoever was
/// woken last: a request that came during a tick would wait for one more. A task that wakes itself while it is polled
/// goes to the end of the queue.
pub(crate) async fn behind_others() {
    tokio::task::yield_now().await;
    let mut woken = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Leaves the queue, unless the guest computes by then.
struct GiveUp<'a>(&'a Turn);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        let mut has = self.0.has.lock();
        if matches!(*has, Has::Queued(_)) {
            *has = Has::Nothing;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Polls once.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())
        })
        .await
    }

    #[tokio::test]
    async fn no_more_go_on_at_once_than_there_are_cores() {
        let turns = Turns::of(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let guests: Vec<_> = (0..10)
            .map(|_| {
                let (turns, running, most) = (turns.clone(), running.clone(), most.clone());
                tokio::spawn(async move {
                    let turn = Turn::default();
                    for _ in 0..20 {
                        turn.next(&turns).await;
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        tokio::task::yield_now().await;
                        running.fetch_sub(1, SeqCst);
                    }
                })
            })
            .collect();
        for guest in guests {
            guest.await.expect("it ends");
        }
        assert_eq!(most.load(SeqCst), 2);
        assert_eq!(turns.free(), 2, "whoever is gone has no turn");
    }

    #[tokio::test]
    async fn turns_are_taken_in_the_order_of_coming() {
        let turns = Turns::of(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let guests: Vec<_> = (0..3)
            .map(|guest| {
                let (turns, order) = (turns.clone(), order.clone());
                tokio::spawn(async move {
                    let turn = Turn::default();
                    for _ in 0..4 {
                        turn.next(&turns).await;
                        order.lock().push(guest);
                    }
                })
            })
            .collect();
        for guest in guests {
            guest.await.expect("it ends");
        }
        assert_eq!(*order.lock(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[tokio::test]
    async fn a_guest_that_waits_for_something_else_or_is_given_up_leaves_its_turn_to_the_next() {
        let turns = Turns::of(1);
        let (first, second) = (Turn::default(), Turn::default());
        first.next(&turns).await;
        {
            let mut waits = std::pin::pin!(second.next(&turns));
            assert!(!poll_once(&mut waits).await);
            first.rest();
            waits.await;
        }
        assert_eq!(turns.free(), 0);
        second.rest();
        {
            let mut queued = std::pin::pin!(first.next(&turns));
            assert!(!poll_once(&mut queued).await);
            // It is in the executor's queue, and keeps its place.
            first.rest();
            assert_eq!(turns.free(), 0);
        }
        assert_eq!(turns.free(), 1);
    }

    /// A worker has one guest that computes without end, and a neighbour that answers what comes in: after the tick
    /// during which it came, not after the next.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_comes_in_during_a_tick_goes_before_the_next() {
        const TICK: Duration = Duration::from_millis(4);
        const ASKED: usize = 20;
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = ticks.clone();
        let guest = tokio::spawn(async move {
            let (turns, turn) = (Turns::of(1), Turn::default());
            loop {
                turn.next(&turns).await;
                counted.fetch_add(1, SeqCst);
                std::thread::sleep(TICK);
            }
        });
        let (mut client, server) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        server.set_nonblocking(true).expect("it can");
        let neighbour = tokio::spawn(async move {
            let mut server = tokio::net::UnixStream::from_std(server).expect("it is non-blocking");
            let mut byte = [0];
            while server.read_exact(&mut byte).await.is_ok() {
                server.write_all(&byte).await.expect("the client reads");
            }
        });
        let asking = std::thread::spawn(move || {
            let in_time = |_: &usize| {
                // In the middle of a tick.
                let begun = ticks.load(SeqCst);
                while ticks.load(SeqCst) == begun {
                    std::thread::yield_now();
                }
                let begun = ticks.load(SeqCst);
                client.write_all(&[0]).expect("the neighbour reads");
                client.read_exact(&mut [0]).expect("the neighbour answers");
                ticks.load(SeqCst) <= begun + 1
            };
            (0..ASKED).filter(in_time).count()
        });
        let in_time = tokio::task::spawn_blocking(|| asking.join().expect("it does not panic"));
        let in_time = in_time.await.expect("it ends");
        guest.abort();
        neighbour.abort();
        assert!(in_time > ASKED / 2, "{in_time} of {ASKED} were answered before another tick");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_its_turn_for_ever() {
        let turns = Turns::of(1);
        let (stuck, other) = (Turn::default(), Turn::default());
        stuck.next(&turns).await;
        let since = tokio::time::Instant::now();
        other.next(&turns).await;
        assert!(since.elapsed() >= WAIT_MAX);
        // It went on without one, and has none to give back.
        other.rest();
        assert_eq!(turns.free(), 0);
    }
}
