//! What is wrong with an argument, and where.

use std::fmt;

use super::view::View;

/// Why an argument is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputError {
    /// As in `order.lines[3].quantity`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl InputError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        InputError { path: String::new(), text: text.into() }
    }

    pub(crate) fn within(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }

    pub(super) fn at(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
        self
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path, self.text)
    }
}

pub(super) fn expected(what: &str, got: &View<'_>) -> InputError {
    match got {
        View::Missing => InputError::new("is missing."),
        View::Null => InputError::new("must not be null."),
        other => InputError::new(format!("must be {what}, and is {}.", other.what())),
    }
}

/// Names for a message: the first ten.
pub(super) fn list_names(names: &[String]) -> String {
    let first = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{first} and {} more", names.len() - 10) } else { first }
}

/// What a client wrote, as much as fits in a message.
pub(super) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(64);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}
