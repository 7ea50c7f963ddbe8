//! What a socket holds of messages is paid for from the host's memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wharf_call::upgrade::Wire as Connection;
use wharf_call::{Memory, MemoryUse, Reservation};

use crate::body::FREE;

/// The connection of a socket. The library buffers a message until it is complete, and one that it sends until that is
/// written, and keeps its buffers; so what the largest ones took stays paid for as long as the socket is open.
pub(super) struct Held {
    connection: Box<dyn Connection>,
    memory: Arc<dyn Memory>,
    incoming: Paid,
    outgoing: Paid,
    /// What has been read since the last complete message.
    unread: usize,
}

#[derive(Default)]
struct Paid(Option<Reservation>);

impl Paid {
    /// Takes what a message of so many bytes needs, which is small enough to be free or twice as much: the frame, and what is
    /// made of it.
    fn cover(&mut self, message: usize, memory: &Arc<dyn Memory>) -> bool {
        let needed = if message <= FREE { 0 } else { 2 * message as u64 };
        match &mut self.0 {
            Some(paid) => needed <= paid.bytes() || paid.grow(needed - paid.bytes()),
            None if needed == 0 => true,
            none => {
                *none = memory.reserve(MemoryUse::Bodies, needed);
                none.is_some()
            }
        }
    }
}

impl Held {
    pub(super) fn new(connection: Box<dyn Connection>, memory: Arc<dyn Memory>) -> Self {
        Held { connection, memory, incoming: Paid::default(), outgoing: Paid::default(), unread: 0 }
    }

    /// Whether there is memory to send a message of so many bytes.
    pub(super) fn can_send(&mut self, message: usize) -> bool {
        self.outgoing.cover(message, &self.memory)
    }

    /// Reads until the client is done, and keeps nothing.
    pub(super) async fn discard(&mut self) {
        let mut scratch = [0; 4 << 10];
        while matches!(self.connection.read(&mut scratch).await, Ok(1..)) {}
    }

    /// A message is complete.
    pub(super) fn received(&mut self) {
        self.unread = 0;
    }
}

impl AsyncRead for Held {
    /// Fails with [`io::ErrorKind::OutOfMemory`] where the host has none for the message that is coming.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.connection).poll_read(cx, buf))?;
        this.unread += buf.filled().len() - before;
        Poll::Ready(match this.incoming.cover(this.unread, &this.memory) {
            true => Ok(()),
            false => Err(io::ErrorKind::OutOfMemory.into()),
        })
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
