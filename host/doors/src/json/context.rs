use serde::de;
use wharf_call::Value;
use wharf_call::units::show_size;

use super::error::{Segment, path};
use super::{JsonError, Plan};

/// What a text may become.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most that the values take in memory, in bytes, as [`Value::footprint`] counts it. Default 4 MiB.
    pub value_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { value_bytes_max: 4 << 20 }
    }
}

/// What is known while a text is read: what is left to take, and on the way out of an error, where it was.
pub(super) struct Context<'p> {
    pub(super) plan: &'p Plan,
    limit: u64,
    left: u64,
    /// What is wrong, when that is known better than the parser does.
    text: Option<String>,
    /// Where, collected on the way out.
    path: Vec<Segment>,
}

pub(super) const INLINE: u64 = size_of::<Value>() as u64;

impl<'p> Context<'p> {
    pub(super) fn new(plan: &'p Plan, limits: Limits) -> Self {
        let left = limits.value_bytes_max;
        Context { plan, limit: left, left, text: None, path: Vec::new() }
    }

    /// What the client is told of `error`.
    pub(super) fn error(&mut self, error: &serde_json::Error) -> JsonError {
        let text = self.text.take().unwrap_or_else(|| format!("this is not JSON: {error}"));
        JsonError { path: path(&self.path), text }
    }

    /// The error that tells the client `text`.
    pub(super) fn fail<E: de::Error>(&mut self, text: String) -> E {
        self.text = Some(text);
        E::custom("")
    }

    /// Takes `bytes` of what the values may have.
    pub(super) fn take<E: de::Error>(&mut self, bytes: u64) -> Result<(), E> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                let max = show_size(self.limit);
                return Err(self
                    .fail(format!("takes more than {max} in memory, which is the most that is taken here")));
            }
        }
        Ok(())
    }

    /// Room for one more item, paid for.
    pub(super) fn push<T, E: de::Error>(&mut self, items: &mut Vec<T>, item: T) -> Result<(), E> {
        if items.len() == items.capacity() {
            let more = items.len().max(4);
            self.take((more * size_of::<T>()) as u64)?;
            items.reserve_exact(more);
        }
        items.push(item);
        Ok(())
    }

    /// Where `result` is from, if it is an error.
    pub(super) fn at<T, E>(
        &mut self,
        segment: impl FnOnce() -> Segment,
        result: Result<T, E>,
    ) -> Result<T, E> {
        if result.is_err() {
            self.path.push(segment());
        }
        result
    }
}
