//! What any message is made of.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::Result;
use crate::error::DecodeError;

pub(super) fn expect(found: WireType, needed: WireType) -> Result<()> {
    if found == needed {
        return Ok(());
    }
    Err(DecodeError::new(format!(
        "has the wire type {found:?} and needs {needed:?}: the client was built for another contract"
    )))
}

pub(super) fn key(rest: &mut &[u8]) -> Result<(u32, WireType)> {
    decode_key(rest).map_err(malformed)
}

pub(super) fn varint(rest: &mut &[u8]) -> Result<u64> {
    decode_varint(rest).map_err(malformed)
}

pub(super) fn skip(wire: WireType, number: u32, rest: &mut &[u8]) -> Result<()> {
    skip_field(wire, number, rest, DecodeContext::default()).map_err(malformed)
}

pub(super) fn delimited<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8]> {
    let length = varint(rest)?;
    let taken = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let Some((bytes, after)) = taken else {
        return Err(DecodeError::new(format!(
            "is said to be {length} bytes long, and the message ends after {}",
            rest.len()
        )));
    };
    *rest = after;
    Ok(bytes)
}

pub(super) fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let Some((bytes, after)) = rest.split_first_chunk() else {
        return Err(DecodeError::new("the message ends within it"));
    };
    *rest = after;
    Ok(*bytes)
}

pub(super) fn text<'b>(rest: &mut &'b [u8]) -> Result<&'b str> {
    std::str::from_utf8(delimited(rest)?).map_err(|_| DecodeError::new("is not valid UTF-8"))
}

/// Reads over a message that has no fields.
pub(super) fn empty(mut rest: &[u8]) -> Result<()> {
    while !rest.is_empty() {
        let (number, wire) = key(&mut rest)?;
        skip(wire, number, &mut rest)?;
    }
    Ok(())
}

fn malformed(error: prost::DecodeError) -> DecodeError {
    DecodeError::new(format!("is not valid protobuf: {error}"))
}
