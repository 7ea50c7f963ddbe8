//! Items on their way from a guest to whoever reads them: made as there is room, and then the end.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use wharf_call::{Failure, Reservation};

use crate::answer::Answer;

/// Makes the two ends of a stream, which is all that is still to come of `answer`.
pub(crate) fn pipe<T, R: Send + 'static>(answer: &Answer<R>) -> (Writer<T, R>, Reader<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        items: VecDeque::new(),
        end: None,
        wanted: false,
        reader_gone: false,
        busy: Arc::default(),
        reader: None,
        writer: None,
    }));
    (Writer { shared: shared.clone(), answer: answer.clone() }, Reader { shared })
}

struct Shared<T> {
    items: VecDeque<Item<T>>,
    /// How it ended: well, or with what cut it short.
    end: Option<Result<(), Failure>>,
    /// Somebody waits for an item that nobody makes yet.
    wanted: bool,
    reader_gone: bool,
    /// Functions of the guest that work on the stream, or its tasks.
    busy: Arc<AtomicU32>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Item<T> {
    value: T,
    _held: Option<Reservation>,
}

/// What is asked of the writer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The next item.
    Item,
    /// Nothing any more: nobody reads on.
    Nothing,
}

/// The guest's side. Dropping it is the end of the stream.
pub(crate) struct Writer<T, R: Send + 'static> {
    shared: Arc<Mutex<Shared<T>>>,
    answer: Answer<R>,
}

impl<T, R: Send + 'static> Writer<T, R> {
    /// Waits until the reader asks for an item.
    pub(crate) async fn asked(&self) -> Asked {
        poll_fn(|cx| {
            let mut shared = self.shared.lock();
            if shared.reader_gone {
                Poll::Ready(Asked::Nothing)
            } else if std::mem::take(&mut shared.wanted) {
                Poll::Ready(Asked::Item)
            } else {
                shared.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// Waits until there is room for items that nobody has asked for: when all others were taken.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Asked> {
        let mut shared = self.shared.lock();
        if shared.reader_gone {
            Poll::Ready(Asked::Nothing)
        } else if shared.items.is_empty() {
            Poll::Ready(Asked::Item)
        } else {
            shared.writer = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    /// Gives an item.
    pub(crate) fn put(&self, value: T, held: Option<Reservation>) {
        let mut shared = self.shared.lock();
        shared.items.push_back(Item { value, _held: held });
        shared.wake_reader();
    }

    /// From here until the value is dropped, a function of the guest works on the stream: who stops reading
    /// meanwhile ends its instance.
    pub(crate) fn busy(&self) -> Busy {
        let busy = self.shared.lock().busy.clone();
        busy.fetch_add(1, Relaxed);
        Busy(busy)
    }

    /// Says how the stream ended; the first to say so is right.
    pub(crate) fn finish(&self, end: Result<(), Failure>) {
        let mut shared = self.shared.lock();
        if shared.end.is_none() {
            shared.end = Some(end);
        }
        shared.wake_reader();
        drop(shared);
        self.answer.end();
    }
}

impl<T, R: Send + 'static> Drop for Writer<T, R> {
    fn drop(&mut self) {
        self.finish(Ok(()));
    }
}

impl<T> Shared<T> {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// See [`Writer::busy`].
pub(crate) struct Busy(Arc<AtomicU32>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The other side.
pub(crate) struct Reader<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

impl<T> Reader<T> {
    /// The next item; what the function gave as the end of the stream.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        let mut shared = self.shared.lock();
        if let Some(item) = shared.items.pop_front() {
            if shared.items.is_empty()
                && let Some(waker) = shared.writer.take()
            {
                waker.wake();
            }
            return Poll::Ready(Some(Ok(item.value)));
        }
        if let Some(end) = &mut shared.end {
            return Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err));
        }
        shared.wanted = true;
        shared.reader = Some(cx.waker().clone());
        if let Some(waker) = shared.writer.take() {
            waker.wake();
        }
        Poll::Pending
    }

    /// Nobody reads on. True when the guest is not at work on the stream.
    pub(crate) fn leave(&self) -> bool {
        let mut shared = self.shared.lock();
        shared.reader_gone = true;
        shared.items.clear();
        if let Some(waker) = shared.writer.take() {
            waker.wake();
        }
        shared.busy.load(Relaxed) == 0
    }
}
