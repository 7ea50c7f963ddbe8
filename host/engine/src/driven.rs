//! A call while its guest works on it.
//!
//! The guest is driven by whoever polls the call: there is no task and no queue between the connection
//! and the guest. When the guest's answer is complete at once, as most are, that is all. What is still to come
//! is driven by a task of its own, which whoever reads it owns.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::AcqRel};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use wharf_call::{Failure, Kind};

use crate::answer::Answer;
use crate::generation::Generation;
use crate::lease::Lease;
use crate::time_limit::Due;

/// A call, its lease within, and the answer that it is to give.
pub(crate) struct Driven<T> {
    running: Running,
    is_running: bool,
    driver: Arc<Driver>,
    answer: Answer<T>,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<T: Send + 'static> Driven<T> {
    /// `running` runs the guest's side of the call, and gives `answer` a failure when the guest gives nothing.
    pub(crate) fn new(answer: Answer<T>, running: impl Future<Output = ()> + Send + 'static) -> Self {
        Driven { running: Box::pin(running), is_running: true, driver: Arc::default(), answer }
    }

    /// The answer to the call.
    pub(crate) fn answer(&self) -> &Answer<T> {
        &self.answer
    }

    /// Drives the guest until it has given its answer.
    ///
    /// # Errors
    /// It gave a failure, or none when it was due.
    pub(crate) async fn answered(&mut self, due: Due, generation: &Generation) -> Result<T, Failure> {
        // A warm call is over in its first poll: only one that is not pays for a timer.
        if let Poll::Ready(answered) = poll_fn(|cx| Poll::Ready(self.step(cx))).await {
            return answered;
        }
        let rest = poll_fn(|cx| self.step(cx));
        due.keep(&generation.enforcer, rest)
            .await
            .inspect_err(|late| generation.metrics.ended(late.kind()))?
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Failure>> {
        let polled = self.poll(cx);
        match (self.answer.take(), polled) {
            (Some(answered), _) => Poll::Ready(answered),
            (None, Poll::Pending) => Poll::Pending,
            (None, Poll::Ready(())) => {
                let failure = Failure::new(Kind::Internal, Kind::Internal.title());
                Poll::Ready(Err(failure.with_private("a call had no answer")))
            }
        }
    }

    /// Drives the guest on, while it has something to do.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_running && self.driver.poll(self.running.as_mut(), cx).is_ready() {
            self.is_running = false;
        }
        if self.is_running { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether the guest is not done with the call.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Goes on driving a guest whose answer was given, in a task: until nobody needs more of it, and then for
    /// `limits.wall` at most.
    pub(crate) fn go_on(self, generation: Arc<Generation>) -> AbortHandle {
        tokio::spawn(self.drive_on(generation)).abort_handle()
    }

    async fn drive_on(mut self, generation: Arc<Generation>) {
        let grace = generation.plugin.limits.wall;
        tokio::select! {
            () = &mut self.running => {}
            () = async { self.answer.ended().await; sleep(grace).await } => {
                generation.metrics.ended(Kind::Timeout);
                tracing::warn!(
                    plugin = generation.plugin.name,
                    generation = generation.number,
                    "an instance was dropped: its guest was still busy {} ms after the response had ended",
                    grace.as_millis()
                );
            }
        }
    }
}

/// Wakes whoever drives a guest, but not for what happens while the guest is being driven.
///
/// wasmtime wakes who waits for a call when the call has ended, and that is the very task that polls it then. tokio
/// would poll a connection once more for each request, for nothing.
#[derive(Default)]
struct Driver {
    /// [`POLLED`] and [`WOKEN`]. It is only changed by operations that read it as well, so each sees what was done before the
    /// last.
    state: AtomicU8,
    /// Who polled last.
    task: Mutex<Option<Waker>>,
}

/// The guest is being driven.
const POLLED: u8 = 1;
/// Something has happened since it was last begun to be driven.
const WOKEN: u8 = 2;

impl Driver {
    fn poll(self: &Arc<Self>, running: Pin<&mut dyn Future<Output = ()>>, cx: &mut Context<'_>) -> Poll<()> {
        // Whatever has happened up to now, the guest will find.
        self.state.swap(POLLED, AcqRel);
        let waker = Waker::from(self.clone());
        if running.poll(&mut Context::from_waker(&waker)).is_ready() {
            // It stays "polled": nobody is to be woken any more.
            return Poll::Ready(());
        }
        {
            let mut task = self.task.lock();
            match &mut *task {
                Some(task) => task.clone_from(cx.waker()),
                None => *task = Some(cx.waker().clone()),
            }
        }
        if self.state.fetch_and(!POLLED, AcqRel) & WOKEN != 0 {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // While it is polled, `poll` sees to it; and once is enough.
        if self.state.fetch_or(WOKEN, AcqRel) == 0
            && let Some(task) = &*self.task.lock()
        {
            task.wake_by_ref();
        }
    }
}

/// Ends the lease of a call that has `ended`.
pub(crate) fn conclude<T: Send + 'static>(lease: Lease, ended: Result<(), Failure>, answer: &Answer<T>) {
    match ended {
        Ok(()) => lease.end_well(),
        Err(failure) => {
            lease.generation().metrics.ended(failure.kind());
            // The verdict is there before the store is dropped: see `ResponseBody`.
            answer.fail(failure.clone());
            lease.end_badly(&failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn poll(
        driver: &Arc<Driver>,
        running: &mut Pin<Box<impl Future<Output = ()>>>,
        wakes: &Arc<Wakes>,
    ) -> bool {
        let waker = Waker::from(wakes.clone());
        driver.poll(running.as_mut(), &mut Context::from_waker(&waker)).is_ready()
    }

    #[test]
    fn what_a_guest_does_to_itself_wakes_nobody_once_it_has_ended() {
        let (driver, wakes) = (Arc::new(Driver::default()), Arc::new(Wakes::default()));
        let mut left = None;
        let mut running = Box::pin(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            left = Some(cx.waker().clone());
            Poll::Ready(())
        }));
        assert!(poll(&driver, &mut running, &wakes));
        drop(running);
        left.expect("it was polled").wake();
        assert_eq!(wakes.0.load(SeqCst), 0);
    }

    #[test]
    fn a_guest_that_yields_is_driven_on() {
        let (driver, wakes) = (Arc::new(Driver::default()), Arc::new(Wakes::default()));
        let mut polls = 0;
        let mut running = Box::pin(poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert!(!poll(&driver, &mut running, &wakes));
        assert_eq!(wakes.0.load(SeqCst), 1);
        assert!(!poll(&driver, &mut running, &wakes));
        assert_eq!(wakes.0.load(SeqCst), 2);
        assert!(poll(&driver, &mut running, &wakes));
        assert_eq!(wakes.0.load(SeqCst), 2);
    }

    #[test]
    fn what_happens_between_two_polls_wakes_who_polled_last_and_once() {
        let (driver, before) = (Arc::new(Driver::default()), Arc::new(Wakes::default()));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let seen = wakers.clone();
        let mut running = Box::pin(poll_fn(move |cx| {
            seen.lock().push(cx.waker().clone());
            Poll::Pending
        }));
        assert!(!poll(&driver, &mut running, &before));
        let last = Arc::new(Wakes::default());
        assert!(!poll(&driver, &mut running, &last));
        for waker in wakers.lock().drain(..) {
            waker.wake();
        }
        assert_eq!((before.0.load(SeqCst), last.0.load(SeqCst)), (0, 1));
        assert!(!poll(&driver, &mut running, &last));
        for waker in wakers.lock().drain(..) {
            waker.wake();
        }
        assert_eq!(last.0.load(SeqCst), 2);
    }

    /// With what wakes it on another thread, at any moment of a poll.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_is_lost_between_threads() {
        for _ in 0..2_000 {
            let (told, tells) = oneshot::channel();
            let (driver, mut running) =
                (Arc::new(Driver::default()), Box::pin(async { tells.await.expect("it is told") }));
            let telling = tokio::spawn(async move { told.send(()) });
            poll_fn(|cx| driver.poll(running.as_mut(), cx)).await;
            telling.await.expect("it ends").expect("it is heard");
        }
    }
}
