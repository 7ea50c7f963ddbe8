use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

/// One place between two futures of the same call: whoever fills it waits until it is empty.
pub(crate) struct Pipe<T> {
    place: RefCell<Option<T>>,
    writer: RefCell<Option<Waker>>,
    reader: RefCell<Option<Waker>>,
    reader_gone: Cell<bool>,
    #[cfg(feature = "service")]
    ended: Cell<bool>,
}

impl<T> Default for Pipe<T> {
    fn default() -> Self {
        Pipe {
            place: RefCell::new(None),
            writer: RefCell::new(None),
            reader: RefCell::new(None),
            reader_gone: Cell::new(false),
            #[cfg(feature = "service")]
            ended: Cell::new(false),
        }
    }
}

impl<T> Pipe<T> {
    /// Waits until the place is empty, and fills it. The value comes back when nobody will take it.
    pub(crate) async fn put(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        poll_fn(|cx| {
            if self.reader_gone.get() {
                return Poll::Ready(value.take().map_or(Ok(()), Err));
            }
            let mut place = self.place.borrow_mut();
            if place.is_some() {
                *self.writer.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            *place = value.take();
            self.wake_reader();
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Empties the place.
    pub(crate) fn take(&self) -> Option<T> {
        let taken = self.place.borrow_mut().take();
        if taken.is_some() {
            wake(&self.writer);
        }
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.place.borrow().is_none()
    }

    /// Asks to be woken when the place is filled, or when nobody is left to fill it.
    pub(crate) fn wake_when_filled(&self, waker: &Waker) {
        *self.reader.borrow_mut() = Some(waker.clone());
    }

    /// Nobody will fill it any more.
    pub(crate) fn writer_gone(&self) {
        self.wake_reader();
    }

    /// What is in the place was the last.
    #[cfg(feature = "service")]
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.wake_reader();
    }

    /// Waits until the place is filled, and empties it; `None` after the last.
    #[cfg(feature = "service")]
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.take() {
            Some(value) => Poll::Ready(Some(value)),
            None if self.ended.get() => Poll::Ready(None),
            None => {
                self.wake_when_filled(cx.waker());
                Poll::Pending
            }
        }
    }

    /// Nobody will empty it any more.
    pub(crate) fn reader_gone(&self) {
        self.reader_gone.set(true);
        wake(&self.writer);
    }

    fn wake_reader(&self) {
        wake(&self.reader);
    }
}

fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = waker.borrow_mut().take() {
        waker.wake();
    }
}

/// A future that fills a pipe, as the stream of what it fills it with. Dropping the stream drops the future.
pub(crate) struct Sending<T, E> {
    pipe: Rc<Pipe<T>>,
    sending: Option<Work<E>>,
    /// How it has ended: told after the last value.
    outcome: Result<(), E>,
}

type Work<E> = Pin<Box<dyn Future<Output = Result<(), E>>>>;

impl<T, E> Sending<T, E> {
    pub(crate) fn new(pipe: Rc<Pipe<T>>, sending: impl Future<Output = Result<(), E>> + 'static) -> Self {
        Sending { pipe, sending: Some(Box::pin(sending)), outcome: Ok(()) }
    }
}

// Nothing in it is pinned but what is in the box.
impl<T, E> Unpin for Sending<T, E> {}

impl<T, E> Stream for Sending<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(value) = this.pipe.take() {
                return Poll::Ready(Some(Ok(value)));
            }
            let Some(sending) = &mut this.sending else {
                return Poll::Ready(std::mem::replace(&mut this.outcome, Ok(())).err().map(Err));
            };
            match sending.as_mut().poll(cx) {
                Poll::Ready(outcome) => {
                    this.sending = None;
                    this.outcome = outcome;
                }
                Poll::Pending if this.pipe.is_empty() => {
                    this.pipe.wake_when_filled(cx.waker());
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
    }
}

impl<T, E> Drop for Sending<T, E> {
    fn drop(&mut self) {
        self.pipe.reader_gone();
    }
}
