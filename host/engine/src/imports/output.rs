//! `wasi:cli/stdout` and `stderr`: a guest's lines become log lines of the host.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wharf_call::RequestId;

/// The longest line that is kept, in bytes; the rest of a longer one begins a new line.
const LINE_BYTES_MAX: usize = 4096;

/// Where the lines of one instance go: named by its plugin and by the request that it works on.
pub(crate) struct GuestLog {
    plugin: String,
    generation: u64,
    request: Mutex<Option<RequestId>>,
}

impl GuestLog {
    pub(crate) fn new(plugin: &str, generation: u64) -> Arc<Self> {
        Arc::new(GuestLog { plugin: plugin.to_owned(), generation, request: Mutex::new(None) })
    }

    /// From now on, lines belong to this request; `None` between calls.
    pub(crate) fn set_request(&self, request: Option<RequestId>) {
        *self.request.lock() = request;
    }

    /// The guest trapped.
    pub(crate) fn trap(&self, cause: &str, backtrace: &str) {
        let request = self.request.lock().clone();
        tracing::error!(
            target: "wharf::guest",
            plugin = self.plugin,
            generation = self.generation,
            request_id = request.as_ref().map(RequestId::as_str),
            backtrace,
            "{cause}"
        );
    }

    fn line(&self, stream: &'static str, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let request = self.request.lock().clone();
        tracing::info!(
            target: "wharf::guest",
            plugin = self.plugin,
            generation = self.generation,
            request_id = request.as_ref().map(RequestId::as_str),
            stream,
            "{line}"
        );
    }
}

/// One of the two streams of an instance.
#[derive(Clone)]
pub(crate) struct Output {
    stream: &'static str,
    log: Arc<GuestLog>,
    line: Arc<Mutex<Vec<u8>>>,
}

impl Output {
    pub(crate) fn new(stream: &'static str, log: Arc<GuestLog>) -> Self {
        Output { stream, log, line: Arc::default() }
    }

    fn write(&self, bytes: &[u8]) {
        let mut line = self.line.lock();
        for &byte in bytes {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() >= LINE_BYTES_MAX {
                if !line.is_empty() {
                    self.log.line(self.stream, &line);
                }
                line.clear();
            }
        }
    }
}

/// Never waits: the host's log takes what it can hold and counts what it drops.
impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}
