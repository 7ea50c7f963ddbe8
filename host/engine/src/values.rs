//! Typed values on their way into a guest and out of it: [`Value`] and wasmtime's [`Val`].
//!
//! Strings and lists move; what they hold is not copied here. (wasmtime copies arguments once more before it lowers
//! them, which [`Types::lowered_bytes`] counts.) `Val` has a name for each field, case and flag, and one `Val` for each
//! byte of a `list<u8>`: that is what makes an argument larger than it looks, and what `limits.argument_bytes` bounds.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::Val;
use wharf_call::{Case, Schema, Type, TypeId, TypeKind, Value};

const VAL_BYTES: u64 = size_of::<Val>() as u64;
/// How often an argument exists while it is lowered.
const COPIES: u64 = 2;
/// Up to so many names are compared one by one.
const COMPARED_MAX: usize = 8;

/// The types of one component, and how their values are converted.
pub(crate) struct Types {
    pub(crate) schema: Arc<Schema>,
    /// For each named type with many cases, the position of each by name.
    cases: Vec<Option<HashMap<String, u32>>>,
}

impl Types {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        let index = |cases: &[Case]| {
            let names = || (0..).zip(cases).map(|(at, case)| (case.name.clone(), at));
            (cases.len() > COMPARED_MAX).then(|| names().collect())
        };
        let cases = schema.types.iter().map(|def| match &def.kind {
            TypeKind::Record(_) => None,
            TypeKind::Variant(cases) | TypeKind::Enum(cases) | TypeKind::Flags(cases) => index(cases),
        });
        Types { cases: cases.collect(), schema }
    }

    /// What a value takes in memory on its way into a guest, in bytes, [`COPIES`] of it.
    pub(crate) fn lowered_bytes(&self, ty: &Type, value: &Value) -> u64 {
        self.val_bytes(ty, value).saturating_mul(COPIES)
    }

    fn val_bytes(&self, ty: &Type, value: &Value) -> u64 {
        let all = |ty: &Type, items: &[Value]| {
            items.iter().fold(0_u64, |sum, item| sum.saturating_add(self.val_bytes(ty, item)))
        };
        let within = match (ty, value) {
            (_, Value::String(text)) => text.len() as u64,
            (_, Value::Bytes(bytes)) => (bytes.len() as u64).saturating_mul(VAL_BYTES),
            (Type::List(ty) | Type::FixedList(ty, _), Value::List(items)) => all(ty, items),
            (Type::Map(key, value), Value::Map(entries)) => entries.iter().fold(0_u64, |sum, (k, v)| {
                sum.saturating_add(self.val_bytes(key, k)).saturating_add(self.val_bytes(value, v))
            }),
            (Type::Tuple(types), Value::Tuple(items)) => {
                types.iter().zip(items).map(|(ty, item)| self.val_bytes(ty, item)).sum()
            }
            (Type::Option(ty), Value::Option(Some(value)))
            | (Type::Result(Some(ty), _), Value::Result(Ok(Some(value))))
            | (Type::Result(_, Some(ty)), Value::Result(Err(Some(value)))) => self.val_bytes(ty, value),
            (Type::Named(id), value) => match (&self.schema.type_def(*id).kind, value) {
                (TypeKind::Record(fields), Value::Record(values)) => {
                    let field = |(field, value): (&wharf_call::Field, _)| {
                        (size_of::<String>() + field.name.len()) as u64 + self.val_bytes(&field.ty, value)
                    };
                    fields.iter().zip(values).map(field).sum()
                }
                (TypeKind::Variant(cases), Value::Variant(at, payload)) => {
                    cases.get(*at as usize).map_or(0, |case| match (&case.ty, payload) {
                        (Some(ty), Some(value)) => case.name.len() as u64 + self.val_bytes(ty, value),
                        _ => case.name.len() as u64,
                    })
                }
                (TypeKind::Enum(cases), Value::Enum(at)) => {
                    cases.get(*at as usize).map_or(0, |case| case.name.len() as u64)
                }
                (TypeKind::Flags(flags), Value::Flags(_)) => {
                    flags.iter().map(|flag| (size_of::<String>() + flag.name.len()) as u64).sum()
                }
                _ => 0,
            },
            _ => 0,
        };
        VAL_BYTES.saturating_add(within)
    }

    /// The value as wasmtime takes it; nothing, if it is not one of `ty`.
    pub(crate) fn lower(&self, ty: &Type, value: Value) -> Option<Val> {
        let all = |ty: &Type, items: Vec<Value>| {
            items.into_iter().map(|item| self.lower(ty, item)).collect::<Option<Vec<_>>>()
        };
        let payload = |ty: Option<&Type>, value: Option<Box<Value>>| match (ty, value) {
            (Some(ty), Some(value)) => Some(Some(Box::new(self.lower(ty, *value)?))),
            (None, None) => Some(None),
            _ => None,
        };
        Some(match (ty, value) {
            (Type::Bool, Value::Bool(value)) => Val::Bool(value),
            (Type::S8, Value::Signed(n)) => Val::S8(n.try_into().ok()?),
            (Type::S16, Value::Signed(n)) => Val::S16(n.try_into().ok()?),
            (Type::S32, Value::Signed(n)) => Val::S32(n.try_into().ok()?),
            (Type::S64, Value::Signed(n)) => Val::S64(n),
            (Type::U8, Value::Unsigned(n)) => Val::U8(n.try_into().ok()?),
            (Type::U16, Value::Unsigned(n)) => Val::U16(n.try_into().ok()?),
            (Type::U32, Value::Unsigned(n)) => Val::U32(n.try_into().ok()?),
            (Type::U64, Value::Unsigned(n)) => Val::U64(n),
            (Type::F32, Value::F32(x)) => Val::Float32(one_nan_f32(x)),
            (Type::F64, Value::F64(x)) => Val::Float64(one_nan_f64(x)),
            (Type::Char, Value::Char(value)) => Val::Char(value),
            (Type::String, Value::String(text)) => Val::String(text),
            (Type::Bytes(None), Value::Bytes(bytes)) => {
                Val::List(bytes.iter().copied().map(Val::U8).collect())
            }
            (Type::Bytes(Some(n)), Value::Bytes(bytes)) if bytes.len() == *n as usize => {
                Val::FixedLengthList(bytes.iter().copied().map(Val::U8).collect())
            }
            (Type::List(item), Value::List(items)) => Val::List(all(item, items)?),
            (Type::FixedList(item, n), Value::List(items)) if items.len() == *n as usize => {
                Val::FixedLengthList(all(item, items)?)
            }
            (Type::Map(key, value), Value::Map(entries)) => {
                let entry = |(k, v)| Some((self.lower(key, k)?, self.lower(value, v)?));
                Val::Map(entries.into_iter().map(entry).collect::<Option<_>>()?)
            }
            (Type::Tuple(types), Value::Tuple(items)) if types.len() == items.len() => {
                let items = types.iter().zip(items).map(|(ty, item)| self.lower(ty, item));
                Val::Tuple(items.collect::<Option<_>>()?)
            }
            (Type::Option(_), Value::Option(None)) => Val::Option(None),
            (Type::Option(ty), Value::Option(some)) => Val::Option(payload(Some(ty), some)?),
            (Type::Result(ok, _), Value::Result(Ok(value))) => {
                Val::Result(Ok(payload(ok.as_deref(), value)?))
            }
            (Type::Result(_, error), Value::Result(Err(value))) => {
                Val::Result(Err(payload(error.as_deref(), value)?))
            }
            (Type::Named(id), value) => self.lower_named(*id, value)?,
            _ => return None,
        })
    }

    fn lower_named(&self, id: TypeId, value: Value) -> Option<Val> {
        Some(match (&self.schema.type_def(id).kind, value) {
            (TypeKind::Record(fields), Value::Record(values)) if fields.len() == values.len() => {
                let field = |(field, value): (&wharf_call::Field, _)| {
                    Some((field.name.clone(), self.lower(&field.ty, value)?))
                };
                Val::Record(fields.iter().zip(values).map(field).collect::<Option<_>>()?)
            }
            (TypeKind::Variant(cases), Value::Variant(at, payload)) => {
                let case = cases.get(at as usize)?;
                let payload = match (&case.ty, payload) {
                    (Some(ty), Some(value)) => Some(Box::new(self.lower(ty, *value)?)),
                    (None, None) => None,
                    _ => return None,
                };
                Val::Variant(case.name.clone(), payload)
            }
            (TypeKind::Enum(cases), Value::Enum(at)) => Val::Enum(cases.get(at as usize)?.name.clone()),
            (TypeKind::Flags(flags), Value::Flags(set)) if flags.len() >= 32 || set < 1 << flags.len() => {
                let is_set = |at: usize| set >> at & 1 == 1;
                let names = flags.iter().enumerate().filter(|(at, _)| is_set(*at));
                Val::Flags(names.map(|(_, flag)| flag.name.clone()).collect())
            }
            _ => return None,
        })
    }

    /// The value as callers take it; nothing, if it is not one of `ty`, which would be a mistake of ours.
    pub(crate) fn lift(&self, ty: &Type, val: Val) -> Option<Value> {
        let all = |ty: &Type, items: Vec<Val>| {
            items.into_iter().map(|item| self.lift(ty, item)).collect::<Option<Vec<_>>>()
        };
        let payload = |ty: Option<&Type>, val: Option<Box<Val>>| match (ty, val) {
            (Some(ty), Some(val)) => Some(Some(Box::new(self.lift(ty, *val)?))),
            (None, None) => Some(None),
            _ => None,
        };
        Some(match (ty, val) {
            (Type::Bool, Val::Bool(value)) => Value::Bool(value),
            (Type::S8, Val::S8(n)) => Value::Signed(n.into()),
            (Type::S16, Val::S16(n)) => Value::Signed(n.into()),
            (Type::S32, Val::S32(n)) => Value::Signed(n.into()),
            (Type::S64, Val::S64(n)) => Value::Signed(n),
            (Type::U8, Val::U8(n)) => Value::Unsigned(n.into()),
            (Type::U16, Val::U16(n)) => Value::Unsigned(n.into()),
            (Type::U32, Val::U32(n)) => Value::Unsigned(n.into()),
            (Type::U64, Val::U64(n)) => Value::Unsigned(n),
            (Type::F32, Val::Float32(x)) => Value::F32(one_nan_f32(x)),
            (Type::F64, Val::Float64(x)) => Value::F64(one_nan_f64(x)),
            (Type::Char, Val::Char(value)) => Value::Char(value),
            (Type::String, Val::String(text)) => Value::String(text),
            (Type::Bytes(_), Val::List(items) | Val::FixedLengthList(items)) => {
                let byte = |item| if let Val::U8(byte) = item { Some(byte) } else { None };
                Value::Bytes(Bytes::from(items.into_iter().map(byte).collect::<Option<Vec<u8>>>()?))
            }
            (Type::List(item), Val::List(items))
            | (Type::FixedList(item, _), Val::FixedLengthList(items)) => Value::List(all(item, items)?),
            (Type::Map(key, value), Val::Map(entries)) => {
                let entry = |(k, v)| Some((self.lift(key, k)?, self.lift(value, v)?));
                Value::Map(entries.into_iter().map(entry).collect::<Option<_>>()?)
            }
            (Type::Tuple(types), Val::Tuple(items)) if types.len() == items.len() => {
                let items = types.iter().zip(items).map(|(ty, item)| self.lift(ty, item));
                Value::Tuple(items.collect::<Option<_>>()?)
            }
            (Type::Option(_), Val::Option(None)) => Value::Option(None),
            (Type::Option(ty), Val::Option(some)) => Value::Option(payload(Some(ty), some)?),
            (Type::Result(ok, _), Val::Result(Ok(val))) => Value::Result(Ok(payload(ok.as_deref(), val)?)),
            (Type::Result(_, error), Val::Result(Err(val))) => {
                Value::Result(Err(payload(error.as_deref(), val)?))
            }
            (Type::Named(id), val) => self.lift_named(*id, val)?,
            _ => return None,
        })
    }

    fn lift_named(&self, id: TypeId, val: Val) -> Option<Value> {
        Some(match (&self.schema.type_def(id).kind, val) {
            // wasmtime gives the fields in the order of the type.
            (TypeKind::Record(fields), Val::Record(vals)) if fields.len() == vals.len() => {
                let vals = fields.iter().zip(vals).map(|(field, (_, val))| self.lift(&field.ty, val));
                Value::Record(vals.collect::<Option<_>>()?)
            }
            (TypeKind::Variant(cases), Val::Variant(name, payload)) => {
                let at = self.position(id, cases, &name)?;
                let payload = match (&cases[at as usize].ty, payload) {
                    (Some(ty), Some(val)) => Some(Box::new(self.lift(ty, *val)?)),
                    (None, None) => None,
                    _ => return None,
                };
                Value::Variant(at, payload)
            }
            (TypeKind::Enum(cases), Val::Enum(name)) => Value::Enum(self.position(id, cases, &name)?),
            (TypeKind::Flags(flags), Val::Flags(names)) => {
                let bit =
                    |set, name: &String| Some(set | 1_u32.checked_shl(self.position(id, flags, name)?)?);
                Value::Flags(names.iter().try_fold(0, bit)?)
            }
            _ => return None,
        })
    }

    fn position(&self, id: TypeId, cases: &[Case], name: &str) -> Option<u32> {
        match self.cases.get(id.0 as usize)? {
            Some(index) => index.get(name).copied(),
            None => (0..).zip(cases).find(|(_, case)| case.name == name).map(|(at, _)| at),
        }
    }
}

/// The component model has one NaN.
fn one_nan_f32(x: f32) -> f32 {
    if x.is_nan() { f32::NAN } else { x }
}

fn one_nan_f64(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x }
}

/// What a value says, in bytes: a text or bytes as long as they are, everything else eight. It is what the limits of bodies
/// are held to, because what a value takes in memory is no client's business.
pub(crate) fn payload_bytes(value: &Value) -> u64 {
    let all = |items: &[Value]| items.iter().map(payload_bytes).sum();
    let boxed = |value: &Option<Box<Value>>| value.as_deref().map_or(1, payload_bytes);
    match value {
        Value::String(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) | Value::Tuple(items) | Value::Record(items) => all(items),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| payload_bytes(key) + payload_bytes(value)).sum()
        }
        Value::Variant(_, payload) | Value::Option(payload) => boxed(payload),
        Value::Result(Ok(payload) | Err(payload)) => boxed(payload),
        _ => 8,
    }
}
