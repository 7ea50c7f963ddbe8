use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// One place between two futures of the same call: whoever fills it waits until it is empty.
pub(crate) struct Pipe<T> {
    place: RefCell<Option<T>>,
    writer: RefCell<Option<Waker>>,
    reader: RefCell<Option<Waker>>,
    reader_gone: Cell<bool>,
}

impl<T> Default for Pipe<T> {
    fn default() -> Self {
        Pipe {
            place: RefCell::new(None),
            writer: RefCell::new(None),
            reader: RefCell::new(None),
            reader_gone: Cell::new(false),
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
