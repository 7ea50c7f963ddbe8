//! A body on its way out of a guest: one chunk at a time, then the end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use parking_lot::Mutex;
use wasmtime::StoreContextMut;
use wasmtime::component::Source;
use wharf_call::{Failure, Kind};

use crate::state::State;

/// Takes a chunk of what a guest writes, of at most `bytes_max`; nothing where there is nothing yet.
pub(crate) fn take_chunk(
    store: StoreContextMut<'_, State>,
    source: Source<'_, u8>,
    bytes_max: usize,
) -> Option<Bytes> {
    let mut source = source.as_direct(store);
    let bytes = source.remaining();
    let count = bytes.len().min(bytes_max);
    if count == 0 {
        return None;
    }
    let chunk = Bytes::copy_from_slice(&bytes[..count]);
    source.mark_read(count);
    Some(chunk)
}

/// Makes the two ends of a body. It holds one chunk: the writer waits until the reader has taken it.
pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    (PipeWriter { shared: shared.clone() }, PipeReader { shared })
}

#[derive(Default)]
struct Shared {
    chunk: Option<Bytes>,
    /// No chunk follows.
    bytes_done: bool,
    /// How the body ended: its trailers, or what cut it short.
    end: Option<Result<HeaderMap, Failure>>,
    end_done: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Shared {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// What became of an offer of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is room for a chunk.
    Free,
    /// Nobody will read any more.
    Gone,
}

/// The guest's side.
pub(crate) struct PipeWriter {
    shared: Arc<Mutex<Shared>>,
}

impl PipeWriter {
    /// The same pipe, for the part that delivers the trailers.
    pub(crate) fn end(&self) -> PipeEnd {
        PipeEnd { shared: self.shared.clone() }
    }

    /// Waits until a chunk may be put.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Room> {
        let mut shared = self.shared.lock();
        if shared.reader_gone {
            Poll::Ready(Room::Gone)
        } else if shared.chunk.is_none() {
            Poll::Ready(Room::Free)
        } else {
            shared.writer = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    /// Puts a chunk where `poll_room` has found room.
    pub(crate) fn put(&self, chunk: Bytes) {
        let mut shared = self.shared.lock();
        shared.chunk = Some(chunk);
        shared.wake_reader();
    }
}

/// No chunk follows once the writer is gone.
impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.bytes_done = true;
        shared.wake_reader();
    }
}

/// Says how the body ended. Dropping it unsaid means that the guest never did: the body is cut short.
pub(crate) struct PipeEnd {
    shared: Arc<Mutex<Shared>>,
}

impl PipeEnd {
    pub(crate) fn finish(&self, end: Result<HeaderMap, Failure>) {
        let mut shared = self.shared.lock();
        if shared.end.is_none() && !shared.end_done {
            shared.end = Some(end);
        }
        shared.wake_reader();
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.finish(Err(Failure::new(Kind::InvalidResponse, "the plugin cut its response short")
            .with_private("the future of the body's trailers was dropped without a value")));
    }
}

/// The client's side.
pub(crate) struct PipeReader {
    shared: Arc<Mutex<Shared>>,
}

impl http_body::Body for PipeReader {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut shared = self.shared.lock();
        if let Some(chunk) = shared.chunk.take() {
            if let Some(waker) = shared.writer.take() {
                waker.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if shared.end_done {
            return Poll::Ready(None);
        }
        // A failure needs no end of the bytes: the guest may keep the stream open for ever.
        let cut = matches!(shared.end, Some(Err(_)));
        if (shared.bytes_done || cut)
            && let Some(end) = shared.end.take()
        {
            shared.end_done = true;
            return Poll::Ready(match end {
                Ok(trailers) if trailers.is_empty() => None,
                Ok(trailers) => Some(Ok(Frame::trailers(trailers))),
                Err(failure) => Some(Err(failure)),
            });
        }
        shared.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.reader_gone = true;
        shared.chunk = None;
        if let Some(waker) = shared.writer.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_writer_waits_until_its_chunk_is_taken() {
        let (writer, mut reader) = pipe();
        assert_eq!(poll_fn(|cx| writer.poll_room(cx)).await, Room::Free);
        writer.put(Bytes::from_static(b"one"));
        assert!(writer.poll_room(&mut Context::from_waker(Waker::noop())).is_pending());
        let frame = reader.frame().await.expect("a frame").expect("no failure");
        assert_eq!(frame.into_data().ok(), Some(Bytes::from_static(b"one")));
        assert_eq!(poll_fn(|cx| writer.poll_room(cx)).await, Room::Free);
        drop(reader);
        assert_eq!(poll_fn(|cx| writer.poll_room(cx)).await, Room::Gone);
    }

    #[tokio::test]
    async fn a_body_ends_well_only_when_its_end_was_said() {
        let (writer, reader) = pipe();
        writer.end().finish(Ok(HeaderMap::new()));
        drop(writer);
        assert!(reader.collect().await.is_ok());

        let (writer, reader) = pipe();
        let end = writer.end();
        drop(writer);
        drop(end);
        assert_eq!(reader.collect().await.expect_err("cut").kind(), Kind::InvalidResponse);
    }

    #[tokio::test]
    async fn trailers_follow_the_last_chunk() {
        let (writer, reader) = pipe();
        writer.put(Bytes::from_static(b"x"));
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("t"))]);
        writer.end().finish(Ok(trailers.clone()));
        drop(writer);
        let collected = reader.collect().await.expect("complete");
        assert_eq!(collected.trailers(), Some(&trailers));
    }
}
