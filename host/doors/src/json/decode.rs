//! From JSON text to values.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use wharf_call::{Type, Value};

use super::containers::{complete, end_of, entries, flags, items, members, single};
use super::context::{Context, INLINE, Limits};
use super::error::{Segment, shown};
use super::plan::Named;
use super::{JsonError, Plan, text};

/// The value of type `ty` that `json` is the text of.
///
/// # Errors
/// When it is not JSON, or not of the type: with the path of what is wrong.
pub fn decode(plan: &Plan, ty: &Type, json: &[u8], limits: Limits) -> Result<Value, JsonError> {
    let mut context = Context::new(plan, limits);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = Seed { context: &mut context, ty }.deserialize(&mut deserializer);
    let decoded = decoded.and_then(|value| deserializer.end().map(|()| value));
    decoded.map_err(|error| context.error(&error))
}

/// Reads a value of `ty`.
pub(super) struct Seed<'c, 'p, 't> {
    pub(super) context: &'c mut Context<'p>,
    pub(super) ty: &'t Type,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Seed<'_, '_, 't> {
    /// The type within an option that shows its value bare, and whether there is such an option.
    fn bare(&self) -> (&'t Type, bool) {
        match self.ty {
            Type::Option(inner) if !matches!(**inner, Type::Option(_)) => (inner, true),
            ty => (ty, false),
        }
    }

    fn wrap<E: de::Error>(self, value: Value) -> Result<Value, E> {
        if self.bare().1 {
            self.context.take(INLINE)?;
            return Ok(Value::some(value));
        }
        Ok(value)
    }

    /// `value`, or that `got` is none of the type.
    fn scalar<E: de::Error>(self, value: Option<Value>, got: impl FnOnce() -> String) -> Result<Value, E> {
        match value {
            Some(value) => self.wrap(value),
            None => Err(self.wrong(&got())),
        }
    }

    fn wrong<E: de::Error>(self, got: &str) -> E {
        let expected = self.context.plan.describe(self.ty);
        self.context.fail(format!("expected {expected}, got {got}"))
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context.plan.describe(self.ty))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        let decoded = matches!(self.bare().0, Type::Bool).then_some(Value::Bool(value));
        self.scalar(decoded, || value.to_string())
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Value, E> {
        let decoded = match self.bare().0 {
            ty @ (Type::F32 | Type::F64) => text::float(ty, n as f64),
            ty => {
                let signed = || i64::try_from(n).ok().and_then(|n| text::signed(ty, n));
                text::unsigned(ty, n).or_else(signed)
            }
        };
        self.scalar(decoded, || format!("the number {n}"))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Value, E> {
        let decoded = match self.bare().0 {
            ty @ (Type::F32 | Type::F64) => text::float(ty, n as f64),
            ty => text::signed(ty, n),
        };
        self.scalar(decoded, || format!("the number {n}"))
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<Value, E> {
        // `1.0` and `1e3` are whole numbers, too. Beyond 2^53 nobody knows which.
        let whole = n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0;
        let decoded = match self.bare().0 {
            ty @ (Type::F32 | Type::F64) => text::float(ty, n),
            ty if whole && n < 0.0 => text::signed(ty, n as i64),
            ty if whole => text::unsigned(ty, n as u64).or_else(|| text::signed(ty, n as i64)),
            _ => None,
        };
        self.scalar(decoded, || format!("the number {n:?}"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        match self.ty {
            Type::Option(_) => Ok(Value::NONE),
            _ => Err(self.wrong("null")),
        }
    }

    fn visit_str<E: de::Error>(self, string: &str) -> Result<Value, E> {
        let decoded = match self.bare().0 {
            Type::String => {
                self.context.take(string.len() as u64)?;
                Some(Value::String(string.to_owned()))
            }
            Type::Char => text::char_from(string),
            Type::Bytes(length) => {
                self.context.take(string.len() as u64)?;
                let bytes = text::bytes_from(string);
                bytes.filter(|bytes| length.is_none_or(|n| bytes.len() == n as usize)).map(Value::Bytes)
            }
            ty @ (Type::F32 | Type::F64) => text::float_named(ty, string),
            ty @ (Type::S64 | Type::U64) => text::integer_from(ty, string),
            ty @ Type::Named(id) => match self.context.plan.named(*id) {
                named @ (Named::Enum(names) | Named::Variant(names, _)) => {
                    let Some((at, position)) = names
                        .position(string, 0)
                        .and_then(|position| Some((u32::try_from(position).ok()?, position)))
                    else {
                        let text = text::no_such_name(self.context.plan, ty, string);
                        return Err(self.context.fail(text));
                    };
                    match named {
                        Named::Variant(_, types) if types[position].is_some() => {
                            let text = format!(r#"the case {string:?} has a value: write {{"{string}": …}}"#);
                            return Err(self.context.fail(text));
                        }
                        Named::Variant(..) => Some(Value::Variant(at, None)),
                        _ => Some(Value::Enum(at)),
                    }
                }
                _ => None,
            },
            _ => None,
        };
        self.scalar(decoded, || format!("the string {:?}", shown(string)))
    }

    fn visit_string<E: de::Error>(self, string: String) -> Result<Value, E> {
        self.visit_str(&string)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let plan = self.context.plan;
        let (ty, _) = self.bare();
        let value = match ty {
            Type::List(item) => Value::List(items(self.context, &mut seq, item, usize::MAX)?),
            Type::FixedList(item, n) => {
                let items = items(self.context, &mut seq, item, *n as usize)?;
                if items.len() != *n as usize {
                    return Err(self
                        .context
                        .fail(format!("expected an array of {n}, got one of {}", items.len())));
                }
                Value::List(items)
            }
            Type::Tuple(types) => {
                self.context.take(types.len() as u64 * INLINE)?;
                let mut values = Vec::with_capacity(types.len());
                for (at, ty) in types.iter().enumerate() {
                    let next = seq.next_element_seed(Seed { context: self.context, ty });
                    match self.context.at(|| Segment::Item(at), next)? {
                        Some(value) => values.push(value),
                        None => {
                            let text = format!("expected an array of {}, got one of {at}", types.len());
                            return Err(self.context.fail(text));
                        }
                    }
                }
                end_of(self.context, &mut seq, types.len())?;
                Value::Tuple(values)
            }
            Type::Named(id) => match plan.named(*id) {
                Named::Flags(names) => Value::Flags(flags(self.context, &mut seq, ty, names)?),
                _ => return Err(self.wrong("an array")),
            },
            _ => return Err(self.wrong("an array")),
        };
        self.wrap(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let plan = self.context.plan;
        if let Type::Option(inner) = self.ty
            && matches!(**inner, Type::Option(_))
        {
            let some = |name: &str| (name == "some").then_some((0, Some(&**inner)));
            let (_, value) = single(self.context, &mut map, self.ty, some)?;
            return Ok(Value::Option(value));
        }
        let (ty, _) = self.bare();
        let value = match ty {
            Type::Map(key, value) => Value::Map(entries(self.context, &mut map, key, value)?),
            Type::Result(ok, error) => {
                let side = |name: &str| match name {
                    "ok" => Some((0, ok.as_deref())),
                    "error" => Some((1, error.as_deref())),
                    _ => None,
                };
                let (at, value) = single(self.context, &mut map, ty, side)?;
                Value::Result(if at == 0 { Ok(value) } else { Err(value) })
            }
            Type::Named(id) => match plan.named(*id) {
                Named::Record(names, types) => {
                    self.context.take(types.len() as u64 * INLINE)?;
                    let mut slots = vec![None; types.len()];
                    members(self.context, &mut map, names, types, &mut slots)?;
                    Value::Record(complete(self.context, names, types, slots)?)
                }
                Named::Variant(names, types) => {
                    let case = |name: &str| {
                        let at = names.position(name, 0)?;
                        Some((at, types[at].as_ref()))
                    };
                    let (at, value) = single(self.context, &mut map, ty, case)?;
                    Value::Variant(at as u32, value)
                }
                _ => return Err(self.wrong("an object")),
            },
            _ => return Err(self.wrong("an object")),
        };
        self.wrap(value)
    }
}
