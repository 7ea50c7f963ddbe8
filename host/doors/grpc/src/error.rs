//! What is wrong with a message, and where.

use std::fmt;

use wharf_call::{Failure, Kind};

/// Why a message is refused, with the path to the field, such as `order.lines[3].quantity`.
#[derive(Debug)]
pub(crate) struct DecodeError {
    /// From the inside to the outside.
    path: Vec<Step>,
    reason: String,
    kind: Kind,
}

/// A step on the way to a field.
#[derive(Debug)]
pub(crate) enum Step {
    /// To a field by its name in the `.proto`.
    Field(String),
    /// To an item of a list, or to an entry of a map in the order of the message.
    Item(usize),
}

/// The longest path that is shown, in steps from the outside.
const STEPS_MAX: usize = 100;

impl DecodeError {
    #[cold]
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        DecodeError { path: Vec::new(), reason: reason.into(), kind: Kind::BadRequest }
    }

    /// What is asked for is too much rather than wrong.
    #[cold]
    pub(crate) fn too_much(reason: impl Into<String>) -> Self {
        DecodeError { path: Vec::new(), reason: reason.into(), kind: Kind::PayloadTooLarge }
    }

    #[cold]
    pub(crate) fn within(mut self, field: &str) -> Self {
        if self.path.len() < STEPS_MAX {
            self.path.push(Step::Field(field.to_owned()));
        }
        self
    }

    #[cold]
    pub(crate) fn at(mut self, item: usize) -> Self {
        if self.path.len() < STEPS_MAX {
            self.path.push(Step::Item(item));
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, nth) in self.path.iter().rev().zip(0..) {
            match step {
                Step::Field(name) if nth == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(at) => write!(f, "[{at}]")?,
            }
        }
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{colon}{}", self.reason)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Failure::new(error.kind, error.to_string())
    }
}
