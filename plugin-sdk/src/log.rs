//! What a plugin says becomes lines of the host's log, with its name and the id of the request.
//!
//! The events of [`tracing`] do, without any set-up:
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::tracing;
//!
//! #[wharf::handler]
//! async fn order(wharf::Path(id): wharf::Path<u64>) -> &'static str {
//!     tracing::info!(id, "an order came in");
//!     "thank you\n"
//! }
//! ```
//!
//! A line has the event's level, its target as context, and its message with the fields behind it as
//! `key=value`, those of the spans around it included. From [`level`] on, lines are written; it is `INFO`
//! until it is set. The host bounds how much a plugin may write (`limits.log_lines`, `limits.log_bytes`).
//!
//! So do the lines that `println!` and `eprintln!` write. Without the feature `log` there are only those.

#[cfg(feature = "log")]
pub(crate) use with_tracing::install;
#[cfg(feature = "log")]
pub use with_tracing::level;

use crate::Failure;

#[cfg(not(feature = "log"))]
pub(crate) fn install() {}

/// Work in the background has nobody to fail to.
pub(crate) fn background_failed(failure: &Failure) {
    #[cfg(feature = "log")]
    tracing::error!("work in the background failed: {failure}");
    #[cfg(not(feature = "log"))]
    eprintln!("work in the background failed: {failure}");
}

#[cfg(feature = "log")]
mod with_tracing {
    use std::fmt::{self, Write};
    use std::num::NonZeroU64;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tracing::field::{Field, Visit};
    use tracing::level_filters::LevelFilter;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    /// As in [`LevelFilter`]: how many levels are on, from the gravest.
    static ON: AtomicUsize = AtomicUsize::new(3);

    /// From this level on, events are written.
    pub fn level(level: Level) {
        ON.store(rank(level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    fn rank(level: Level) -> usize {
        match level {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            Level::DEBUG => 4,
            Level::TRACE => 5,
        }
    }

    /// Makes the host's log the default of this instance. A plugin that sets its own subscriber before keeps it.
    pub(crate) fn install() {
        // It fails when there is one already.
        let _ = tracing::subscriber::set_global_default(HostLog { spans: Mutex::default() });
    }

    struct HostLog {
        spans: Mutex<Spans>,
    }

    #[derive(Default)]
    struct Spans {
        /// By id, from one.
        all: Vec<Option<Span>>,
        /// Entered and not left, from the outside in.
        entered: Vec<u64>,
    }

    struct Span {
        text: String,
        parent: Option<u64>,
        handles: usize,
    }

    impl Spans {
        fn get(&mut self, id: u64) -> Option<&mut Span> {
            self.all.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)?.as_mut()
        }
    }

    impl HostLog {
        fn spans(&self) -> MutexGuard<'_, Spans> {
            self.spans.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Subscriber for HostLog {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            rank(*metadata.level()) <= ON.load(Ordering::Relaxed)
        }

        fn max_level_hint(&self) -> Option<LevelFilter> {
            Some(match ON.load(Ordering::Relaxed) {
                1 => LevelFilter::ERROR,
                2 => LevelFilter::WARN,
                3 => LevelFilter::INFO,
                4 => LevelFilter::DEBUG,
                _ => LevelFilter::TRACE,
            })
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            let mut spans = self.spans();
            let parent = match (attributes.parent(), attributes.is_contextual()) {
                (Some(parent), _) => Some(parent.into_u64()),
                (None, true) => spans.entered.last().copied(),
                (None, false) => None,
            };
            let span = Some(Span { text: fields.fields, parent, handles: 1 });
            let at = spans.all.iter().position(Option::is_none).unwrap_or(spans.all.len());
            if at == spans.all.len() {
                spans.all.push(span);
            } else {
                spans.all[at] = span;
            }
            Id::from_non_zero_u64(NonZeroU64::MIN.saturating_add(at as u64))
        }

        fn record(&self, id: &Id, values: &Record<'_>) {
            let mut fields = Fields::default();
            values.record(&mut fields);
            if let Some(span) = self.spans().get(id.into_u64()) {
                span.text.push_str(&fields.fields);
            }
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let mut line = fields.message;
            line.push_str(&fields.fields);
            let mut spans = self.spans();
            let mut around = event.parent().map(Id::into_u64).or_else(|| spans.entered.last().copied());
            while let Some(id) = around {
                let Some(span) = spans.get(id) else { break };
                line.push_str(&span.text);
                around = span.parent;
            }
            drop(spans);
            let metadata = event.metadata();
            super::sys::write(*metadata.level(), metadata.target(), line.trim_start());
        }

        fn enter(&self, id: &Id) {
            self.spans().entered.push(id.into_u64());
        }

        fn exit(&self, id: &Id) {
            let mut spans = self.spans();
            if let Some(at) = spans.entered.iter().rposition(|entered| *entered == id.into_u64()) {
                spans.entered.remove(at);
            }
        }

        fn clone_span(&self, id: &Id) -> Id {
            if let Some(span) = self.spans().get(id.into_u64()) {
                span.handles += 1;
            }
            id.clone()
        }

        fn try_close(&self, id: Id) -> bool {
            let mut spans = self.spans();
            let Some(span) = spans.get(id.into_u64()) else { return false };
            span.handles -= 1;
            if span.handles > 0 {
                return false;
            }
            let at = id.into_u64() as usize - 1;
            spans.all[at] = None;
            true
        }
    }

    /// A message, and its fields as ` key=value`.
    #[derive(Default)]
    struct Fields {
        message: String,
        fields: String,
    }

    impl Visit for Fields {
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "message" {
                self.message.push_str(value);
            } else if value.is_empty()
                || value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '='))
            {
                self.record_debug(field, &value);
            } else {
                self.fields.extend([" ", field.name(), "=", value]);
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            // Writing into a text does not fail.
            let _ = match field.name() {
                "message" => write!(self.message, "{value:?}"),
                name => write!(self.fields, " {name}={value:?}"),
            };
        }
    }
}

#[cfg(all(feature = "log", target_family = "wasm"))]
mod sys {
    use crate::bindings::logging;

    pub(super) fn write(level: tracing::Level, target: &str, line: &str) {
        let level = match level {
            tracing::Level::ERROR => logging::Level::Error,
            tracing::Level::WARN => logging::Level::Warn,
            tracing::Level::INFO => logging::Level::Info,
            tracing::Level::DEBUG => logging::Level::Debug,
            tracing::Level::TRACE => logging::Level::Trace,
        };
        logging::log(level, target, line);
    }
}

#[cfg(all(feature = "log", not(target_family = "wasm")))]
mod sys {
    use crate::testing;

    pub(super) fn write(level: tracing::Level, target: &str, line: &str) {
        // For whoever reads the output of a test that has failed.
        println!("{level:>5} {target}: {line}");
        if let Some(grants) = testing::current() {
            let (target, message) = (target.to_owned(), line.to_owned());
            grants.logs.borrow_mut().push(testing::LogLine { level, target, message });
        }
    }
}
