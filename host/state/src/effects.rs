//! What a group of operations did, as bytes that do it again.
//!
//! Invariant: an effect is absolute, the value that a key has afterwards and never the increment that made
//! it. So doing effects again, in their order, over a state that has them already ends in the same state;
//! with an increment it would be counted twice after a crash.
//!
//! The bytes are a row of entries, each a kind and one or two texts with their length before them, in 32
//! bits, little-endian. `BUCKET name` says where those that follow belong; `SET key value` and
//! `DELETE key` are the effects.

use bytes::Bytes;
use wharf_call::Change;

const BUCKET: u8 = 1;
const SET: u8 = 2;
const DELETE: u8 = 3;

/// Collects effects, up to a size. Beyond it nothing is kept: half of a group is of no use.
pub(crate) struct Effects {
    bytes: Vec<u8>,
    bytes_max: usize,
    bucket: Option<String>,
    complete: bool,
}

impl Effects {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Effects { bytes: Vec::new(), bytes_max, bucket: None, complete: true }
    }

    pub(crate) fn push(&mut self, bucket: &str, change: &Change) {
        let entry = 1 + 4 + change.key().len() + change.value().map_or(0, |value| 4 + value.len());
        let is_other = self.bucket.as_deref() != Some(bucket);
        let bytes = entry + if is_other { 1 + 4 + bucket.len() } else { 0 };
        if !self.complete || self.bytes.len() + bytes > self.bytes_max {
            self.complete = false;
            self.bytes = Vec::new();
            return;
        }
        if is_other {
            self.bytes.push(BUCKET);
            self.text(bucket.as_bytes());
            self.bucket = Some(bucket.to_owned());
        }
        self.bytes.push(if change.value().is_some() { SET } else { DELETE });
        self.text(change.key().as_bytes());
        change.value().inspect(|value| self.text(value));
    }

    /// All of them; `None` when they are larger than they may be.
    pub(crate) fn record(&self) -> Option<&[u8]> {
        self.complete.then_some(&self.bytes)
    }

    fn text(&mut self, text: &[u8]) {
        let length = u32::try_from(text.len()).expect("keys, values and names are far below 4 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(text);
    }
}

/// Bytes that [`Effects`] did not write, or that a newer version did.
#[derive(Debug)]
pub(crate) struct Malformed;

/// The effects that were collected in `record`, each with its bucket.
pub(crate) fn read(record: &[u8]) -> impl Iterator<Item = Result<(&str, Change), Malformed>> {
    let mut rest = record;
    let mut bucket = None;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            match next(&mut rest) {
                Ok(Entry::Bucket(name)) => bucket = Some(name),
                Ok(Entry::Change(change)) => return Some(bucket.map(|name| (name, change)).ok_or(Malformed)),
                Err(malformed) => {
                    rest = &[];
                    return Some(Err(malformed));
                }
            }
        }
        None
    })
}

enum Entry<'a> {
    Bucket(&'a str),
    Change(Change),
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Entry<'a>, Malformed> {
    let kind = *rest.split_off_first().ok_or(Malformed)?;
    let first = std::str::from_utf8(text(rest)?).map_err(|_| Malformed)?;
    match kind {
        BUCKET => Ok(Entry::Bucket(first)),
        SET => Ok(Entry::Change(Change::Set {
            key: first.to_owned(),
            value: Bytes::copy_from_slice(text(rest)?),
        })),
        DELETE => Ok(Entry::Change(Change::Delete { key: first.to_owned() })),
        _ => Err(Malformed),
    }
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, after) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = after;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed)?;
    rest.split_off(..length).ok_or(Malformed)
}
