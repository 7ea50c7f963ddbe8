//! Where a guest's answer is put, and where the rest of the host finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::Response;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wharf_call::{Body, Failure};

/// The answer to one call: a head or a failure, at most once, and then how its body ends. The head is a response or, of a
/// typed call, what the function returned.
///
/// Shared by the future that drives the guest, which gives the answer, and the response's body, which may
/// be polled by another task.
pub(crate) struct Answer<T = Response<Body>>(Arc<Shared<T>>);

struct Shared<T> {
    head: Mutex<Head<T>>,
    /// What cut the body short after the head was given.
    cut: Mutex<Option<Failure>>,
    ended: AtomicBool,
    /// A head was given, or nobody needs more of the body.
    changed: Notify,
}

enum Head<T> {
    Awaited,
    Given(Result<T, Failure>),
    Taken,
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Answer(self.0.clone())
    }
}

/// Whether a call has its answer, whatever that is.
pub(crate) trait Given: Send + Sync {
    /// Whether it was given.
    fn given(&self) -> bool;
}

impl<T: Send> Given for Shared<T> {
    fn given(&self) -> bool {
        !matches!(*self.head.lock(), Head::Awaited)
    }
}

impl<T: Send + 'static> Answer<T> {
    pub(crate) fn new() -> Self {
        Answer(Arc::new(Shared {
            head: Mutex::new(Head::Awaited),
            cut: Mutex::default(),
            ended: AtomicBool::default(),
            changed: Notify::default(),
        }))
    }

    /// For those who only need to know whether it was given.
    pub(crate) fn watch(&self) -> Arc<dyn Given> {
        self.0.clone()
    }

    /// Gives an answer that is complete.
    pub(crate) fn whole(&self, head: T) {
        self.put(Ok(head));
        self.end();
    }

    /// Gives an answer of which a part is still to come.
    pub(crate) fn streamed(&self, head: T) {
        self.put(Ok(head));
        self.0.changed.notify_waiters();
    }

    /// The call failed: instead of a head or, when the head is out already, in the middle of the body.
    pub(crate) fn fail(&self, failure: Failure) {
        *self.0.cut.lock() = Some(failure.clone());
        self.put(Err(failure));
        self.end();
    }

    /// Whoever calls this tells that something has changed.
    fn put(&self, answer: Result<T, Failure>) {
        let mut head = self.0.head.lock();
        if matches!(*head, Head::Awaited) {
            *head = Head::Given(answer);
        }
    }

    /// Waits for an answer and takes it; only the first to ask gets it. For a guest that is driven by somebody else.
    pub(crate) async fn taken(&self) -> Result<T, Failure> {
        loop {
            let changed = self.0.changed.notified();
            if let Some(answer) = self.take() {
                return answer;
            }
            changed.await;
        }
    }

    /// Takes the answer, if it was given and not yet taken.
    pub(crate) fn take(&self) -> Option<Result<T, Failure>> {
        let mut head = self.0.head.lock();
        if !matches!(*head, Head::Given(_)) {
            return None;
        }
        match std::mem::replace(&mut *head, Head::Taken) {
            Head::Given(answer) => Some(answer),
            Head::Awaited | Head::Taken => None,
        }
    }

    /// Whether an answer was given.
    pub(crate) fn given(&self) -> bool {
        self.0.given()
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
