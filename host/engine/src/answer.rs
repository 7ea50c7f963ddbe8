//! Where a guest's answer is put, and where the rest of the host finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::Response;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wharf_call::{Body, Failure};

/// The answer to one call: a head or a failure, at most once, and then how its body ends.
///
/// Shared by the future that drives the guest, which gives the answer, and the response's body, which may
/// be polled by another task.
#[derive(Clone)]
pub(crate) struct Answer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    head: Mutex<Head>,
    /// What cut the body short after the head was given.
    cut: Mutex<Option<Failure>>,
    ended: AtomicBool,
    /// A head was given, or nobody needs more of the body.
    changed: Notify,
}

#[derive(Default)]
enum Head {
    #[default]
    Awaited,
    Given(Result<Response<Body>, Failure>),
    Taken,
}

impl Answer {
    pub(crate) fn new() -> Self {
        Answer(Arc::default())
    }

    /// Gives a response that is complete with its head.
    pub(crate) fn whole(&self, response: Response<Body>) {
        self.give(Ok(response));
        self.end();
    }

    /// Gives a response whose body is still to come.
    pub(crate) fn streamed(&self, response: Response<Body>) {
        self.give(Ok(response));
    }

    /// The call failed: instead of a head or, when the head is out already, in the middle of the body.
    pub(crate) fn fail(&self, failure: Failure) {
        *self.0.cut.lock() = Some(failure.clone());
        self.give(Err(failure));
        self.end();
    }

    fn give(&self, answer: Result<Response<Body>, Failure>) {
        let mut head = self.0.head.lock();
        if matches!(*head, Head::Awaited) {
            *head = Head::Given(answer);
            drop(head);
            self.0.changed.notify_waiters();
        }
    }

    /// Waits for an answer and takes it; only the first to ask gets it. For a guest that is driven by somebody else.
    pub(crate) async fn taken(&self) -> Result<Response<Body>, Failure> {
        loop {
            let changed = self.0.changed.notified();
            if let Some(answer) = self.take() {
                return answer;
            }
            changed.await;
        }
    }

    /// Takes the answer, if it was given and not yet taken.
    pub(crate) fn take(&self) -> Option<Result<Response<Body>, Failure>> {
        let mut head = self.0.head.lock();
        match std::mem::take(&mut *head) {
            Head::Given(answer) => {
                *head = Head::Taken;
                Some(answer)
            }
            other => {
                *head = other;
                None
            }
        }
    }

    /// Whether an answer was given.
    pub(crate) fn given(&self) -> bool {
        !matches!(*self.0.head.lock(), Head::Awaited)
    }

    /// What cut the body short, if something did.
    pub(crate) fn cut(&self) -> Option<Failure> {
        self.0.cut.lock().clone()
    }

    /// Nobody needs more of the body: it is complete, cut, or not wanted any more.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Relaxed);
        self.0.changed.notify_waiters();
    }

    /// Whether [`Answer::end`] was called.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.load(Relaxed)
    }

    /// Waits for [`Answer::end`].
    pub(crate) async fn ended(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.has_ended() {
                return;
            }
            changed.await;
        }
    }
}
