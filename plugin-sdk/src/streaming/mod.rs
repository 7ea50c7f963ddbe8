//! Items that are asynchronous on both sides: what callers stream into a plugin, and what it streams to them.

pub(crate) mod wire;

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::pipe::{Pipe, Sending};

/// What the caller streams into a function, in its order.
///
/// It ends when the caller has sent everything. When the caller goes away before that, the function is not resumed:
/// what comes out of it is what was meant to.
pub struct Streaming<T>(Pin<Box<dyn Stream<Item = T>>>);

impl<T> Streaming<T> {
    /// The items of a stream, as a test sends them.
    pub fn new(items: impl Stream<Item = T> + 'static) -> Self {
        Streaming(Box::pin(items))
    }

    /// Items that are all there, as a test sends them.
    pub fn of(items: impl IntoIterator<Item = T, IntoIter: 'static>) -> Self {
        Streaming::new(Ready(items.into_iter()))
    }

    /// Items that a closure sends, as those of [`Items::new`], and that cannot fail.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// use wharf::service::{Stream, Streaming};
    ///
    /// async fn numbered(mut lines: Streaming<String>) -> impl Stream<Item = String> {
    ///     Streaming::from_fn(async move |numbered| {
    ///         let mut number = 0;
    ///         while let Some(line) = lines.next().await {
    ///             number += 1;
    ///             numbered.send(format!("{number}: {line}")).await;
    ///         }
    ///     })
    /// }
    /// # wharf::testing::block_on(async {
    /// # let lines = Streaming::of(["a".to_owned()]);
    /// # let mut numbered = Streaming::new(numbered(lines).await);
    /// # assert_eq!(numbered.next().await.as_deref(), Some("1: a"));
    /// # assert_eq!(numbered.next().await, None);
    /// # });
    /// ```
    pub fn from_fn(send: impl AsyncFnOnce(Sender<T>) + 'static) -> Self
    where
        T: 'static,
    {
        Streaming::new(Unfailing(Items::new(async move |sender| {
            send(sender).await;
            Ok::<_, Infallible>(())
        })))
    }

    /// Waits for the next item; `None` after the last.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl<T> Stream for Streaming<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streaming")
    }
}

/// Waits for the next item of a stream that is pinned, as by [`pin!`](std::pin::pin); `None` after the last.
pub async fn next<S: Stream + Unpin + ?Sized>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// An iterator never waits.
struct Ready<I>(I);

impl<I> Unpin for Ready<I> {}

impl<I: Iterator> Stream for Ready<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

/// A stream whose errors there are none of.
struct Unfailing<T>(Items<T, Infallible>);

impl<T: 'static> Stream for Unfailing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll_next(cx).map(|item| item.map(|Ok(item)| item))
    }
}

/// A stream that a closure sends, item by item: what a function that streams may return.
///
/// The closure runs while the caller takes items, never further ahead than one. An error ends the stream, and is
/// what the caller gets. When the caller wants no more, the closure is not resumed.
///
/// ```
/// # use wharf_sdk as wharf;
/// use std::time::Duration;
/// use wharf::{service::{Items, Stream}, time};
///
/// fn countdown(from: u32) -> impl Stream<Item = Result<u32, String>> {
///     Items::new(async move |items| {
///         for n in (0..from).rev() {
///             items.send(n).await;
///             time::sleep(Duration::from_secs(1)).await;
///         }
///         Ok(())
///     })
/// }
/// # wharf::testing::block_on(async {
/// # let mut numbers = wharf::service::Streaming::new(countdown(2));
/// # assert_eq!(numbers.next().await, Some(Ok(1)));
/// # assert_eq!(numbers.next().await, Some(Ok(0)));
/// # assert_eq!(numbers.next().await, None);
/// # });
/// ```
pub struct Items<T, E>(Sending<T, E>);

impl<T: 'static, E: 'static> Items<T, E> {
    /// The items that `send` sends.
    pub fn new(send: impl AsyncFnOnce(Sender<T>) -> Result<(), E> + 'static) -> Self {
        let pipe = Rc::new(Pipe::default());
        let sender = Sender { pipe: pipe.clone() };
        Items(Sending::new(pipe, async move { send(sender).await }))
    }
}

impl<T, E> Stream for Items<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

impl<T, E> fmt::Debug for Items<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}

/// Where the closure of [`Items::new`] puts its items.
pub struct Sender<T> {
    pipe: Rc<Pipe<T>>,
}

impl<T> Sender<T> {
    /// Sends an item, and waits until the one before it was taken.
    pub async fn send(&self, item: T) {
        // It is only refused once the stream is gone, and the closure with it.
        let _ = self.pipe.put(item).await;
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// The reading end of a pipe.
#[cfg(feature = "service")]
pub(crate) struct Taking<T>(pub(crate) Rc<Pipe<T>>);

#[cfg(feature = "service")]
impl<T> Stream for Taking<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_take(cx)
    }
}

#[cfg(feature = "service")]
impl<T> Drop for Taking<T> {
    fn drop(&mut self) {
        self.0.reader_gone();
    }
}
