//! The limits of a plugin: what each is called, in what it is counted, and what is said when it is exceeded.
//!
//! A limit has one name everywhere: it is the key in `[plugin.NAME.limits]`, the label of
//! `wharf_plugin_limit_exceeded_total`, and the word in logs.
//!
//! Start with [`LimitKey`], then [`LimitGuard`], through which every refusal goes.

use std::fmt;
use std::sync::Arc;

use crate::units::{show_duration_ms, show_size};
use crate::{Failure, Kind};

/// In what a limit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: a size in the manifest.
    Bytes,
    /// Milliseconds: a duration in the manifest.
    Millis,
    /// A whole number in the manifest.
    Count,
}

impl Unit {
    /// A value as the manifest has it, without quotes.
    pub fn show(self, value: u64) -> String {
        match self {
            Unit::Bytes => show_size(value),
            Unit::Millis => show_duration_ms(value),
            Unit::Count => value.to_string(),
        }
    }

    /// A value as it is written in the manifest.
    fn write(self, value: u64) -> String {
        match self {
            Unit::Count => self.show(value),
            Unit::Bytes | Unit::Millis => format!("{:?}", self.show(value)),
        }
    }
}

/// What becomes of what exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAction {
    /// It is refused, ended or cut.
    Refused,
    /// It is counted, and passes: the plugin's manifest lists the limit in `observe`.
    Observed,
}

impl LimitAction {
    /// The label of metrics.
    pub fn name(self) -> &'static str {
        match self {
            LimitAction::Refused => "refused",
            LimitAction::Observed => "observed",
        }
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $unit:ident, $ceiling:expr, $kind:ident $(, unobservable: $why:literal)?;)*) => {
        /// The closed list of limits. Each is a key of `[plugin.NAME.limits]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum LimitKey { $($(#[$doc])* $variant,)* }

        impl LimitKey {
            /// Every limit, in the order of the list.
            pub const ALL: &[LimitKey] = &[$(LimitKey::$variant,)*];

            /// The key in the manifest.
            pub fn name(self) -> &'static str {
                match self { $(LimitKey::$variant => $name,)* }
            }

            /// The limit with this key.
            pub fn from_name(name: &str) -> Option<LimitKey> {
                match name { $($name => Some(LimitKey::$variant),)* _ => None }
            }

            /// In what it is counted.
            pub fn unit(self) -> Unit {
                match self { $(LimitKey::$variant => Unit::$unit,)* }
            }

            /// The greatest value that the manifest can give it. It also holds for a limit that is observed.
            pub fn ceiling(self) -> u64 {
                match self { $(LimitKey::$variant => $ceiling,)* }
            }

            /// What kind of failure it is to exceed it.
            pub fn kind(self) -> Kind {
                match self { $(LimitKey::$variant => Kind::$kind,)* }
            }

            /// Why it cannot be observed, if it cannot; to be read after the key.
            pub fn unobservable(self) -> Option<&'static str> {
                match self { $(LimitKey::$variant => limits!(@why $($why)?),)* }
            }
        }
    };
    (@why $why:literal) => { Some($why) };
    (@why) => { None };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

limits! {
    /// All linear memories and tables of one instance.
    Memory = "memory", Bytes, 4 * GIB, MemoryExceeded;
    /// What one call may compute.
    Cpu = "cpu", Millis, 10 * MINUTE, CpuExceeded;
    /// From the admission of a call to the head of its response.
    Wall = "wall", Millis, HOUR, Timeout;
    /// Calls at once, those that wait included.
    Calls = "calls", Count, 1_000_000, Overloaded;
    /// The silence of a streamed response.
    StreamIdle = "stream_idle", Millis, 24 * HOUR, Timeout;
    /// From the head of a streamed response to its end.
    StreamTotal = "stream_total", Millis, 168 * HOUR, Timeout;
    /// What a stream may compute, in percent of one core.
    StreamCpu = "stream_cpu", Count, 100, CpuExceeded;
    /// The body of a request.
    RequestBody = "request_body", Bytes, TIB, PayloadTooLarge;
    /// All header fields of a request.
    RequestHeaders = "request_headers", Bytes, MIB, HeadersTooLarge;
    /// How many header fields a request has.
    RequestHeaderCount = "request_header_count", Count, 1_000, HeadersTooLarge;
    /// The body of a response.
    ResponseBody = "response_body", Bytes, TIB, ResponseTooLarge;
    /// All header fields of a response.
    ResponseHeaders = "response_headers", Bytes, MIB, ResponseTooLarge;
    /// How many header fields a response has.
    ResponseHeaderCount = "response_header_count", Count, 1_000, ResponseTooLarge;
    /// Resources of the host that one instance holds.
    Handles = "handles", Count, 10_000, GuestTrapped;
    /// Handles to resources within one instance.
    Resources = "resources", Count, 100_000, GuestTrapped,
        unobservable: "is counted by the engine, which only says when it is reached";
    /// Streams, futures and tasks of one instance.
    Streams = "streams", Count, 100_000, GuestTrapped,
        unobservable: "is counted by the engine, which only says when it is reached";
    /// What one call between guest and host copies out of the guest.
    HostcallBytes = "hostcall_bytes", Bytes, 4 * GIB, GuestTrapped,
        unobservable: "is counted by the engine, which only says when it is reached";
    /// The arguments of one typed call.
    ArgumentBytes = "argument_bytes", Bytes, GIB, PayloadTooLarge;
    /// Random bytes of one call.
    RandomBytes = "random_bytes", Bytes, 16 * MIB, GuestTrapped;
    /// What the host takes of a stream at a time.
    ChunkBytes = "chunk_bytes", Bytes, MIB, GuestTrapped,
        unobservable: "refuses nothing: the plugin writes the rest when there is room again";
    /// One line of output.
    LogLine = "log_line", Bytes, 64 * KIB, GuestTrapped;
    /// Lines a second.
    LogLines = "log_lines", Count, 1_000_000, GuestTrapped;
    /// Bytes of lines a second.
    LogBytes = "log_bytes", Bytes, GIB, GuestTrapped;
    /// Outbound calls at once.
    HttpCalls = "http_calls", Count, 100_000, GuestTrapped;
    /// Outbound connections at once.
    HttpConnections = "http_connections", Count, 10_000, GuestTrapped;
    /// The body of an outbound request.
    HttpRequestBody = "http_request_body", Bytes, TIB, GuestTrapped;
    /// The body of the response to an outbound request.
    HttpResponseBody = "http_response_body", Bytes, TIB, GuestTrapped;
    /// All header fields of the response to an outbound request.
    HttpResponseHeaders = "http_response_headers", Bytes, MIB, GuestTrapped;
    /// How many header fields the response to an outbound request has.
    HttpResponseHeaderCount = "http_response_header_count", Count, 1_000, GuestTrapped;
    /// How long an outbound connection is kept without a call.
    HttpIdle = "http_idle", Millis, HOUR, GuestTrapped,
        unobservable: "refuses nothing: the next call makes a new connection";
}

/// Some of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSet(u64);

impl LimitSet {
    /// No limit.
    pub const EMPTY: LimitSet = LimitSet(0);

    /// The same and `key`.
    #[must_use]
    pub fn with(self, key: LimitKey) -> Self {
        LimitSet(self.0 | (1 << key as u32))
    }

    /// Whether `key` is among them.
    pub fn has(self, key: LimitKey) -> bool {
        self.0 & (1 << key as u32) != 0
    }
}

/// A limit was exceeded, and what was asked for is refused. The text says by how much, and the line to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    key: LimitKey,
    allowed: u64,
    text: String,
}

impl Exceeded {
    /// The plugin has `allowed` of `key`, and asked for `asked`. Where nothing more can be asked for than all
    /// of it, as with time, `asked` is `allowed`.
    pub fn new(plugin: &str, key: LimitKey, allowed: u64, asked: u64) -> Self {
        Exceeded { key, allowed, text: describe(plugin, key, allowed, asked) }
    }

    /// Which limit.
    pub fn key(&self) -> LimitKey {
        self.key
    }

    /// The failure of the call that it happened in. The client is told only what it can do something about.
    pub fn into_failure(self) -> Failure {
        let kind = self.key.kind();
        let failure = match self.key {
            LimitKey::RequestBody => {
                Failure::new(kind, format!("the request body is larger than {} bytes", self.allowed))
            }
            LimitKey::ArgumentBytes => {
                let allowed = self.allowed;
                Failure::new(
                    kind,
                    format!("the arguments take more than {allowed} bytes in the host's memory"),
                )
            }
            LimitKey::Calls => Failure::new(kind, "the plugin has no capacity left"),
            _ => Failure::new(kind, kind.title()),
        };
        let failure = failure.with_private(self.text);
        if kind == Kind::Overloaded { failure.with_retry_after_s(1) } else { failure }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Exceeded {}

/// What is said of a limit that was exceeded, refused or observed: the limit, its value, what was asked for,
/// and the line to write.
pub fn describe(plugin: &str, key: LimitKey, allowed: u64, asked: u64) -> String {
    let (name, unit) = (key.name(), key.unit());
    let asked_for = match asked > allowed {
        true => format!("{} were asked for", unit.show(asked)),
        false => "all of it was used".to_owned(),
    };
    let said = format!("limits.{name} is {}; {asked_for}. ", unit.show(allowed));
    let Some(enough) = enough(allowed, asked).filter(|enough| *enough <= key.ceiling()) else {
        return format!("{said}No plugin may have more than {}", unit.show(key.ceiling()));
    };
    format!(
        "{said}To allow more, write in wharf.toml:\n  [plugin.{plugin}.limits]\n  {name} = {}",
        unit.write(enough)
    )
}

/// What to write so that `asked` is allowed: `allowed`, doubled until it is.
fn enough(allowed: u64, asked: u64) -> Option<u64> {
    let mut enough = allowed.max(1).checked_mul(2)?;
    while enough < asked {
        enough = enough.checked_mul(2)?;
    }
    Some(enough)
}

/// Decides over what exceeds a limit, and sees to it that it is counted and said. Every refusal goes through
/// one of these; there is one for each generation of a plugin, made by the engine.
///
/// ```toml
/// [plugin.notes.limits]
/// memory  = "64MiB"
/// cpu     = "50ms"
/// observe = ["cpu"]      # counted and logged, not refused
/// ```
///
/// Whoever holds something to a limit asks [`LimitGuard::bound`] what it has to hold to, and calls
/// [`LimitGuard::exceeded`] for each case beyond the limit itself.
pub trait LimitGuard: Send + Sync + 'static {
    /// Whether what exceeds `key` passes.
    fn observes(&self, key: LimitKey) -> bool;

    /// `asked` is more than the plugin has of `key`: it is counted, and logged at most once a second.
    ///
    /// # Errors
    /// When it is to be refused: always, unless the limit is observed and `asked` within its ceiling.
    fn exceeded(&self, key: LimitKey, asked: u64) -> Result<(), Exceeded>;

    /// What holds for `key`, of which the manifest has `value`: its ceiling, if it is observed.
    fn bound(&self, key: LimitKey, value: u64) -> u64 {
        if self.observes(key) { key.ceiling() } else { value }
    }
}

/// Adds up what goes by, such as the bytes of a body, and asks the guard when it is too much.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    key: LimitKey,
    taken: u64,
    /// What may go by before the guard is asked.
    bound: u64,
}

impl Tally {
    /// Of `key`, the plugin has `value`.
    pub fn new(key: LimitKey, value: u64) -> Self {
        Tally { key, taken: 0, bound: value }
    }

    /// `more` goes by.
    ///
    /// # Errors
    /// When it must not. An observed limit is told of once.
    pub fn add(&mut self, more: u64, guard: &dyn LimitGuard) -> Result<(), Exceeded> {
        self.taken = self.taken.saturating_add(more);
        if self.taken > self.bound {
            guard.exceeded(self.key, self.taken)?;
            self.bound = self.key.ceiling();
        }
        Ok(())
    }
}

/// Refuses everything and tells nobody: for tests of what is held to limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefuseAll;

impl RefuseAll {
    /// Behind a pointer, as it is passed on.
    pub fn shared() -> Arc<dyn LimitGuard> {
        Arc::new(RefuseAll)
    }
}

impl LimitGuard for RefuseAll {
    fn observes(&self, _: LimitKey) -> bool {
        false
    }

    fn exceeded(&self, key: LimitKey, asked: u64) -> Result<(), Exceeded> {
        Err(Exceeded::new("test", key, asked, asked))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn names_lead_back_to_their_limits_and_fit_a_set() {
        let mut set = LimitSet::EMPTY;
        for key in LimitKey::ALL {
            assert_eq!(LimitKey::from_name(key.name()), Some(*key));
            assert!(!set.has(*key));
            set = set.with(*key);
            assert!(set.has(*key));
        }
        assert!(LimitKey::ALL.len() <= 64);
    }

    #[test]
    fn what_was_exceeded_says_limit_value_request_and_the_line_to_write() {
        let said = Exceeded::new("notes", LimitKey::Memory, 64 << 20, 65 << 20).to_string();
        assert_eq!(
            said,
            "limits.memory is 64MiB; 65MiB were asked for. To allow more, write in wharf.toml:\n  \
             [plugin.notes.limits]\n  memory = \"128MiB\""
        );
        let said = Exceeded::new("notes", LimitKey::Wall, 5_000, 5_000).to_string();
        assert!(said.starts_with("limits.wall is 5s; all of it was used. "), "{said}");
        assert!(said.ends_with("wall = \"10s\""), "{said}");
        let said = Exceeded::new("notes", LimitKey::LogLines, 100, 1_000).to_string();
        assert!(said.ends_with("log_lines = 1600"), "{said}");
        let said = Exceeded::new("notes", LimitKey::StreamCpu, 100, 100).to_string();
        assert!(said.ends_with("No plugin may have more than 100"), "{said}");
        let said = Exceeded::new("notes", LimitKey::Memory, 1, u64::MAX).to_string();
        assert!(said.ends_with("No plugin may have more than 4GiB"), "{said}");
    }

    #[test]
    fn a_tally_asks_at_the_limit_and_goes_on_to_the_ceiling_when_it_is_observed() {
        struct Observing(AtomicU64);
        impl LimitGuard for Observing {
            fn observes(&self, _: LimitKey) -> bool {
                true
            }
            fn exceeded(&self, key: LimitKey, asked: u64) -> Result<(), Exceeded> {
                self.0.fetch_add(1, Relaxed);
                if asked > key.ceiling() { Err(Exceeded::new("notes", key, 10, asked)) } else { Ok(()) }
            }
        }
        let mut tally = Tally::new(LimitKey::ResponseBody, 10);
        assert_eq!(tally.add(10, &RefuseAll), Ok(()));
        assert!(tally.add(1, &RefuseAll).is_err());
        let (mut tally, guard) = (Tally::new(LimitKey::ResponseBody, 10), Observing(AtomicU64::new(0)));
        for _ in 0..5 {
            assert_eq!(tally.add(10, &guard), Ok(()));
        }
        assert_eq!(guard.0.load(Relaxed), 1);
        assert!(tally.add(u64::MAX, &guard).is_err());
    }

    #[test]
    fn too_many_calls_may_come_back() {
        let failure = Exceeded::new("notes", LimitKey::Calls, 1, 2).into_failure();
        assert_eq!((failure.kind(), failure.retry_after_s()), (Kind::Overloaded, Some(1)));
    }
}
