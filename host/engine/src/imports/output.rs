//! `wasi:cli/stdout` and `stderr`: a guest's lines become log lines of the host.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wharf_call::units::show_size;
use wharf_call::{LimitAction, LimitGuard, LimitKey, RequestId};

use crate::enforcer::Enforcer;
use crate::limits::Limits;
use crate::log_gate::{Dropped, Verdict};
use crate::metrics;

/// What a trap's line in the log may have of its cause and of its backtrace.
const TRAP_CAUSE_BYTES_MAX: usize = 1 << 10;
const BACKTRACE_BYTES_MAX: usize = 16 << 10;

/// How often it is said at most that lines were dropped.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// Where the lines of one instance go: named by its plugin and by the request that it works on.
pub(crate) struct GuestLog {
    enforcer: Arc<Enforcer>,
    request: Mutex<Option<RequestId>>,
}

impl GuestLog {
    pub(crate) fn new(enforcer: Arc<Enforcer>) -> Arc<Self> {
        Arc::new(GuestLog { enforcer, request: Mutex::new(None) })
    }

    /// From now on, lines belong to this request; `None` between calls.
    pub(crate) fn set_request(&self, request: Option<RequestId>) {
        *self.request.lock() = request;
    }

    /// The request that the guest works on.
    pub(crate) fn request(&self) -> Option<RequestId> {
        self.request.lock().clone()
    }

    /// The generation that the guest is of.
    pub(crate) fn generation(&self) -> u64 {
        self.enforcer.generation
    }

    /// The guest trapped. The names in its backtrace are as long as it likes.
    pub(crate) fn trap(&self, cause: &str, backtrace: &str) {
        let cause = &cause[..cause.floor_char_boundary(TRAP_CAUSE_BYTES_MAX)];
        let backtrace = &backtrace[..backtrace.floor_char_boundary(BACKTRACE_BYTES_MAX)];
        let request = self.request.lock().clone();
        tracing::error!(
            target: "wharf::guest",
            plugin = self.enforcer.plugin.name,
            generation = self.enforcer.generation,
            request_id = request.as_ref().map(RequestId::as_str),
            backtrace = without_hashes(backtrace),
            "{cause}"
        );
    }

    /// The host refused something that the guest asked for. `kind` is of a closed list; lines of one kind
    /// share one line a second, and all are counted.
    pub(crate) fn refused(&self, kind: &'static str, why: impl FnOnce() -> String) {
        metrics::refused(&self.enforcer.plugin.name, kind);
        let Some(unsaid) = self.enforcer.berth.refusals.say(kind, Instant::now()) else { return };
        let request = self.request.lock().clone();
        let why = why();
        tracing::warn!(
            target: "wharf::guest",
            plugin = self.enforcer.plugin.name,
            generation = self.enforcer.generation,
            request_id = request.as_ref().map(RequestId::as_str),
            unsaid = (unsaid > 0).then_some(unsaid),
            "{why}"
        );
    }

    fn line(&self, stream: &'static str, line: &[u8]) {
        if !tracing::enabled!(target: "wharf::guest", tracing::Level::INFO) || !self.admit(line.len()) {
            return;
        }
        let line = String::from_utf8_lossy(line);
        let request = self.request.lock().clone();
        tracing::info!(
            target: "wharf::guest",
            plugin = self.enforcer.plugin.name,
            generation = self.enforcer.generation,
            request_id = request.as_ref().map(RequestId::as_str),
            stream,
            "{line}"
        );
    }

    /// A line that the guest gave a level and a context; empty contexts are left out.
    pub(crate) fn message(&self, level: tracing::Level, context: &str, message: &str) {
        macro_rules! write {
            ($level:expr) => {{
                if !tracing::enabled!(target: "wharf::guest", $level) {
                    return;
                }
                let max = self.enforcer.allowed_usize(LimitKey::LogLine);
                let (context, _) = split(context, max);
                // The rest of a longer line is the next line.
                let _ = self.enforcer.check(LimitKey::LogLine, message.len() as u64);
                let request = self.request.lock().clone();
                let mut rest = Some(message);
                while let Some((line, more)) = rest.map(|rest| split(rest, max)) {
                    rest = more;
                    if self.admit(context.len() + line.len()) {
                        tracing::event!(
                            target: "wharf::guest",
                            $level,
                            plugin = self.enforcer.plugin.name,
                            generation = self.enforcer.generation,
                            request_id = request.as_ref().map(RequestId::as_str),
                            context = (!context.is_empty()).then_some(context),
                            "{line}"
                        );
                    }
                }
            }};
        }
        match level {
            tracing::Level::TRACE => write!(tracing::Level::TRACE),
            tracing::Level::DEBUG => write!(tracing::Level::DEBUG),
            tracing::Level::INFO => write!(tracing::Level::INFO),
            tracing::Level::WARN => write!(tracing::Level::WARN),
            tracing::Level::ERROR => write!(tracing::Level::ERROR),
        }
    }

    /// Whether the plugin's limits let a line through.
    fn admit(&self, bytes: usize) -> bool {
        let (enforcer, limits) = (&self.enforcer, &self.enforcer.plugin.limits);
        let (key, report) = match enforcer.berth.log.admit(limits, bytes, Instant::now()) {
            Verdict::Pass => return true,
            Verdict::Observe(key) => return enforcer.used_up(key).is_ok(),
            Verdict::Drop { key, report } => (key, report),
        };
        if report {
            // It ends in a second, and the next to be dropped finds nobody who reports.
            let enforcer = enforcer.clone();
            tokio::spawn(async move {
                tokio::time::sleep(REPORT_PERIOD).await;
                say_dropped(&enforcer);
            });
        }
        enforcer.count(key, LimitAction::Refused);
        metrics::log_line_dropped(&enforcer.plugin.name);
        false
    }
}

/// Says what was dropped, and what to write.
fn say_dropped(enforcer: &Enforcer) {
    let Dropped { by_lines, by_bytes } = enforcer.berth.log.take_dropped();
    let name = &enforcer.plugin.name;
    let Limits { log_lines, log_bytes, .. } = enforcer.plugin.limits;
    let (more_lines, more_bytes) = (u64::from(log_lines).max(1) * 2, show_size(log_bytes * 2));
    let limits = [
        (by_lines > 0).then(|| {
            (format!("limits.log_lines is {log_lines} a second"), format!("log_lines = {more_lines}"))
        }),
        (by_bytes > 0).then(|| {
            (format!("limits.log_bytes is {log_bytes} a second"), format!("log_bytes = {more_bytes:?}"))
        }),
    ];
    let (limits, lines): (Vec<_>, Vec<_>) = limits.into_iter().flatten().unzip();
    tracing::warn!(
        target: "wharf::guest",
        plugin = name,
        "{} lines dropped; {}. To allow more, write in wharf.toml:\n  [plugin.{name}.limits]\n  {}",
        by_lines + by_bytes,
        limits.join(", "),
        lines.join("\n  ")
    );
}

/// Names as their author wrote them: a compiler adds `::h` with 16 hex digits, or `[` up to 16 of them `]`, to tell
/// apart what is called alike.
fn without_hashes(names: &str) -> String {
    fn hash(rest: &str) -> Option<usize> {
        let (skip, digits, end) = match (rest.strip_prefix("::h"), rest.strip_prefix('[')) {
            (Some(digits), _) => (3, digits, ""),
            (None, Some(digits)) => (1, digits, "]"),
            (None, None) => return None,
        };
        let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        let after = &digits[length..];
        let is_hash = match end {
            "" => length == 16 && !after.starts_with(|char: char| char.is_alphanumeric() || char == '_'),
            end => (8..=16).contains(&length) && after.starts_with(end),
        };
        is_hash.then_some(skip + length + end.len())
    }
    let mut kept = String::with_capacity(names.len());
    let mut rest = names;
    while let Some(at) = rest.find([':', '[']) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        match hash(from) {
            Some(length) => rest = &from[length..],
            None => {
                kept.push_str(&from[..1]);
                rest = &from[1..];
            }
        }
    }
    kept + rest
}

/// The beginning of `text` with at most `max` bytes, which are at least 64, and the rest if there is one.
fn split(text: &str, max: usize) -> (&str, Option<&str>) {
    let (line, rest) = text.split_at(text.floor_char_boundary(max));
    (line, (!rest.is_empty()).then_some(rest))
}

/// How much of `line` is to be written when the rest is the next line: all of it, without a character at its
/// end that is not complete.
fn whole_characters(line: &[u8]) -> usize {
    match std::str::from_utf8(line) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => line.len(),
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

    /// Writes whole lines to the log and keeps the rest.
    fn take(&self, mut bytes: &[u8]) {
        let enforcer = &self.log.enforcer;
        let max = enforcer.allowed_usize(LimitKey::LogLine);
        let mut line = self.line.lock();
        while !bytes.is_empty() {
            let room = max.saturating_sub(line.len()).max(1);
            let part = &bytes[..bytes.len().min(room)];
            let end = part.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&part[..end.unwrap_or(part.len())]);
            bytes = &bytes[end.map_or(part.len(), |end| end + 1)..];
            let complete = match end {
                Some(_) => line.len(),
                None if line.len() >= max => whole_characters(&line),
                None => break,
            };
            if end.is_none() {
                // The rest of a longer line is the next line.
                let _ = enforcer.exceeded(LimitKey::LogLine, line.len() as u64 + 1);
            } else {
                let _ = enforcer.check(LimitKey::LogLine, line.len() as u64);
            }
            if complete > 0 {
                self.log.line(self.stream, &line[..complete]);
            }
            line.drain(..complete);
        }
    }
}

/// Never waits: the host's log takes what it can hold and counts what it drops.
impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The same for WASI 0.2. Without it, wasmtime would write in a task of its own, whose time nobody bills.
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.log.enforcer.plugin.limits.chunk_bytes)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
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

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_the_compiler_added() {
        for (name, expected) in [
            ("rogue::deep::spin::h1c69800dc0f58dae", "rogue::deep::spin"),
            ("std[d123b7a1a2ed1472]::process::abort\n 1: x", "std::process::abort\n 1: x"),
            ("<a[0123456789abcdef]::B as c::D>::e::h0123456789abcdef at f:1", "<a::B as c::D>::e at f:1"),
            ("a::h0123456789abcdef0", "a::h0123456789abcdef0"),
            ("a::hello::[u8; 4]::[async-lift]b", "a::hello::[u8; 4]::[async-lift]b"),
            ("ends::h12", "ends::h12"),
            ("::é[", "::é["),
        ] {
            assert_eq!(without_hashes(name), expected);
        }
    }
}
