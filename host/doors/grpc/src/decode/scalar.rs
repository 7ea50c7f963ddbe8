//! Values that are no messages, and flags, which are a message of nothing but bits.

use bytes::Bytes;
use prost::encoding::WireType;
use wharf_call::Value;

use super::wire::{delimited, expect, fixed, key, skip, text, varint};
use super::{Decoder, Result};
use crate::error::DecodeError;
use crate::plan::Scalar;

impl Decoder<'_> {
    pub(super) fn scalar(
        &mut self,
        scalar: Scalar,
        wire: WireType,
        rest: &mut &[u8],
        shared: Option<&Bytes>,
    ) -> Result<Value> {
        expect(wire, scalar.wire())?;
        match scalar {
            Scalar::Bool => Ok(Value::Bool(varint(rest)? != 0)),
            // Readers of 32 bits take the lower half, as protobuf has it; the sign is in the lowest bit.
            Scalar::S8 => signed(zigzag32(varint(rest)?), i8::MIN.into(), i8::MAX.into(), "s8"),
            Scalar::S16 => signed(zigzag32(varint(rest)?), i16::MIN.into(), i16::MAX.into(), "s16"),
            Scalar::S32 => Ok(Value::Signed(zigzag32(varint(rest)?))),
            Scalar::S64 => {
                let n = varint(rest)?;
                Ok(Value::Signed((n >> 1) as i64 ^ -((n & 1) as i64)))
            }
            Scalar::U8 => unsigned(varint(rest)? as u32, u8::MAX.into(), "u8"),
            Scalar::U16 => unsigned(varint(rest)? as u32, u16::MAX.into(), "u16"),
            Scalar::U32 => Ok(Value::Unsigned((varint(rest)? as u32).into())),
            Scalar::U64 => Ok(Value::Unsigned(varint(rest)?)),
            Scalar::F32 => {
                let n = f32::from_le_bytes(fixed(rest)?);
                Ok(Value::F32(if n.is_nan() { f32::NAN } else { n }))
            }
            Scalar::F64 => {
                let n = f64::from_le_bytes(fixed(rest)?);
                Ok(Value::F64(if n.is_nan() { f64::NAN } else { n }))
            }
            Scalar::Char => {
                let text = text(rest)?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Ok(Value::Char(c)),
                    _ => Err(DecodeError::new("has to be exactly one character")),
                }
            }
            Scalar::String => {
                let text = text(rest)?;
                self.charge_many(0, text.len())?;
                Ok(Value::String(text.to_owned()))
            }
            Scalar::Bytes(length) => {
                let bytes = delimited(rest)?;
                self.charge_many(0, bytes.len())?;
                if length.is_some_and(|length| length as usize != bytes.len()) {
                    return Err(wrong_length(bytes.len(), length, "bytes"));
                }
                Ok(Value::Bytes(match shared {
                    Some(whole) => whole.slice_ref(bytes),
                    None => Bytes::copy_from_slice(bytes),
                }))
            }
            Scalar::Enum(cases) => enum_case(varint(rest)? as i32, cases),
        }
    }
}

/// What a scalar is when it is not on the wire.
pub(super) fn zero(scalar: Scalar) -> Result<Value> {
    Ok(match scalar {
        Scalar::Bool => Value::Bool(false),
        Scalar::S8 | Scalar::S16 | Scalar::S32 | Scalar::S64 => Value::Signed(0),
        Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => Value::Unsigned(0),
        Scalar::F32 => Value::F32(0.0),
        Scalar::F64 => Value::F64(0.0),
        Scalar::String => Value::String(String::new()),
        Scalar::Char => return Err(DecodeError::new("has to be exactly one character, and is missing")),
        Scalar::Bytes(None | Some(0)) => Value::Bytes(Bytes::new()),
        Scalar::Bytes(length) => return Err(wrong_length(0, length, "bytes")),
        Scalar::Enum(cases) => return enum_case(0, cases),
    })
}

fn enum_case(number: i32, cases: u32) -> Result<Value> {
    match u32::try_from(number) {
        Ok(0) => Err(DecodeError::new(format!("is not specified: it has to be one of 1 to {cases}"))),
        Ok(number) if number <= cases => Ok(Value::Enum(number - 1)),
        _ => Err(DecodeError::new(format!("has no case {number}: it has to be one of 1 to {cases}"))),
    }
}

pub(super) fn wrong_length(has: usize, length: Option<u32>, what: &str) -> DecodeError {
    DecodeError::new(format!("has {has} {what} and needs exactly {}", length.unwrap_or_default()))
}

fn signed(n: i64, min: i64, max: i64, ty: &str) -> Result<Value> {
    if (min..=max).contains(&n) {
        return Ok(Value::Signed(n));
    }
    Err(DecodeError::new(format!("{n} is no {ty}, which is {min} to {max}")))
}

fn unsigned(n: u32, max: u32, ty: &str) -> Result<Value> {
    if n <= max {
        return Ok(Value::Unsigned(n.into()));
    }
    Err(DecodeError::new(format!("{n} is no {ty}, which is 0 to {max}")))
}

fn zigzag32(n: u64) -> i64 {
    let n = n as u32;
    i64::from((n >> 1) as i32 ^ -((n & 1) as i32))
}

/// The flags whose field is set, of so many.
pub(super) fn set_flags(flags: u32, mut rest: &[u8]) -> Result<u32> {
    let mut set = 0;
    while !rest.is_empty() {
        let (number, wire) = key(&mut rest)?;
        if !(1..=flags.min(32)).contains(&number) {
            skip(wire, number, &mut rest)?;
            continue;
        }
        expect(wire, WireType::Varint)?;
        let bit = 1 << (number - 1);
        if varint(&mut rest)? != 0 { set |= bit } else { set &= !bit }
    }
    Ok(set)
}
