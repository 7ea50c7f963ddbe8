//! What a connection is doing, as its timeouts need to know it.
//!
//! The parts of a connection write down what they see when they see it; nobody sets a timer. The driver in
//! `connection.rs` asks [`Pulse::due`] when its one timer fires, and mostly finds that life went on.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;
use wharf_call::{Failure, Kind};

use crate::config::Config;
use crate::response::Delivery;

/// After the last byte was sent to a client that is still sending: how long it may take to notice.
const LINGER: Duration = Duration::from_secs(1);

/// What the driver must do, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Drop the connection.
    Cut,
    /// Say goodbye: it has been idle for too long.
    Close,
    /// Look for stalled streams.
    Sweep,
}

/// A moment, or none, in one atomic: milliseconds since the connection was accepted, plus one.
#[derive(Default)]
struct Since(AtomicU64);

impl Since {
    fn begin(&self, now_ms: u64) {
        self.0.store(now_ms + 1, Ordering::Relaxed);
    }
    fn end(&self) {
        if self.is_on() {
            self.0.store(0, Ordering::Relaxed);
        }
    }
    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
    fn ms(&self) -> Option<u64> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}

pub(crate) struct Pulse {
    accepted: Instant,
    requests: AtomicU32,
    /// Since the last request ended; off until there was one.
    quiet: Since,
    /// Since the first byte of an HTTP/1 head that is not complete.
    head: Since,
    /// Since the client's side of the socket was full.
    write: Since,
    /// Since goodbye was said to an idle connection.
    closing: Since,
    /// Since our side was shut down while the client was still sending.
    linger: Since,
    streams: Mutex<Vec<Weak<Watched>>>,
    /// Whether there may be one in `streams`, which takes no lock to know.
    watches: AtomicBool,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Pulse {
            accepted: Instant::now(),
            requests: AtomicU32::new(0),
            quiet: Since::default(),
            head: Since::default(),
            write: Since::default(),
            closing: Since::default(),
            linger: Since::default(),
            streams: Mutex::new(Vec::new()),
            watches: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        self.accepted.elapsed().as_millis() as u64
    }

    pub(crate) fn request_began(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ended(&self, now: Instant) {
        self.quiet.begin(now.saturating_duration_since(self.accepted).as_millis() as u64);
        self.requests.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn within_head(&self, within: bool) {
        match within {
            true if !self.head.is_on() => self.head.begin(self.now_ms()),
            true => {}
            false => self.head.end(),
        }
    }

    pub(crate) fn write_waits(&self, waits: bool) {
        match waits {
            true if !self.write.is_on() => self.write.begin(self.now_ms()),
            true => {}
            false => self.write.end(),
        }
    }

    pub(crate) fn closing(&self) {
        self.closing.begin(self.now_ms());
    }

    pub(crate) fn lingering(&self) {
        if !self.linger.is_on() {
            self.linger.begin(self.now_ms());
        }
    }

    /// When the driver must act next, and how, should nothing change until then.
    pub(crate) fn due(&self, config: &Config) -> Option<(Instant, Due)> {
        let at = |ms: u64, limit: Duration, due| (self.accepted + Duration::from_millis(ms) + limit, due);
        let mut first: Option<(Instant, Due)> = None;
        let mut consider = |one: (Instant, Due)| {
            if first.is_none_or(|first| one.0 < first.0) {
                first = Some(one);
            }
        };
        let progress = config.body_progress_timeout;
        if let Some(ms) = self.write.ms() {
            consider(at(ms, progress, Due::Cut));
        }
        if let Some(ms) = self.linger.ms() {
            consider(at(ms, LINGER, Due::Cut));
        }
        if self.requests.load(Ordering::Acquire) == 0 {
            // A head that began while an earlier request was served is timed from that one's end.
            let quiet = self.quiet.ms();
            match (self.head.ms(), quiet, self.closing.ms()) {
                (_, _, Some(ms)) => consider(at(ms, progress, Due::Cut)),
                (Some(ms), Some(quiet), _) => consider(at(ms.max(quiet), config.header_timeout, Due::Cut)),
                (Some(ms), None, _) => consider(at(ms, config.header_timeout, Due::Cut)),
                (None, Some(quiet), _) => consider(at(quiet, config.idle_timeout, Due::Close)),
                (None, None, _) => consider(at(0, config.header_timeout, Due::Cut)),
            }
        }
        if self.watches.load(Ordering::Relaxed) {
            let mut streams = self.streams.lock();
            streams.retain(|stream| stream.strong_count() > 0);
            if streams.is_empty() {
                self.watches.store(false, Ordering::Relaxed);
            } else {
                consider((Instant::now() + progress / 2, Due::Sweep));
            }
        }
        first
    }

    /// Keeps an eye on a streamed response of HTTP/2.
    pub(crate) fn watch(&self, delivery: Delivery) -> Arc<Watched> {
        let state = State { delivery: Some(delivery), handed: None };
        let watched = Arc::new(Watched(Mutex::new(state)));
        let mut streams = self.streams.lock();
        streams.push(Arc::downgrade(&watched));
        // Under the lock, as where it is taken back.
        self.watches.store(true, Ordering::Relaxed);
        drop(streams);
        watched
    }

    /// Cuts the streams whose client has not asked for the next frame within `limit`.
    pub(crate) fn sweep(&self, limit: Duration) {
        let streams: Vec<_> = self.streams.lock().iter().filter_map(Weak::upgrade).collect();
        for stream in streams {
            stream.cut_if_stalled(limit);
        }
    }
}

/// A streamed response on HTTP/2 that can be cut from outside.
///
/// hyper polls a body again when the client has window for what it gave before. A client that opens none
/// would hold the plugin's instance for as long as it answers pings.
pub(crate) struct Watched(Mutex<State>);

struct State {
    /// `None` once it was cut from outside.
    delivery: Option<Delivery>,
    /// When the last frame was handed over; `None` while it is the plugin that is waited for.
    handed: Option<Instant>,
}

impl Watched {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut state = self.0.lock();
        let Some(delivery) = &mut state.delivery else { return Poll::Ready(Some(Err(stalled()))) };
        let polled = delivery.poll(cx);
        state.handed = polled.is_ready().then(Instant::now);
        polled
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.lock().delivery.as_ref().is_some_and(Delivery::is_over)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.0.lock().delivery.as_ref().map_or_else(SizeHint::default, Delivery::size_hint)
    }

    fn cut_if_stalled(&self, limit: Duration) {
        // Who holds the lock is polling it, so it does not stall.
        let Some(mut state) = self.0.try_lock() else { return };
        if state.handed.is_some_and(|handed| handed.elapsed() >= limit)
            && let Some(mut delivery) = state.delivery.take()
        {
            delivery.cut(stalled());
        }
    }
}

fn stalled() -> Failure {
    Failure::new(Kind::RequestTimeout, "The client did not read the response in time.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            header_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5),
            body_progress_timeout: Duration::from_secs(3),
            ..Config::default()
        }
    }

    fn due(pulse: &Pulse) -> Option<(u128, Due)> {
        pulse.due(&config()).map(|(at, due)| ((at - pulse.accepted).as_millis(), due))
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_of_a_connection_has_its_own_timeout() {
        let pulse = Pulse::new();
        let second = Duration::from_secs(1);
        assert_eq!(due(&pulse), Some((1_000, Due::Cut)), "a new connection owes a head");
        tokio::time::advance(second / 2).await;
        pulse.within_head(true);
        assert_eq!(due(&pulse), Some((1_500, Due::Cut)), "a head that began");
        pulse.within_head(false);
        pulse.request_began();
        assert_eq!(due(&pulse), None, "a request takes the time it takes");
        pulse.write_waits(true);
        assert_eq!(due(&pulse), Some((3_500, Due::Cut)), "a client that does not read");
        pulse.write_waits(false);
        pulse.within_head(true);
        assert_eq!(due(&pulse), None, "the next head may wait for the request before it");
        tokio::time::advance(second).await;
        pulse.request_ended(Instant::now());
        assert_eq!(due(&pulse), Some((2_500, Due::Cut)), "and is timed from its end");
        pulse.within_head(false);
        assert_eq!(due(&pulse), Some((6_500, Due::Close)), "an idle connection");
        pulse.closing();
        assert_eq!(due(&pulse), Some((4_500, Due::Cut)), "and one that does not take the hint");
    }
}
