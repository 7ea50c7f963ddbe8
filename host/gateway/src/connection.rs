//! One client: which protocol it speaks, the limits of that protocol, and the timeouts around its requests.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};
use wharf_call::{AccessLog, Memory};

use crate::chain;
use crate::config::Config;
use crate::head_scan::{Flaw, HeadScan};
use crate::io::{Io, Sniffed};
use crate::metrics::GatewayMetrics;
use crate::pulse::{Due, Pulse};
use crate::router::Routes;
use crate::streams::{Streams, WithRequests};
use crate::upgrade::{self, Handover};

/// What all connections share.
pub(crate) struct Front {
    pub(crate) config: Config,
    pub(crate) routes: Routes,
    pub(crate) memory: Arc<dyn Memory>,
    pub(crate) access: Option<Arc<dyn AccessLog>>,
    pub(crate) metrics: GatewayMetrics,
}

/// What the requests of one connection share.
pub(crate) struct Conn {
    pub(crate) front: Arc<Front>,
    /// The client's address, as log lines have it.
    pub(crate) peer: Arc<str>,
    pub(crate) pulse: Pulse,
    /// HTTP/1 heads that hyper has handed over, in the order in which they were scanned.
    heads: AtomicU64,
    /// The number of the head that has a flaw, shifted by a byte, and which; 0 for none.
    flaw: AtomicU64,
    /// Whether what comes in is HTTP no longer.
    upgraded: AtomicBool,
    handover: Mutex<Option<Handover>>,
}

impl Conn {
    fn new(front: Arc<Front>, peer: IpAddr) -> Self {
        front.metrics.connections.increment(1);
        Conn {
            front,
            peer: peer.to_string().into(),
            pulse: Pulse::new(),
            heads: AtomicU64::new(0),
            flaw: AtomicU64::new(0),
            upgraded: AtomicBool::new(false),
            handover: Mutex::default(),
        }
    }

    /// What comes after the response that is being sent is for somebody else.
    pub(crate) fn hand_over(&self, handover: Handover) {
        self.upgraded.store(true, Ordering::Relaxed);
        *self.handover.lock() = Some(handover);
    }

    /// Who takes over; once.
    pub(crate) fn handed_over(&self) -> Option<Handover> {
        self.handover.lock().take()
    }

    /// Whether what comes in is HTTP no longer.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// Called by the scanner, before hyper sees the end of that head.
    pub(crate) fn head_has_flaw(&self, head: u64, flaw: Flaw) {
        self.flaw.store(head << 8 | flaw as u64, Ordering::Relaxed);
    }

    /// Called once for each head that hyper hands over: the flaw of that head, if it has one.
    pub(crate) fn next_head_flaw(&self) -> Option<Flaw> {
        let head = self.heads.fetch_add(1, Ordering::Relaxed);
        let flaw = self.flaw.load(Ordering::Relaxed);
        if flaw != 0 && flaw >> 8 == head { Flaw::from_code(flaw as u8) } else { None }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.front.metrics.connections.decrement(1);
    }
}

/// Set once, when the gateway drains: the moment at which connections are cut.
pub(crate) type Drain = watch::Receiver<Option<Instant>>;

/// Serves one client until it goes, breaks a limit, or the gateway has drained.
pub(crate) async fn serve(stream: TcpStream, peer: IpAddr, front: Arc<Front>, mut drain: Drain) {
    let conn = Arc::new(Conn::new(front, peer));
    let sniffed = tokio::select! {
        sniffed = tokio::time::timeout(conn.front.config.header_timeout, sniff(stream)) => sniffed,
        _ = drain.wait_for(Option::is_some) => return,
    };
    let Ok(Some((stream, sniffed, protocol))) = sniffed else { return };
    let service = {
        let conn = conn.clone();
        service_fn(move |request| chain::serve(conn.clone(), request))
    };
    let ended = match protocol {
        Protocol::Http1 => {
            let io = TokioIo::new(Io::new(stream, sniffed, Some(HeadScan::new()), conn.clone()));
            let connection = http1(&conn.front.config).serve_connection(io, service).with_upgrades();
            drive(connection, &conn, drain.clone()).await
        }
        Protocol::Http2 => {
            let io = TokioIo::new(Io::new(stream, sniffed, None, conn.clone()));
            let connection = http2(&conn.front.config).serve_connection(io, service);
            drive(WithRequests::new(connection), &conn, drain.clone()).await
        }
    };
    upgrade::run(&conn, drain).await;
    if let Err(error) = ended {
        tracing::debug!(client = &*conn.peer, error = &error as &dyn std::error::Error, "connection ended");
    }
}

enum Protocol {
    Http1,
    Http2,
}

/// Reads until it is clear whether the client has sent the preface of HTTP/2 (RFC 9113, section 3.4).
async fn sniff(mut stream: TcpStream) -> Option<(TcpStream, Sniffed, Protocol)> {
    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut bytes = [0; PREFACE.len()];
    let mut end = 0;
    let protocol = loop {
        match stream.read(&mut bytes[end..]).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => end += read,
        }
        if bytes[..end] != PREFACE[..end] {
            break Protocol::Http1;
        }
        if end == PREFACE.len() {
            break Protocol::Http2;
        }
    };
    Some((stream, Sniffed { bytes, begin: 0, end }, protocol))
}

/// hyper's own limits are the hard stop behind those of `strict.rs`, so they are a little wider.
fn http1(config: &Config) -> http1::Builder {
    const BUFFER_MIN: usize = 8 << 10; // hyper's own least
    /// How many fields hyper's parser takes if nobody tells it: it keeps those on its stack. Any other number
    /// costs each request two allocations.
    const COUNT_ON_STACK: usize = 100;
    let head_max = config.header_bytes_max + config.header_bytes_max / 4 + (4 << 10);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Its header timeout would also end idle connections; `Pulse` tells the two apart.
        .header_read_timeout(None)
        .max_header_size(head_max)
        .max_buf_size(head_max.max(BUFFER_MIN));
    let count_max = config.header_count_max + 28;
    if count_max > COUNT_ON_STACK {
        builder.max_headers(count_max);
    }
    builder
}

/// What a peer may send of the body of one HTTP/2 request before the plugin has read it.
pub(crate) const STREAM_WINDOW: u32 = 64 << 10;

fn http2(config: &Config) -> http2::Builder<Streams> {
    /// The same for all requests of a connection together.
    const CONNECTION_WINDOW: u32 = 1 << 20;
    /// What is buffered of one response that the peer has no window for.
    const SEND_BUFFER: usize = 64 << 10;
    /// A peer that does not answer a ping is dead, whatever its socket says.
    const PING_INTERVAL: Duration = Duration::from_secs(20);
    const PING_TIMEOUT: Duration = Duration::from_secs(20);

    let mut builder = http2::Builder::new(Streams);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(config.h2_streams_max)
        .max_pending_accept_reset_streams(config.h2_pending_resets_max)
        .max_local_error_reset_streams(config.h2_local_resets_max)
        // HTTP/2 counts 32 bytes for each field on top of what we count.
        .max_header_list_size((config.header_bytes_max + 40 * config.header_count_max + (4 << 10)) as u32)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// A connection of hyper, in either version.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Takes no further requests and ends when those in flight have ended.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<S> Connection for http1::UpgradeableConnection<TokioIo<Io>, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = crate::response::ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http1::UpgradeableConnection::graceful_shutdown(self);
    }
}

impl<S, E> Connection for WithRequests<http2::Connection<TokioIo<Io>, S, E>>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = crate::response::ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, crate::response::ResponseBody>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.connection().graceful_shutdown();
    }
}

/// Drives a connection to its end, with one timer for all of its timeouts.
async fn drive(connection: impl Connection, conn: &Conn, mut drain: Drain) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    // Whatever the budget of this task: the wait has its waker from the first poll on, and later ones would only ask
    // again what one load can say.
    let seen = drain.clone();
    let mut waits = false;
    let mut draining = pin!(unconstrained(drain.wait_for(Option::is_some)));
    let mut drained = false;
    let mut alarm = pin!(Alarm::new());
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if !drained && (!waits || seen.has_changed().unwrap_or(true)) {
                waits = true;
                if draining.as_mut().poll(cx).is_ready() {
                    drained = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
            }
            match alarm.as_mut().poll_due(cx, conn) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Due::Cut) => return Poll::Ready(Ok(())),
                Poll::Ready(Due::Close) => {
                    conn.pulse.closing();
                    connection.as_mut().graceful_shutdown();
                }
                Poll::Ready(Due::Sweep) => conn.pulse.sweep(conn.front.config.body_progress_timeout),
            }
        }
    })
    .await
}

/// One timer that is set to the next thing that may be due. It moves only to an earlier moment or when it
/// fires, because nearly always life goes on and the moment moves away.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    sweep_at: Option<Instant>,
}

impl Alarm {
    /// Longer than any timeout: nothing is due.
    const FAR: Duration = Duration::from_secs(24 * 3600);

    fn new() -> Self {
        Alarm { sleep: Box::pin(tokio::time::sleep(Self::FAR)), sweep_at: None }
    }

    fn poll_due(mut self: Pin<&mut Self>, cx: &mut Context<'_>, conn: &Conn) -> Poll<Due> {
        loop {
            let due = conn.pulse.due(&conn.front.config);
            let far = || Instant::now() + Self::FAR;
            let mut next = due.map_or_else(far, |(at, _)| at);
            // A sweep is due some time after it was first asked for, not after it was asked for last.
            if let Some((at, Due::Sweep)) = due {
                next = *self.sweep_at.get_or_insert(at);
            }
            if next < self.sleep.deadline() {
                self.sleep.as_mut().reset(next);
            }
            std::task::ready!(self.sleep.as_mut().poll(cx));
            self.sleep.as_mut().reset(far());
            match due {
                Some((_, due)) if next <= Instant::now() => {
                    self.sweep_at = None;
                    return Poll::Ready(due);
                }
                _ => {}
            }
        }
    }
}
