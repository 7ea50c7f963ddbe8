//! Examples of types, for documents.

use bytes::Bytes;
use wharf_call::{Function, Type, TypeKind, Value};

use super::Plan;

/// An example larger than this many values explains nothing, and types can be made whose values are endless.
const VALUES_MAX: u32 = 200;

/// A value of `ty` to show; `None` where it would be too large to read.
pub fn example(plan: &Plan, ty: &Type) -> Option<Value> {
    make(plan, ty, "", &mut VALUES_MAX.clone())
}

/// A value for each parameter of `function`.
pub fn example_args(plan: &Plan, function: &Function) -> Option<Vec<Value>> {
    let mut left = VALUES_MAX;
    function.params.iter().map(|param| make(plan, &param.ty, &param.name, &mut left)).collect()
}

fn make(plan: &Plan, ty: &Type, name: &str, left: &mut u32) -> Option<Value> {
    *left = left.checked_sub(1)?;
    let mut within = |ty: &Type| make(plan, ty, "", left);
    Some(match ty {
        Type::Bool => Value::Bool(true),
        Type::S8 | Type::S16 | Type::S32 | Type::S64 => Value::Signed(1),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Value::Unsigned(1),
        Type::F32 => Value::F32(1.5),
        Type::F64 => Value::F64(1.5),
        Type::Char => Value::Char('a'),
        Type::String => Value::String(if name.is_empty() { "text".into() } else { name.replace('-', " ") }),
        Type::Bytes(None) => Value::Bytes(Bytes::from_static(b"bytes")),
        Type::Bytes(Some(n)) if *n <= VALUES_MAX => Value::Bytes(vec![0; *n as usize].into()),
        Type::Bytes(Some(_)) => return None,
        Type::List(item) => Value::List(vec![within(item)?]),
        Type::FixedList(item, n) if *n <= VALUES_MAX => {
            Value::List((0..*n).map(|_| within(item)).collect::<Option<_>>()?)
        }
        Type::FixedList(..) => return None,
        Type::Map(key, value) => Value::Map(vec![(within(key)?, within(value)?)]),
        Type::Tuple(types) => Value::Tuple(types.iter().map(within).collect::<Option<_>>()?),
        // Where the whole would be too large, none is a value, too.
        Type::Option(ty) => Value::some(make(plan, ty, name, left)?),
        Type::Result(ok, _) => Value::Result(Ok(match ok {
            Some(ty) => Some(Box::new(within(ty)?)),
            None => None,
        })),
        Type::Named(id) => match &plan.schema().type_def(*id).kind {
            TypeKind::Record(fields) => {
                let fields = fields.iter().map(|field| make(plan, &field.ty, &field.name, left));
                Value::Record(fields.collect::<Option<_>>()?)
            }
            TypeKind::Variant(cases) => {
                let payload = match &cases.first()?.ty {
                    Some(ty) => Some(Box::new(within(ty)?)),
                    None => None,
                };
                Value::Variant(0, payload)
            }
            TypeKind::Enum(_) => Value::Enum(0),
            TypeKind::Flags(_) => Value::Flags(1),
        },
    })
}
