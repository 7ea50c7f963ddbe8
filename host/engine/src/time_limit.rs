//! Limits in time: to the head of a response, within a stream, and of a stream as a whole.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use wharf_call::{Deadline, Exceeded, Failure, Kind, LimitGuard, LimitKey};

use crate::enforcer::Enforcer;

/// A timer that asks the enforcer when it is over, and goes on to the ceiling of an observed limit.
pub(crate) struct TimeLimit {
    key: LimitKey,
    began: Instant,
    timer: Pin<Box<Sleep>>,
    observed: bool,
}

impl TimeLimit {
    /// Begins now.
    pub(crate) fn begin(key: LimitKey, enforcer: &Enforcer) -> Self {
        Self::since(Instant::now(), key, enforcer)
    }

    /// Began then.
    fn since(began: Instant, key: LimitKey, enforcer: &Enforcer) -> Self {
        let timer = Box::pin(sleep_until(began + Duration::from_millis(enforcer.value(key))));
        TimeLimit { key, began, timer, observed: false }
    }

    /// Resolves when the time is up.
    pub(crate) fn poll(&mut self, enforcer: &Enforcer, cx: &mut Context<'_>) -> Poll<Exceeded> {
        ready!(self.timer.as_mut().poll(cx));
        if !std::mem::replace(&mut self.observed, true) {
            if let Err(exceeded) = enforcer.used_up(self.key) {
                return Poll::Ready(exceeded);
            }
            self.timer.as_mut().reset(self.began + enforcer.allowed_time(self.key));
            ready!(self.timer.as_mut().poll(cx));
        }
        Poll::Ready(enforcer.refuse(self.key, self.key.ceiling()))
    }
}

/// The two limits of a stream that is going out, as its reader keeps them.
#[derive(Default)]
pub(crate) struct StreamTimes {
    /// Runs while somebody waits for the guest.
    silence: Option<TimeLimit>,
    /// Runs from when the answer turned out to be a stream.
    total: Option<TimeLimit>,
}

impl StreamTimes {
    /// From now on it is a stream.
    pub(crate) fn begin(&mut self, enforcer: &Enforcer) {
        self.total = Some(TimeLimit::begin(LimitKey::StreamTotal, enforcer));
    }

    /// The guest has given something.
    pub(crate) fn progress(&mut self) {
        self.silence = None;
    }

    /// The other side has said something, then.
    pub(crate) fn heard(&mut self, at: Instant, enforcer: &Enforcer) {
        if self.silence.as_ref().is_some_and(|silence| silence.began < at) {
            self.silence = Some(TimeLimit::since(at, LimitKey::StreamIdle, enforcer));
        }
    }

    /// Resolves when nothing came for too long; polled while somebody waits.
    pub(crate) fn poll_silence(&mut self, enforcer: &Enforcer, cx: &mut Context<'_>) -> Poll<Exceeded> {
        let begin = || TimeLimit::begin(LimitKey::StreamIdle, enforcer);
        self.silence.get_or_insert_with(begin).poll(enforcer, cx)
    }

    /// Resolves when the stream is there for too long.
    pub(crate) fn poll_total(&mut self, enforcer: &Enforcer, cx: &mut Context<'_>) -> Poll<Exceeded> {
        self.total.as_mut().map_or(Poll::Pending, |total| total.poll(enforcer, cx))
    }
}

/// When the head of a response is due: a deadline from outside, and `limits.wall` from now.
///
/// Invariant: it is kept outside of what it bounds. A timeout within wasmtime's event loop may never fire.
#[derive(Clone, Copy)]
pub(crate) struct Due {
    deadline: Deadline,
    /// When `limits.wall` has passed.
    wall: Instant,
}

impl Due {
    pub(crate) fn begin(deadline: Deadline, enforcer: &Enforcer) -> Self {
        let now = Instant::now();
        let wall = now + enforcer.plugin.limits.wall;
        let held = enforcer.allowed_time(LimitKey::Wall);
        Due { deadline: deadline.narrow(now.into_std(), held), wall }
    }

    /// What is told to others: the deadline, or how far an observed limit goes.
    pub(crate) fn deadline(self) -> Deadline {
        self.deadline
    }

    /// Waits for `call` as long as it may take.
    ///
    /// # Errors
    /// It took longer.
    pub(crate) async fn keep<T>(
        self,
        enforcer: &Enforcer,
        call: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut call = pin!(call);
        let Some(last) = self.deadline.instant().map(Instant::from) else { return Ok(call.await) };
        if enforcer.observes(LimitKey::Wall) && self.wall < last {
            match timeout_at(self.wall, &mut call).await {
                Ok(done) => return Ok(done),
                Err(_) => enforcer.used_up(LimitKey::Wall).map_err(Exceeded::into_failure)?,
            }
        }
        timeout_at(last, call).await.map_err(|_| match last < self.wall {
            true => Failure::new(Kind::Timeout, Kind::Timeout.title())
                .with_private("the deadline of the request has passed"),
            false => enforcer.refuse(LimitKey::Wall, enforcer.allowed(LimitKey::Wall)).into_failure(),
        })
    }
}
