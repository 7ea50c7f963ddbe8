//! The one place through which everything goes that exceeds a limit of a plugin.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::HeaderMap;
use wharf_call::limits::describe;
use wharf_call::{Exceeded, LimitAction, LimitGuard, LimitKey};

use crate::berth::Berth;
use crate::config::{EngineConfig, PluginConfig};
use crate::epoch::Activity;
use crate::memory::{Kept, Slots};
use crate::metrics;
use crate::turns::Turns;

/// Decides over what exceeds a limit of one generation: refused, or counted and let pass. See [`LimitGuard`].
pub(crate) struct Enforcer {
    pub(crate) plugin: Arc<PluginConfig>,
    pub(crate) generation: u64,
    pub(crate) berth: Arc<Berth>,
    /// The stack of a call, which is the engine's.
    pub(crate) stack_bytes: u64,
    pub(crate) slots: Arc<Slots>,
    /// What the slots of one instance keep when it is gone.
    pub(crate) kept: Kept,
    /// The ceiling of `limits.memory`.
    memory_bytes_max: u64,
    /// Where it is noted that guests run.
    pub(crate) activity: Arc<Activity>,
    /// Where those wait that compute for longer than a tick.
    pub(crate) turns: Turns,
}

/// What all generations of a host share.
pub(crate) struct HostWide {
    pub(crate) slots: Arc<Slots>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) turns: Turns,
}

impl Enforcer {
    pub(crate) fn new(
        plugin: Arc<PluginConfig>,
        generation: u64,
        berth: Arc<Berth>,
        engine: &EngineConfig,
        host: HostWide,
        kept: Kept,
    ) -> Arc<Self> {
        let (memory_bytes_max, stack_bytes) = (engine.memory_bytes_max, engine.stack_bytes);
        let HostWide { slots, activity, turns } = host;
        Arc::new(Enforcer {
            plugin,
            generation,
            berth,
            stack_bytes,
            slots,
            kept,
            memory_bytes_max,
            activity,
            turns,
        })
    }

    /// What the plugin has of `key`.
    pub(crate) fn value(&self, key: LimitKey) -> u64 {
        self.plugin.limits.value(key)
    }

    /// What `key` is held to: its value or, if it is observed, its ceiling.
    pub(crate) fn allowed(&self, key: LimitKey) -> u64 {
        if self.observes(key) { self.ceiling(key) } else { self.value(key) }
    }

    /// The same in the width of what is measured.
    pub(crate) fn allowed_usize(&self, key: LimitKey) -> usize {
        usize::try_from(self.allowed(key)).unwrap_or(usize::MAX)
    }

    /// The same for a duration.
    pub(crate) fn allowed_time(&self, key: LimitKey) -> Duration {
        Duration::from_millis(self.allowed(key))
    }

    /// Lets `asked` pass if the plugin has that much of `key`, or if the limit is observed.
    ///
    /// # Errors
    /// What the plugin asked for is too much.
    pub(crate) fn check(&self, key: LimitKey, asked: u64) -> Result<(), Exceeded> {
        if asked <= self.value(key) { Ok(()) } else { self.exceeded(key, asked) }
    }

    /// All of `key` was used, and there is no more to ask for than all: time, mostly.
    ///
    /// # Errors
    /// Unless the limit is observed.
    pub(crate) fn used_up(&self, key: LimitKey) -> Result<(), Exceeded> {
        self.exceeded(key, self.value(key))
    }

    /// Refuses what is beyond a limit's ceiling, or held to it by somebody else: the engine.
    pub(crate) fn refuse(&self, key: LimitKey, asked: u64) -> Exceeded {
        self.tell(key, LimitAction::Refused, asked);
        Exceeded::new(&self.plugin.name, key, self.value(key), asked)
    }

    /// Counts a call against `limits.calls`, for as long as what is returned lives. Without that limit it
    /// costs nothing: `pool.max` and `pool.queue` bound the calls.
    ///
    /// # Errors
    /// There are too many already.
    pub(crate) fn count_call(self: &Arc<Self>) -> Result<Option<CallCount>, Exceeded> {
        if self.plugin.limits.calls.is_none() {
            return Ok(None);
        }
        let now = self.berth.calls.fetch_add(1, Relaxed) + 1;
        let counted = CallCount(self.berth.clone());
        self.check(LimitKey::Calls, now)?;
        Ok(Some(counted))
    }

    /// What the header fields of a request may be.
    ///
    /// # Errors
    /// They are too many, or too large.
    pub(crate) fn check_request_headers(&self, headers: &HeaderMap) -> Result<(), Exceeded> {
        let limits = &self.plugin.limits;
        if limits.request_header_count.is_some() {
            self.check(LimitKey::RequestHeaderCount, headers.len() as u64)?;
        }
        // Without a limit of its own, the gateway has seen to it.
        if limits.request_header_bytes.is_some() {
            self.check(LimitKey::RequestHeaders, header_bytes(headers))?;
        }
        Ok(())
    }

    /// What the header fields of a response may be.
    ///
    /// # Errors
    /// They are too many, or too large.
    pub(crate) fn check_response_headers(&self, headers: &HeaderMap) -> Result<(), Exceeded> {
        self.check(LimitKey::ResponseHeaderCount, headers.len() as u64)?;
        self.check(LimitKey::ResponseHeaders, header_bytes(headers))
    }

    /// Counts without a line in the log, for those who say it themselves.
    pub(crate) fn count(&self, key: LimitKey, action: LimitAction) {
        metrics::limit_exceeded(&self.plugin.name, key.name(), action);
    }

    fn ceiling(&self, key: LimitKey) -> u64 {
        if key == LimitKey::Memory { self.memory_bytes_max } else { key.ceiling() }
    }

    /// Counts, and writes a line for each limit once a second.
    fn tell(&self, key: LimitKey, action: LimitAction, asked: u64) {
        self.count(key, action);
        let Some(unsaid) = self.berth.refusals.say(key.name(), Instant::now()) else { return };
        let name = &self.plugin.name;
        let does = match action {
            LimitAction::Refused => "exceeded a limit",
            LimitAction::Observed => "exceeded a limit that is observed, and went on",
        };
        tracing::warn!(
            target: "wharf::guest",
            plugin = name,
            generation = self.generation,
            limit = key.name(),
            action = action.name(),
            unsaid = (unsaid > 0).then_some(unsaid),
            "plugin {name:?} {does}: {}",
            describe(name, key, self.value(key), asked)
        );
    }
}

/// A call that is counted against `limits.calls`.
pub(crate) struct CallCount(Arc<Berth>);

impl Drop for CallCount {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

impl LimitGuard for Enforcer {
    fn observes(&self, key: LimitKey) -> bool {
        self.plugin.limits.observed.has(key)
    }

    fn exceeded(&self, key: LimitKey, asked: u64) -> Result<(), Exceeded> {
        if self.observes(key) && asked <= self.ceiling(key) {
            self.tell(key, LimitAction::Observed, asked);
            Ok(())
        } else {
            Err(self.refuse(key, asked))
        }
    }
}

/// As they are counted: a name, a value, and what stands between and behind them.
fn header_bytes(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}
