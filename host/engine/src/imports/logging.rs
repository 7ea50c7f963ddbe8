//! `wasi:logging/logging@0.1.0-draft`: a guest's messages become log lines of the host, with their level.

use wharf_bindings::logging_0_1::wasi::logging::logging::{Host, Level};

use crate::state::State;

impl Host for State {
    /// `critical` is an error here: whether the host can go on is not for a guest to say.
    fn log(&mut self, level: Level, context: String, message: String) {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error | Level::Critical => tracing::Level::ERROR,
        };
        self.log.message(level, &context, &message);
    }
}
