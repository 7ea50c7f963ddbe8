use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::time::Duration;

use tracing::Level;

use crate::layer::since_epoch;
use crate::line::{Line, Style, Value};
use crate::sink::Lines;

/// Logs a panic like any other event, and waits until it is written: the process may be about to end.
///
/// The line does not go through `tracing`, which drops events of a thread that is inside another event.
pub(crate) fn install_hook(style: Style, lines: Lines) {
    std::panic::set_hook(Box::new(move |info| {
        lines.push(line(style, since_epoch(), info).as_bytes());
        lines.flush(Duration::from_millis(500));
    }));
}

fn line(style: Style, now: Duration, info: &PanicHookInfo<'_>) -> String {
    let mut line = Line::default();
    line.begin(style, now, Level::ERROR, "panic");
    let payload = info.payload_as_str().unwrap_or("a value that is not text");
    line.message(style, &format_args!("panicked: {payload}"));
    let thread = std::thread::current();
    line.field(style, "thread", Value::Str(thread.name().unwrap_or("unnamed")));
    if let Some(location) = info.location() {
        line.field(style, "location", Value::Debug(&format_args!("{location}")));
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        line.field(style, "backtrace", Value::Debug(&format_args!("{backtrace}")));
    }
    line.end(style).to_owned()
}
