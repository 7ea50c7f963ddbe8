//! What the resources do that WIT has for streams of records: see "Streams" in the module's documentation.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::pipe::Pipe;
use crate::streaming::{Streaming, Taking};

/// A resource with `next`: the plugin streams.
pub struct Rows<T, E>(RefCell<Option<Source<T, E>>>);

type Source<T, E> = Pin<Box<dyn Stream<Item = Result<T, E>>>>;

impl<T, E> Rows<T, E> {
    /// The items of `stream`, which is polled while somebody asks for the next one.
    pub fn new(stream: impl Stream<Item = Result<T, E>> + 'static) -> Self {
        Rows(RefCell::new(Some(Box::pin(stream))))
    }

    /// The next item; `None` after the last, and after an error.
    ///
    /// # Errors
    /// The stream's own.
    pub async fn next(&self) -> Result<Option<T>, E> {
        poll_fn(|cx| {
            let mut place = self.0.borrow_mut();
            let Some(stream) = place.as_mut() else { return Poll::Ready(Ok(None)) };
            let Poll::Ready(item) = stream.as_mut().poll_next(cx) else { return Poll::Pending };
            if !matches!(item, Some(Ok(_))) {
                *place = None;
            }
            Poll::Ready(item.transpose())
        })
        .await
    }
}

/// A resource with `push` and `finish`: the caller streams, and gets a value in the end.
pub struct Upload<T, S, E> {
    items: Rc<Pipe<T>>,
    work: Rc<Work<Result<S, E>>>,
}

impl<T: 'static, S: 'static, E: 'static> Upload<T, S, E> {
    /// Runs `work` beside the calls that push what it takes.
    pub fn new(work: impl AsyncFnOnce(Streaming<T>) -> Result<S, E> + 'static) -> Self {
        let items = Rc::new(Pipe::default());
        let taking = Streaming::new(Taking(items.clone()));
        Upload { items, work: Work::start(async move { work(taking).await }) }
    }

    /// Hands over an item, and waits until the one before it was taken. Once nobody takes any more, an item is
    /// dropped.
    ///
    /// # Errors
    /// The one that the work has ended with.
    pub async fn push(&self, item: T) -> Result<(), E> {
        if self.items.put(item).await.is_err() {
            self.work.failed().map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// Says that there are no more items, and waits for what comes of them.
    ///
    /// # Errors
    /// The one that the work has ended with.
    ///
    /// # Panics
    /// When it was called before, or after `push` has failed: there is nothing left to return.
    pub async fn finish(&self) -> Result<S, E> {
        self.items.end();
        poll_fn(|cx| self.work.poll(cx)).await.expect("a stream is finished once, and not after an error")
    }
}

impl<T, S, E> Drop for Upload<T, S, E> {
    fn drop(&mut self) {
        self.work.abandon();
    }
}

/// A resource with `push`, `finish` and `next`: both stream.
pub struct Chat<T, R, E> {
    items: Rc<Pipe<T>>,
    replies: Rc<Pipe<R>>,
    work: Rc<Work<Result<(), E>>>,
}

impl<T: 'static, R: 'static, E: 'static> Chat<T, R, E> {
    /// Runs `work`, and then the stream that it returns, beside the calls that push and take.
    pub fn new<S: Stream<Item = Result<R, E>>>(
        work: impl AsyncFnOnce(Streaming<T>) -> Result<S, E> + 'static,
    ) -> Self {
        let items = Rc::new(Pipe::default());
        let replies = Rc::new(Pipe::default());
        let taking = Streaming::new(Taking(items.clone()));
        let pipe = replies.clone();
        let work = Work::start(async move {
            let mut stream = Box::pin(work(taking).await?);
            while let Some(reply) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                // The reader goes only with the resource, and then this is not resumed.
                let _ = pipe.put(reply?).await;
            }
            pipe.end();
            Ok(())
        });
        Chat { items, replies, work }
    }

    /// Hands over an item, and waits until the one before it was taken. Once nobody takes any more, an item is
    /// dropped: `next` says why.
    ///
    /// # Errors
    /// None; the contract has one.
    pub async fn push(&self, item: T) -> Result<(), E> {
        let _ = self.items.put(item).await;
        Ok(())
    }

    /// Says that there are no more items.
    ///
    /// # Errors
    /// None; the contract has one.
    pub async fn finish(&self) -> Result<(), E> {
        self.items.end();
        Ok(())
    }

    /// The next reply; `None` after the last, and after an error.
    ///
    /// # Errors
    /// The one that the work or its stream has ended with.
    pub async fn next(&self) -> Result<Option<R>, E> {
        poll_fn(|cx| {
            if let Poll::Ready(reply) = self.replies.poll_take(cx) {
                return Poll::Ready(Ok(reply));
            }
            match self.work.poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(outcome.unwrap_or(Ok(())).map(|()| None)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl<T, R, E> Drop for Chat<T, R, E> {
    fn drop(&mut self) {
        self.work.abandon();
    }
}

/// Work that goes on between the calls of a resource's methods, in the task of the call that made the resource.
struct Work<T> {
    outcome: RefCell<Option<T>>,
    done: Cell<bool>,
    abandoned: Cell<bool>,
    worker: RefCell<Option<Waker>>,
    waiting: RefCell<Option<Waker>>,
}

impl<T: 'static> Work<T> {
    fn start(work: impl Future<Output = T> + 'static) -> Rc<Self> {
        let this = Rc::new(Work {
            outcome: RefCell::new(None),
            done: Cell::new(false),
            abandoned: Cell::new(false),
            worker: RefCell::new(None),
            waiting: RefCell::new(None),
        });
        let shared = this.clone();
        let mut work = Box::pin(work);
        crate::background::spawn(async move {
            let outcome = poll_fn(|cx| {
                if shared.abandoned.get() {
                    return Poll::Ready(None);
                }
                *shared.worker.borrow_mut() = Some(cx.waker().clone());
                work.as_mut().poll(cx).map(Some)
            })
            .await;
            drop(work);
            *shared.outcome.borrow_mut() = outcome;
            shared.done.set(true);
            wake(&shared.waiting);
        });
        this
    }

    /// What it has ended with, the first time; `None` after that.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.done.get() {
            return Poll::Ready(self.outcome.take());
        }
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<S, E> Work<Result<S, E>> {
    /// The error that it has ended with, the first time.
    fn failed(&self) -> Option<E> {
        match self.outcome.take() {
            Some(Err(error)) => Some(error),
            other => {
                *self.outcome.borrow_mut() = other;
                None
            }
        }
    }
}

impl<T> Work<T> {
    /// Nobody waits for it any more: it is dropped, in its own task.
    fn abandon(&self) {
        self.abandoned.set(true);
        wake(&self.worker);
    }
}

fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

macro_rules! opaque {
    ($($name:ident<$($of:ident),*>)*) => {$(
        impl<$($of),*> fmt::Debug for $name<$($of),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

opaque! { Rows<T, E> Upload<T, S, E> Chat<T, R, E> }
