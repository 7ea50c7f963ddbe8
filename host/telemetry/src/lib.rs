//! Logs and metrics of the host: the one place that installs something behind the `tracing` and
//! `metrics` facades, which everybody else uses. Only access lines have a way of their own, [`AccessLog`].
//!
//! A log line is formatted on the thread that logs, into a buffer of that thread, and is written to
//! standard error by one thread of its own. A reader of the log that is too slow costs lines, which are
//! counted and reported, never time: the executor does not wait for a pipe. Standard output stays free
//! for the results of commands.
//!
//! This crate deliberately does not: rotate or ship files (the service manager does), trace to a
//! collector, or know what the other crates log.
//!
//! Start with [`init`]; what a line looks like is in `line.rs`, the line of a request in `access.rs`, and how they get out
//! in `sink.rs`.

mod access;
mod clock;
mod layer;
mod line;
mod metrics;
mod panic;
mod sink;

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use crate::access::{ACCESS, AccessLine, AccessLog, Name};
use crate::layer::LogLayer;
use crate::line::Style;
use crate::metrics::Recorder;
use crate::sink::Sink;

/// `[log]` of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks. Default [`LogFormat::Auto`].
    pub format: LogFormat,
    /// What is logged: directives of `tracing_subscriber::EnvFilter`, such as `info,wharf_engine=debug`.
    /// Default `info`.
    pub level: String,
    /// Whether each request writes an access line, whatever `level` says. Default true.
    pub access: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { format: LogFormat::Auto, level: "info".into(), access: true }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text when standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One readable line for each event.
    Text,
    /// One JSON object for each event.
    Json,
}

impl LogFormat {
    /// The format with this name in the manifest: `auto`, `text` or `json`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(LogFormat::Auto),
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }

    fn style(self) -> Style {
        match self {
            LogFormat::Text => Style::Text,
            LogFormat::Json => Style::Json,
            LogFormat::Auto if std::io::stderr().is_terminal() => Style::Text,
            LogFormat::Auto => Style::Json,
        }
    }
}

/// Checks the text of [`LogConfig::level`]; the error says what is wrong with it.
pub fn check_level(level: &str) -> Result<(), String> {
    match EnvFilter::builder().parse(level) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Logs and metrics of this process. Dropping it writes out what is still buffered; lines that are logged
/// after that are written directly.
pub struct Telemetry {
    sink: Sink,
    access: Option<AccessLog>,
    recorder: Recorder,
}

/// Installs the subscriber of `tracing`, the recorder of `metrics` and a panic hook that logs, all for the
/// whole process. Call it once, before anything else uses the facades: handles that were made earlier
/// lead nowhere.
///
/// # Errors
/// When `config.level` is not valid, when a subscriber or recorder is installed already, or when the
/// thread that writes cannot be started.
pub fn init(config: &LogConfig) -> Result<Telemetry, InitError> {
    let filter = EnvFilter::builder()
        .parse(&config.level)
        .map_err(|error| InitError(format!("log level {:?}: {error}", config.level)))?;
    let recorder = Recorder::install().map_err(InitError)?;
    let upkeep = recorder.clone();
    let sink = Sink::start(std::io::stderr(), move || upkeep.upkeep())
        .map_err(|error| InitError(format!("cannot start the thread that writes the log: {error}")))?;
    let style = config.format.style();
    tracing_subscriber::registry()
        .with(filter)
        .with(LogLayer::new(style, sink.lines()))
        .try_init()
        .map_err(|error| InitError(error.to_string()))?;
    panic::install_hook(style, sink.lines());
    let access = config.access.then(|| AccessLog::new(style, sink.lines()));
    Ok(Telemetry { sink, access, recorder })
}

impl Telemetry {
    /// Where the line of each request goes; none where [`LogConfig::access`] says that there are none.
    pub fn access_log(&self) -> Option<AccessLog> {
        self.access.clone()
    }

    /// Everything that was measured, in the Prometheus text format 0.0.4, with the usual metrics of the
    /// process: `process_resident_memory_bytes`, `process_open_fds`, `process_cpu_seconds_total` and
    /// `process_start_time_seconds`.
    pub fn render_metrics(&self) -> String {
        self.recorder.render()
    }

    /// A cheap handle that renders like [`Telemetry::render_metrics`], for the admin API.
    pub fn metrics_renderer(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let recorder = self.recorder.clone();
        move || recorder.render()
    }

    /// Waits until every line that was logged before has been written, for at most two seconds.
    pub fn flush(&self) {
        self.sink.flush(Duration::from_secs(2));
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

/// Why logs and metrics could not be set up.
#[derive(Clone, Debug)]
pub struct InitError(String);

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_checked_before_it_is_used() {
        for good in ["info", "warn,wharf_engine=debug", "off", "wharf::gateway=trace"] {
            assert_eq!(check_level(good), Ok(()), "{good}");
        }
        for bad in ["info,wharf=loud", "wharf=debug=trace"] {
            assert!(check_level(bad).is_err(), "{bad}");
        }
    }
}
