use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::Conn;
use crate::head_scan::HeadScan;

/// What is read and thrown away at most after our side was shut down.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// The socket below hyper. It hands over the bytes as they are, and tells the [`Conn`] what they say about
/// the heads of HTTP/1 and about the pace of the client.
pub(crate) struct Io {
    stream: TcpStream,
    /// Read while finding out which protocol it is, and not yet handed over.
    sniffed: Sniffed,
    /// `None` for HTTP/2, whose frames leave nothing to find.
    scan: Option<HeadScan>,
    conn: Arc<Conn>,
    shut: bool,
    lingered: usize,
}

/// The first bytes of a connection.
pub(crate) struct Sniffed {
    pub(crate) bytes: [u8; 24],
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

impl Io {
    pub(crate) fn new(stream: TcpStream, sniffed: Sniffed, scan: Option<HeadScan>, conn: Arc<Conn>) -> Self {
        Io { stream, sniffed, scan, conn, shut: false, lingered: 0 }
    }

    /// Closing a socket with unread bytes resets it, and the reset can overtake the response. So, where the
    /// client is still sending what was refused, read on for a moment (RFC 9112, section 9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.conn.pulse.lingering();
        let mut scratch = [0; 4096];
        while self.lingered < LINGER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.lingered += buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }

    fn wrote<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.conn.pulse.write_waits(polled.is_pending());
        polled
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let sniffed = &this.sniffed.bytes[this.sniffed.begin..this.sniffed.end];
        if sniffed.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let part = sniffed.len().min(buf.remaining());
            buf.put_slice(&sniffed[..part]);
            this.sniffed.begin += part;
        }
        if this.scan.is_some() && this.conn.is_upgraded() {
            this.scan = None;
        }
        if let Some(scan) = &mut this.scan {
            if let Some((head, flaw)) = scan.feed(&buf.filled()[before..]) {
                this.conn.head_has_flaw(head, flaw);
            }
            this.conn.pulse.within_head(scan.within_head());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.shut = true;
        }
        if self.scan.as_ref().is_some_and(|scan| !scan.between_requests()) {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
