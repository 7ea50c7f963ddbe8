use std::fmt;

use wharf_call::{Failure, Kind};

/// Why a text is not the value that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Which value, such as `order.lines[3].quantity`; empty for the whole.
    pub path: String,
    /// What is wrong with it, for the client.
    pub text: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.text),
            path => write!(f, "{path}: {}", self.text),
        }
    }
}

impl std::error::Error for JsonError {}

/// What the client sent is not valid.
impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Failure::new(Kind::BadRequest, error.to_string())
    }
}

/// A step on the way to a value.
pub(super) enum Segment {
    Member(String),
    Item(usize),
    Key(String),
}

/// The most of a name out of a request that is shown, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A name out of a request, cut to a length that can be shown.
pub(super) fn shown(name: &str) -> String {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    if end < name.len() { format!("{}…", &name[..end]) } else { name.to_owned() }
}

/// The path of steps that were collected from the inside to the outside.
pub(super) fn path(segments: &[Segment]) -> String {
    let mut out = String::new();
    for segment in segments.iter().rev() {
        match segment {
            Segment::Member(name) if out.is_empty() => out.push_str(name),
            Segment::Member(name) => {
                out.push('.');
                out.push_str(name);
            }
            Segment::Item(at) => out.push_str(&format!("[{at}]")),
            Segment::Key(key) => out.push_str(&format!("[{key:?}]")),
        }
    }
    out
}
