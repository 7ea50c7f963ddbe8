//! What a group of operations did, as bytes that do it again.
//!
//! Invariant: an effect is absolute, the value that a key has afterwards and never the increment that made
//! it. So doing effects again, in their order, over a state that has them already ends in the same state;
//! with an increment it would be counted twice after a crash.
//!
//! The bytes are a row of entries, each a kind and one or two texts with their length before them, in 32
//! bits, little-endian. `BUCKET name` says where those that follow belong; `SET key value` and
//! `DELETE key` are the effects.

const BUCKET: u8 = 1;
const SET: u8 = 2;
const DELETE: u8 = 3;

/// What a key has after a group; without a value when it was deleted.
pub(crate) struct Effect<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) value: Option<&'a [u8]>,
}

/// The bytes of `effects`; `None` when they are more than `bytes_max`: half of a group is of no use.
pub(crate) fn record<'a>(effects: impl Iterator<Item = Effect<'a>>, bytes_max: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut current = None;
    for Effect { bucket, key, value } in effects {
        if current != Some(bucket) {
            bytes.push(BUCKET);
            put(&mut bytes, bucket.as_bytes());
            current = Some(bucket);
        }
        bytes.push(if value.is_some() { SET } else { DELETE });
        put(&mut bytes, key.as_bytes());
        if let Some(value) = value {
            put(&mut bytes, value);
        }
        if bytes.len() > bytes_max {
            return None;
        }
    }
    Some(bytes)
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("keys, values and names are far below 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text);
}

/// Bytes that [`record`] did not write, or that a newer version did.
#[derive(Debug)]
pub(crate) struct Malformed;

/// The effects in `bytes`.
pub(crate) fn read(bytes: &[u8]) -> impl Iterator<Item = Result<Effect<'_>, Malformed>> {
    let mut rest = bytes;
    let mut bucket = None;
    std::iter::from_fn(move || {
        let effect = next(&mut rest, &mut bucket).transpose()?;
        if effect.is_err() {
            rest = &[];
        }
        Some(effect)
    })
}

/// The next effect; `None` at the end.
fn next<'a>(rest: &mut &'a [u8], bucket: &mut Option<&'a str>) -> Result<Option<Effect<'a>>, Malformed> {
    while let Some(kind) = rest.split_off_first() {
        let name = std::str::from_utf8(text(rest)?).map_err(|_| Malformed)?;
        let value = match *kind {
            BUCKET => {
                *bucket = Some(name);
                continue;
            }
            SET => Some(text(rest)?),
            DELETE => None,
            _ => return Err(Malformed),
        };
        let bucket = bucket.ok_or(Malformed)?;
        return Ok(Some(Effect { bucket, key: name, value }));
    }
    Ok(None)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, after) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = after;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed)?;
    rest.split_off(..length).ok_or(Malformed)
}
