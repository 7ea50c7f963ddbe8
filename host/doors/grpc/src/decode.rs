//! From the wire to values, by the plan.
//!
//! The rules of proto3 hold: the last of several scalars counts, several messages in one field are merged, of a oneof the
//! last case counts, repeated scalars come packed or not, unknown fields are skipped. What a value costs in memory is taken from an
//! allowance before it is made, because a message may expand: one byte of a packed list is a whole [`Value`].

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use wharf_call::Value;

use crate::error::DecodeError;
use crate::plan::{Case, Content, Field, Message, MessageId, Plan, Scalar, Shape, Single};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads the fields of a message that stands for a list of values, such as a request.
///
/// `allowance_bytes` bounds what all of its values may take in memory.
///
/// # Errors
/// Anything that is not a message of these fields, by the path of the field.
pub(crate) fn decode(
    plan: &Plan,
    fields: &[Field],
    message: &Bytes,
    allowance_bytes: u64,
) -> Result<Vec<Value>> {
    let mut decoder = Decoder { plan, allowance: allowance_bytes, whole: allowance_bytes };
    decoder.fields(fields, Source { bytes: message, shared: Some(message) })
}

struct Decoder<'a> {
    plan: &'a Plan,
    /// What is left of the memory, in bytes.
    allowance: u64,
    whole: u64,
}

/// Bytes of a message.
#[derive(Clone, Copy)]
struct Source<'a> {
    bytes: &'a [u8],
    /// What they are a part of, if that can be shared.
    shared: Option<&'a Bytes>,
}

/// What has been seen of a field.
enum Slot<'a> {
    Missing,
    Scalar(Value),
    /// The bytes of a message; those of several, one after the other, are the merged message.
    Message(Cow<'a, [u8]>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>, HashMap<Key, usize>),
}

/// The key of a map.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Number(i128),
    Text(String),
}

impl<'a> Decoder<'a> {
    /// Takes from the allowance what a value takes with `more` bytes beside it.
    fn charge(&mut self, more: usize) -> Result<()> {
        self.charge_many(1, more)
    }

    fn charge_many(&mut self, values: usize, more: usize) -> Result<()> {
        let needed = (values as u64).saturating_mul(size_of::<Value>() as u64).saturating_add(more as u64);
        match self.allowance.checked_sub(needed) {
            Some(left) => {
                self.allowance = left;
                Ok(())
            }
            None => Err(DecodeError::too_much(format!(
                "the values of this message take more than {} bytes of memory, which is the most for one message",
                self.whole
            ))),
        }
    }

    fn fields(&mut self, fields: &[Field], source: Source<'_>) -> Result<Vec<Value>> {
        self.charge_many(fields.len(), 0)?;
        let mut slots: Vec<Slot<'_>> = Vec::with_capacity(fields.len());
        slots.resize_with(fields.len(), || Slot::Missing);
        let first = fields.first().map_or(1, |field| field.number);
        let mut rest = source.bytes;
        while !rest.is_empty() {
            let (number, wire) = key(&mut rest)?;
            let at = number.checked_sub(first).map(|at| at as usize);
            match at.and_then(|at| fields.get(at).zip(slots.get_mut(at))) {
                Some((field, slot)) => self
                    .seen(field, slot, wire, &mut rest, source.shared)
                    .map_err(|error| error.within(&field.name))?,
                None => skip(wire, number, &mut rest)?,
            }
        }
        let values = fields.iter().zip(slots).map(|(field, slot)| {
            self.settle(field, slot, source.shared).map_err(|error| error.within(&field.name))
        });
        values.collect()
    }

    /// Takes note of one occurrence of a field.
    fn seen<'b>(
        &mut self,
        field: &Field,
        slot: &mut Slot<'b>,
        wire: WireType,
        rest: &mut &'b [u8],
        shared: Option<&Bytes>,
    ) -> Result<()> {
        match field.content {
            Content::One(single) | Content::Optional(single) => {
                self.single_seen(single, slot, wire, rest, shared)
            }
            Content::Repeated(Single::Scalar(scalar), _) => {
                if !matches!(slot, Slot::List(_)) {
                    *slot = Slot::List(Vec::new());
                }
                let Slot::List(items) = slot else { return Ok(()) };
                if wire == WireType::LengthDelimited && scalar.wire() != WireType::LengthDelimited {
                    let mut packed = delimited(rest)?;
                    while !packed.is_empty() {
                        self.charge(0)?;
                        let at = items.len();
                        items.push(
                            self.scalar(scalar, scalar.wire(), &mut packed, None).map_err(|e| e.at(at))?,
                        );
                    }
                } else {
                    self.charge(0)?;
                    let at = items.len();
                    items.push(self.scalar(scalar, wire, rest, shared).map_err(|error| error.at(at))?);
                }
                Ok(())
            }
            Content::Repeated(Single::Message(id), _) => {
                expect(wire, WireType::LengthDelimited)?;
                let bytes = delimited(rest)?;
                if !matches!(slot, Slot::List(_)) {
                    *slot = Slot::List(Vec::new());
                }
                let Slot::List(items) = slot else { return Ok(()) };
                self.charge(0)?;
                let at = items.len();
                items.push(self.message(id, Source { bytes, shared }).map_err(|error| error.at(at))?);
                Ok(())
            }
            Content::Map(key, value) => {
                expect(wire, WireType::LengthDelimited)?;
                let bytes = delimited(rest)?;
                if !matches!(slot, Slot::Map(..)) {
                    *slot = Slot::Map(Vec::new(), HashMap::new());
                }
                let Slot::Map(entries, places) = slot else { return Ok(()) };
                let nth = entries.len();
                let entry =
                    self.entry(key, value, Source { bytes, shared }).map_err(|error| error.at(nth))?;
                let place = Key::of(&entry.0);
                // Once for the entry and once for the index of keys.
                self.charge_many(4, if let Key::Text(text) = &place { text.len() } else { 0 })?;
                match places.get(&place) {
                    Some(at) => entries[*at] = entry,
                    None => {
                        places.insert(place, nth);
                        entries.push(entry);
                    }
                }
                Ok(())
            }
        }
    }

    fn single_seen<'b>(
        &mut self,
        single: Single,
        slot: &mut Slot<'b>,
        wire: WireType,
        rest: &mut &'b [u8],
        shared: Option<&Bytes>,
    ) -> Result<()> {
        match single {
            Single::Scalar(scalar) => *slot = Slot::Scalar(self.scalar(scalar, wire, rest, shared)?),
            Single::Message(_) => {
                expect(wire, WireType::LengthDelimited)?;
                append(slot, delimited(rest)?);
            }
        }
        Ok(())
    }

    /// The value of a field of which everything has been seen.
    fn settle(&mut self, field: &Field, slot: Slot<'_>, shared: Option<&Bytes>) -> Result<Value> {
        match (field.content, slot) {
            (Content::One(Single::Scalar(scalar)), Slot::Missing) => zero(scalar),
            (Content::One(Single::Message(_)), Slot::Missing) => Err(DecodeError::new("is missing")),
            (Content::Optional(_), Slot::Missing) => Ok(Value::NONE),
            (Content::Repeated(_, length), Slot::Missing) => of_length(Vec::new(), length),
            (Content::Map(..), Slot::Missing) => Ok(Value::Map(Vec::new())),
            (Content::One(_), Slot::Scalar(value)) => Ok(value),
            (Content::Optional(_), Slot::Scalar(value)) => {
                self.charge(0)?;
                Ok(Value::some(value))
            }
            (Content::One(Single::Message(id)), Slot::Message(bytes)) => self.merged(id, bytes, shared),
            (Content::Optional(Single::Message(id)), Slot::Message(bytes)) => {
                self.charge(0)?;
                Ok(Value::some(self.merged(id, bytes, shared)?))
            }
            (Content::Repeated(_, length), Slot::List(items)) => of_length(items, length),
            (Content::Map(..), Slot::Map(entries, _)) => Ok(Value::Map(entries)),
            // `seen` fills a slot by the same content.
            _ => Err(DecodeError::new("is of another kind")),
        }
    }

    fn merged(&mut self, id: MessageId, bytes: Cow<'_, [u8]>, shared: Option<&Bytes>) -> Result<Value> {
        let shared = if matches!(bytes, Cow::Borrowed(_)) { shared } else { None };
        self.message(id, Source { bytes: &bytes, shared })
    }

    fn message(&mut self, id: MessageId, source: Source<'_>) -> Result<Value> {
        let plan = self.plan;
        let Message { name, shape } = plan.message(id);
        match shape {
            Shape::Record(fields) => self.fields(fields, source).map(Value::Record),
            Shape::Tuple(fields) => self.fields(fields, source).map(Value::Tuple),
            Shape::Flags(flags) => set_flags(*flags, source.bytes).map(Value::Flags),
            Shape::Variant(cases) => {
                let (case, payload) = self.case(name, cases, source)?;
                Ok(Value::Variant(case, payload))
            }
            Shape::Result(cases) => {
                let (case, payload) = self.case(name, cases, source)?;
                Ok(Value::Result(if case == 0 { Ok(payload) } else { Err(payload) }))
            }
            Shape::Wrapper(field) => {
                let mut values = self.fields(std::slice::from_ref(field), source)?;
                values.pop().ok_or_else(|| DecodeError::new("is missing"))
            }
        }
    }

    fn case(&mut self, name: &str, cases: &[Case], source: Source<'_>) -> Result<(u32, Option<Box<Value>>)> {
        let mut chosen: Option<(u32, &Case)> = None;
        let mut slot = Slot::Missing;
        let mut rest = source.bytes;
        while !rest.is_empty() {
            let (number, wire) = key(&mut rest)?;
            let at = number.checked_sub(1);
            let Some((at, case)) = at.and_then(|at| Some((at, cases.get(at as usize)?))) else {
                skip(wire, number, &mut rest)?;
                continue;
            };
            if chosen.is_none_or(|(other, _)| other != at) {
                slot = Slot::Missing;
            }
            chosen = Some((at, case));
            let seen = match case.payload {
                Some(single) => self.single_seen(single, &mut slot, wire, &mut rest, source.shared),
                None => expect(wire, WireType::LengthDelimited)
                    .and_then(|()| delimited(&mut rest))
                    .and_then(empty),
            };
            seen.map_err(|error| error.within(&case.name))?;
        }
        let Some((at, case)) = chosen else {
            let names: Vec<_> = cases.iter().take(8).map(|case| case.name.as_str()).collect();
            let short = name.rsplit('.').next().unwrap_or_default();
            return Err(DecodeError::new(format!("no case of {short} is set, such as {}", names.join(", "))));
        };
        let payload = match (case.payload, slot) {
            (None, _) => None,
            (Some(Single::Message(id)), Slot::Message(bytes)) => {
                self.charge(0)?;
                let value =
                    self.merged(id, bytes, source.shared).map_err(|error| error.within(&case.name))?;
                Some(Box::new(value))
            }
            (_, Slot::Scalar(value)) => {
                self.charge(0)?;
                Some(Box::new(value))
            }
            _ => return Err(DecodeError::new("is missing").within(&case.name)),
        };
        Ok((at, payload))
    }

    fn entry(&mut self, key_type: Scalar, value_type: Single, source: Source<'_>) -> Result<(Value, Value)> {
        let (mut key_slot, mut value_slot) = (Slot::Missing, Slot::Missing);
        let mut rest = source.bytes;
        while !rest.is_empty() {
            let (number, wire) = key(&mut rest)?;
            let seen = match number {
                1 => self
                    .single_seen(Single::Scalar(key_type), &mut key_slot, wire, &mut rest, source.shared)
                    .map_err(|error| error.within("key")),
                2 => self
                    .single_seen(value_type, &mut value_slot, wire, &mut rest, source.shared)
                    .map_err(|error| error.within("value")),
                _ => skip(wire, number, &mut rest),
            };
            seen?;
        }
        let key = match key_slot {
            Slot::Scalar(key) => key,
            _ => zero(key_type).map_err(|error| error.within("key"))?,
        };
        let value = match (value_type, value_slot) {
            (_, Slot::Scalar(value)) => Ok(value),
            (Single::Message(id), Slot::Message(bytes)) => self.merged(id, bytes, source.shared),
            (Single::Scalar(scalar), _) => zero(scalar),
            // The value of an entry is never missing: one that is not on the wire is the empty message.
            (Single::Message(id), _) => self.message(id, Source { bytes: &[], shared: None }),
        };
        Ok((key, value.map_err(|error| error.within("value"))?))
    }

    fn scalar(
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

impl Key {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(key) => Key::Number((*key).into()),
            Value::Signed(key) => Key::Number((*key).into()),
            Value::Unsigned(key) => Key::Number((*key).into()),
            Value::Char(key) => Key::Number(u32::from(*key).into()),
            Value::String(key) => Key::Text(key.clone()),
            // Not the key of a map in WIT.
            _ => Key::Number(0),
        }
    }
}

/// What a scalar is when it is not on the wire.
fn zero(scalar: Scalar) -> Result<Value> {
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

fn of_length(items: Vec<Value>, length: Option<u32>) -> Result<Value> {
    if length.is_some_and(|length| length as usize != items.len()) {
        return Err(wrong_length(items.len(), length, "items"));
    }
    Ok(Value::List(items))
}

fn wrong_length(has: usize, length: Option<u32>, what: &str) -> DecodeError {
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
fn set_flags(flags: u32, mut rest: &[u8]) -> Result<u32> {
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

/// Reads over a message that has no fields.
fn empty(mut rest: &[u8]) -> Result<()> {
    while !rest.is_empty() {
        let (number, wire) = key(&mut rest)?;
        skip(wire, number, &mut rest)?;
    }
    Ok(())
}

fn append<'b>(slot: &mut Slot<'b>, bytes: &'b [u8]) {
    match slot {
        Slot::Message(seen) => seen.to_mut().extend_from_slice(bytes),
        _ => *slot = Slot::Message(Cow::Borrowed(bytes)),
    }
}

fn expect(found: WireType, needed: WireType) -> Result<()> {
    if found == needed {
        return Ok(());
    }
    Err(DecodeError::new(format!(
        "has the wire type {found:?} and needs {needed:?}: the client was built for another contract"
    )))
}

fn key(rest: &mut &[u8]) -> Result<(u32, WireType)> {
    decode_key(rest).map_err(malformed)
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    decode_varint(rest).map_err(malformed)
}

fn skip(wire: WireType, number: u32, rest: &mut &[u8]) -> Result<()> {
    skip_field(wire, number, rest, DecodeContext::default()).map_err(malformed)
}

fn delimited<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8]> {
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

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let Some((bytes, after)) = rest.split_first_chunk() else {
        return Err(DecodeError::new("the message ends within it"));
    };
    *rest = after;
    Ok(*bytes)
}

fn text<'b>(rest: &mut &'b [u8]) -> Result<&'b str> {
    std::str::from_utf8(delimited(rest)?).map_err(|_| DecodeError::new("is not valid UTF-8"))
}

fn malformed(error: prost::DecodeError) -> DecodeError {
    DecodeError::new(format!("is not valid protobuf: {error}"))
}
