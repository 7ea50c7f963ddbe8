//! From values to the wire, by the plan.

use prost::encoding::{WireType, encode_key, encode_varint};
use wharf_call::{Failure, Kind, Value};

use crate::plan::{Case, Content, Field, MessageId, Plan, Scalar, Shape, Single};

type Result = std::result::Result<(), Failure>;

/// Appends the message that has `value` in `field`, or nothing in it.
///
/// # Errors
/// [`Kind::ResponseTooLarge`] beyond `bytes_max`; [`Kind::Internal`] for a value that is not of the field's type.
pub(crate) fn encode(
    plan: &Plan,
    field: Option<&Field>,
    value: Option<&Value>,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result {
    let mut encoder = Encoder { plan, end: out.len().saturating_add(bytes_max), bytes_max, out };
    match (field, value) {
        (Some(field), Some(value)) => encoder.field(field, value),
        (None, None) => Ok(()),
        _ => Err(mismatch()),
    }
}

/// Appends the message `id` that is `value`. Errors are those of [`encode`].
pub(crate) fn encode_message(
    plan: &Plan,
    id: MessageId,
    value: &Value,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result {
    let mut encoder = Encoder { plan, end: out.len().saturating_add(bytes_max), bytes_max, out };
    encoder.message(id, value)
}

/// Appends the fields of a request, which only a client does. Errors are those of [`encode`].
#[cfg(any(test, feature = "testing"))]
pub(crate) fn encode_fields(plan: &Plan, fields: &[Field], values: &[Value], out: &mut Vec<u8>) -> Result {
    let mut encoder = Encoder { plan, end: usize::MAX, bytes_max: usize::MAX, out };
    encoder.fields(fields, values)
}

struct Encoder<'a> {
    plan: &'a Plan,
    out: &'a mut Vec<u8>,
    /// How long `out` may become.
    end: usize,
    bytes_max: usize,
}

impl Encoder<'_> {
    /// Refuses to grow by `more` bytes beyond the end.
    fn room(&self, more: usize) -> Result {
        if self.out.len().saturating_add(more) <= self.end {
            return Ok(());
        }
        let said = format!(
            "The response is larger than {} bytes, which is the most for one message.",
            self.bytes_max
        );
        Err(Failure::new(Kind::ResponseTooLarge, said))
    }

    fn fields(&mut self, fields: &[Field], values: &[Value]) -> Result {
        if fields.len() != values.len() {
            return Err(mismatch());
        }
        fields.iter().zip(values).try_for_each(|(field, value)| self.field(field, value))
    }

    fn field(&mut self, field: &Field, value: &Value) -> Result {
        let number = field.number;
        match (field.content, value) {
            (Content::One(Single::Scalar(_)), value) if is_zero(value) => Ok(()),
            (Content::One(single), value) => self.single(number, single, value),
            (Content::Optional(_), Value::Option(None)) => Ok(()),
            (Content::Optional(single), Value::Option(Some(value))) => self.single(number, single, value),
            (Content::Repeated(_, Some(length)), Value::List(items)) if items.len() != length as usize => {
                Err(mismatch())
            }
            (Content::Repeated(Single::Scalar(scalar), _), Value::List(items))
                if scalar.wire() != WireType::LengthDelimited =>
            {
                if items.is_empty() {
                    return Ok(());
                }
                self.delimited(number, |encoder| {
                    items.iter().try_for_each(|item| encoder.scalar(scalar, item))
                })
            }
            (Content::Repeated(single, _), Value::List(items)) => {
                items.iter().try_for_each(|item| self.single(number, single, item))
            }
            (Content::Map(key, value), Value::Map(entries)) => entries.iter().try_for_each(|(k, v)| {
                self.delimited(number, |encoder| {
                    encoder.single(1, Single::Scalar(key), k)?;
                    encoder.single(2, value, v)
                })
            }),
            _ => Err(mismatch()),
        }
    }

    /// A value with its key, whatever it is.
    fn single(&mut self, number: u32, single: Single, value: &Value) -> Result {
        match single {
            Single::Message(id) => self.delimited(number, |encoder| encoder.message(id, value)),
            Single::Scalar(scalar) => {
                encode_key(number, scalar.wire(), self.out);
                self.scalar(scalar, value)
            }
        }
    }

    /// A message within its length. The length is put in when it is known: most take the one byte that is kept for it,
    /// and moving a long message by a few bytes costs less than walking through all values twice.
    fn delimited(&mut self, number: u32, write: impl FnOnce(&mut Self) -> Result) -> Result {
        encode_key(number, WireType::LengthDelimited, self.out);
        let at = self.out.len();
        self.out.push(0);
        write(self)?;
        self.room(0)?;
        let length = self.out.len() - at - 1;
        if length < 0x80 {
            self.out[at] = length as u8;
            return Ok(());
        }
        let mut varint = [0_u8; 10];
        let mut free = &mut varint[..];
        encode_varint(length as u64, &mut free);
        let taken = 10 - free.len();
        self.out.splice(at..=at, varint[..taken].iter().copied());
        Ok(())
    }

    fn message(&mut self, id: MessageId, value: &Value) -> Result {
        let plan = self.plan;
        match (&plan.message(id).shape, value) {
            (Shape::Record(fields), Value::Record(values)) | (Shape::Tuple(fields), Value::Tuple(values)) => {
                self.fields(fields, values)
            }
            (Shape::Flags(flags), Value::Flags(set)) => {
                for flag in (0..(*flags).min(32)).filter(|flag| set & 1 << flag != 0) {
                    encode_key(flag + 1, WireType::Varint, self.out);
                    self.out.push(1);
                }
                Ok(())
            }
            (Shape::Variant(cases), Value::Variant(case, payload)) => {
                self.case(cases, *case, payload.as_deref())
            }
            (Shape::Result(cases), Value::Result(Ok(payload))) => self.case(cases, 0, payload.as_deref()),
            (Shape::Result(cases), Value::Result(Err(payload))) => self.case(cases, 1, payload.as_deref()),
            (Shape::Wrapper(field), value) => self.field(field, value),
            _ => Err(mismatch()),
        }
    }

    fn case(&mut self, cases: &[Case], case: u32, payload: Option<&Value>) -> Result {
        match (cases.get(case as usize).map(|case| case.payload), payload) {
            (Some(Some(single)), Some(value)) => self.single(case + 1, single, value),
            (Some(None), None) => self.delimited(case + 1, |_| Ok(())),
            _ => Err(mismatch()),
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) -> Result {
        match (scalar, value) {
            (Scalar::Bool, Value::Bool(on)) => self.out.push((*on).into()),
            (Scalar::S8 | Scalar::S16 | Scalar::S32, Value::Signed(n)) => {
                let n = i32::try_from(*n).map_err(|_| mismatch())?;
                self.varint(((n << 1) ^ (n >> 31)) as u32);
            }
            (Scalar::S64, Value::Signed(n)) => self.varint(((n << 1) ^ (n >> 63)) as u64),
            (Scalar::U8 | Scalar::U16 | Scalar::U32, Value::Unsigned(n)) => {
                self.varint(u32::try_from(*n).map_err(|_| mismatch())?);
            }
            (Scalar::U64, Value::Unsigned(n)) => self.varint(*n),
            (Scalar::F32, Value::F32(n)) => self.out.extend_from_slice(&n.to_le_bytes()),
            (Scalar::F64, Value::F64(n)) => self.out.extend_from_slice(&n.to_le_bytes()),
            (Scalar::Char, Value::Char(c)) => self.bytes(c.encode_utf8(&mut [0; 4]).as_bytes())?,
            (Scalar::String, Value::String(text)) => self.bytes(text.as_bytes())?,
            (Scalar::Bytes(length), Value::Bytes(bytes)) => {
                if length.is_some_and(|length| length as usize != bytes.len()) {
                    return Err(mismatch());
                }
                self.bytes(bytes)?;
            }
            (Scalar::Enum(cases), Value::Enum(case)) if *case < cases => self.varint(case + 1),
            _ => return Err(mismatch()),
        }
        self.room(0)
    }

    fn varint(&mut self, n: impl Into<u64>) {
        encode_varint(n.into(), self.out);
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result {
        self.room(bytes.len())?;
        self.varint(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// Whether a scalar is what its absence stands for. Minus zero is not.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::Signed(n) => *n == 0,
        Value::Unsigned(n) => *n == 0,
        Value::F32(n) => n.to_bits() == 0,
        Value::F64(n) => n.to_bits() == 0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        _ => false,
    }
}

#[cold]
fn mismatch() -> Failure {
    Failure::new(Kind::Internal, "The plugin's answer is not of the type that it declares.")
}
