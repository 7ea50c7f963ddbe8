//! `stream<T>` of what the component model carries by itself.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

#[cfg(feature = "service")]
use bytes::Bytes;
use futures_core::Stream;
#[cfg(feature = "service")]
use wit_bindgen::StreamResult;
use wit_bindgen::{StreamReader, StreamWriter};

use super::Streaming;

/// How much is read of a `stream<u8>` at once, at most.
#[cfg(feature = "service")]
const CHUNK: usize = 64 * 1024;

/// What comes out of a `stream<T>`.
pub fn read<T: 'static>(reader: StreamReader<T>) -> Streaming<T> {
    Streaming::new(Reading::new(reader, async |mut reader: StreamReader<T>| {
        let item = reader.next().await;
        (reader, item)
    }))
}

/// What comes out of a `stream<u8>`, in the pieces that it comes in.
#[cfg(feature = "service")]
pub fn read_bytes(reader: StreamReader<u8>) -> Streaming<Bytes> {
    Streaming::new(Reading::new(reader, async |mut reader: StreamReader<u8>| {
        let (status, bytes) = reader.read(Vec::with_capacity(CHUNK)).await;
        let ended = bytes.is_empty() && status == StreamResult::Dropped;
        (reader, (!ended).then(|| Bytes::from(bytes)))
    }))
}

/// Puts everything of `items` into a `stream<T>`, after the call has returned, until its reader goes away.
pub fn write<T: 'static>(items: impl Stream<Item = T> + 'static, mut writer: StreamWriter<T>) {
    crate::background::spawn(async move {
        let mut items = pin!(items);
        while let Some(item) = poll_fn(|cx| items.as_mut().poll_next(cx)).await {
            if writer.write_one(item).await.is_some() {
                return;
            }
        }
    });
}

/// As [`write()`], of pieces of bytes.
#[cfg(feature = "service")]
pub fn write_bytes(pieces: impl Stream<Item = Bytes> + 'static, mut writer: StreamWriter<u8>) {
    crate::background::spawn(async move {
        let mut pieces = pin!(pieces);
        while let Some(bytes) = poll_fn(|cx| pieces.as_mut().poll_next(cx)).await {
            if !writer.write_all(bytes.into()).await.is_empty() {
                return;
            }
        }
    });
}

type Step<R, T> = Pin<Box<dyn Future<Output = (R, Option<T>)>>>;

/// A reader that is read again and again: each time it goes into a future, and comes out of it.
struct Reading<R, T> {
    step: Option<Step<R, T>>,
    again: Box<dyn Fn(R) -> Step<R, T>>,
}

impl<R: 'static, T: 'static> Reading<R, T> {
    fn new<F>(reader: R, read: F) -> Self
    where
        F: AsyncFn(R) -> (R, Option<T>) + Copy + 'static,
    {
        let again = move |reader| -> Step<R, T> { Box::pin(async move { read(reader).await }) };
        Reading { step: Some(again(reader)), again: Box::new(again) }
    }
}

impl<R: 'static, T: 'static> Stream for Reading<R, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(step) = &mut self.step else { return Poll::Ready(None) };
        let Poll::Ready((reader, item)) = step.as_mut().poll(cx) else { return Poll::Pending };
        self.step = item.is_some().then(|| (self.again)(reader));
        Poll::Ready(item)
    }
}
