//! Typed values on their way between a door and a plugin.

use bytes::Bytes;

/// One value of a WIT type.
///
/// A value says nothing about names: fields, cases and flags are positions in the type that it belongs to, which is
/// found in the [`Schema`](crate::Schema). Whoever makes one has checked it against that type, see
/// [`Schema::admits`](crate::Schema::admits); a plugin is never handed one of another type, because the engine checks again.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `bool`.
    Bool(bool),
    /// `s8` to `s64`.
    Signed(i64),
    /// `u8` to `u64`.
    Unsigned(u64),
    /// `f32`. There is one NaN: the component model keeps no payload.
    F32(f32),
    /// `f64`.
    F64(f64),
    /// `char`.
    Char(char),
    /// `string`.
    String(String),
    /// `list<u8>`, and `list<u8, N>`.
    Bytes(Bytes),
    /// `list<T>` and `list<T, N>` of anything but bytes.
    List(Vec<Value>),
    /// `map<K, V>`. Of equal keys, the last one counts.
    Map(Vec<(Value, Value)>),
    /// `tuple<…>`, in its order.
    Tuple(Vec<Value>),
    /// The fields of a record, in the order of its type.
    Record(Vec<Value>),
    /// The case of a variant by its position, with its payload if that case has one.
    Variant(u32, Option<Box<Value>>),
    /// The case of an enum by its position.
    Enum(u32),
    /// The flags that are set: bit 0 is the first one.
    Flags(u32),
    /// `option<T>`.
    Option(Option<Box<Value>>),
    /// `result<T, E>` within another type.
    Result(Result<Option<Box<Value>>, Option<Box<Value>>>),
}

impl Value {
    /// `some(value)`.
    pub fn some(value: Value) -> Self {
        Value::Option(Some(Box::new(value)))
    }

    /// `none`.
    pub const NONE: Value = Value::Option(None);

    /// What it takes in memory, in bytes, with everything in it: an upper bound where capacity is known, and near it
    /// elsewhere. It is what a call with it is charged for in the memory budget.
    pub fn footprint(&self) -> u64 {
        let inline = size_of::<Value>() as u64;
        inline
            + match self {
                Value::String(text) => text.capacity() as u64,
                Value::Bytes(bytes) => bytes.len() as u64,
                Value::List(items) | Value::Tuple(items) | Value::Record(items) => {
                    let spare = (items.capacity() - items.len()) as u64 * inline;
                    spare + items.iter().map(Value::footprint).sum::<u64>()
                }
                Value::Map(entries) => {
                    let spare = (entries.capacity() - entries.len()) as u64 * 2 * inline;
                    spare
                        + entries.iter().map(|(key, value)| key.footprint() + value.footprint()).sum::<u64>()
                }
                Value::Variant(_, payload) | Value::Option(payload) => boxed(payload),
                Value::Result(Ok(payload) | Err(payload)) => boxed(payload),
                _ => 0,
            }
    }
}

fn boxed(payload: &Option<Box<Value>>) -> u64 {
    payload.as_ref().map_or(0, |payload| payload.footprint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footprint_counts_what_is_within() {
        let one = size_of::<Value>() as u64;
        assert_eq!(Value::Bool(true).footprint(), one);
        assert_eq!(Value::some(Value::Unsigned(1)).footprint(), 2 * one);
        let text = Value::String("x".repeat(1_000));
        assert!(text.footprint() >= one + 1_000);
        let mut many = Vec::with_capacity(100);
        many.push(Value::Bool(false));
        assert_eq!(Value::List(many).footprint(), 101 * one);
    }
}
