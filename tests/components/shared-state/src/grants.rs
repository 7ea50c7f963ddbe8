//! What the manifest gives as plain values.

use crate::Answer;
use crate::wasi::config::store;

/// The environment, sorted lines `NAME=value`.
pub(crate) fn env() -> Answer {
    let mut lines: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.sort();
    Answer::new(200, lines.concat())
}

/// The value of `key`.
pub(crate) fn config(key: &str) -> Answer {
    match store::get(key) {
        Ok(Some(value)) => Answer::new(200, value),
        Ok(None) => Answer::new(404, ""),
        Err(error) => Answer::new(500, format!("{error:?}\n")),
    }
}
