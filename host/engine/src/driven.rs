//! A call while its guest works on it.
//!
//! The guest is driven by whoever polls the call: there is no task and no queue between the connection
//! and the guest. When the guest's answer is complete at once, as most are, that is all. What is still to come
//! is driven by a task of its own, which whoever reads it owns.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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
    answer: Answer<T>,
    generation: Arc<Generation>,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<T: Send + 'static> Driven<T> {
    /// `running` runs the guest's side of the call, and gives `answer` a failure when the guest gives nothing.
    pub(crate) fn new(
        generation: Arc<Generation>,
        answer: Answer<T>,
        running: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Driven { running: Box::pin(running), is_running: true, answer, generation }
    }

    /// Drives the guest until it has given its answer.
    ///
    /// # Errors
    /// It gave a failure, or none when it was due.
    pub(crate) async fn answered(&mut self, due: Due) -> Result<T, Failure> {
        // A warm call is over in its first poll: only one that is not pays for a timer.
        if let Poll::Ready(answered) = poll_fn(|cx| Poll::Ready(self.step(cx))).await {
            return answered;
        }
        let generation = self.generation.clone();
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
        if self.is_running && self.running.as_mut().poll(cx).is_ready() {
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
    pub(crate) fn go_on(self) -> AbortHandle {
        tokio::spawn(self.drive_on()).abort_handle()
    }

    async fn drive_on(mut self) {
        let grace = self.generation.plugin.limits.wall;
        tokio::select! {
            () = &mut self.running => {}
            () = async { self.answer.ended().await; sleep(grace).await } => {
                self.generation.metrics.ended(Kind::Timeout);
                tracing::warn!(
                    plugin = self.generation.plugin.name,
                    generation = self.generation.number,
                    "an instance was dropped: its guest was still busy {} ms after the response had ended",
                    grace.as_millis()
                );
            }
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
