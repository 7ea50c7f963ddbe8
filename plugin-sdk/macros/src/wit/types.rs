//! WIT types in Rust, as `wit-bindgen` has them.

use heck::ToUpperCamelCase;
use wit_bindgen_core::wit_parser::{Resolve, Type, TypeDefKind, TypeId};

/// The name of a type in its module.
pub(crate) fn type_name(name: &str) -> String {
    match name {
        "guest" => "Guest_".to_owned(),
        name => name.to_upper_camel_case(),
    }
}

/// What an alias stands for.
pub(crate) fn behind(resolve: &Resolve, ty: Type) -> Type {
    match ty {
        Type::Id(id) => match resolve.types[id].kind {
            TypeDefKind::Type(other) => behind(resolve, other),
            _ => ty,
        },
        _ => ty,
    }
}

/// The definition behind aliases, of a type that has one.
pub(crate) fn definition(resolve: &Resolve, ty: Type) -> Option<(TypeId, &TypeDefKind)> {
    match behind(resolve, ty) {
        Type::Id(id) => Some((id, &resolve.types[id].kind)),
        _ => None,
    }
}

/// Whether it is, or holds, something that is not a value: a resource, a stream, a future.
pub(crate) fn holds_handles(resolve: &Resolve, ty: Type) -> bool {
    let held = |ty: &Type| holds_handles(resolve, *ty);
    match ty {
        Type::ErrorContext => true,
        Type::Id(id) => match &resolve.types[id].kind {
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown => true,
            TypeDefKind::Record(record) => record.fields.iter().any(|field| held(&field.ty)),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().any(held),
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().filter_map(|case| case.ty.as_ref()).any(held)
            }
            TypeDefKind::Option(ty)
            | TypeDefKind::List(ty)
            | TypeDefKind::FixedLengthList(ty, _)
            | TypeDefKind::Type(ty) => held(ty),
            TypeDefKind::Map(key, value) => held(key) || held(value),
            TypeDefKind::Result(result) => result.ok.iter().chain(&result.err).any(held),
            TypeDefKind::Flags(_) | TypeDefKind::Enum(_) => false,
        },
        _ => false,
    }
}

/// The type as Rust, within the module of an interface that knows all named ones.
pub(crate) fn rust(resolve: &Resolve, ty: &Type) -> String {
    let id = match ty {
        Type::Bool => return "bool".to_owned(),
        Type::U8 => return "u8".to_owned(),
        Type::U16 => return "u16".to_owned(),
        Type::U32 => return "u32".to_owned(),
        Type::U64 => return "u64".to_owned(),
        Type::S8 => return "i8".to_owned(),
        Type::S16 => return "i16".to_owned(),
        Type::S32 => return "i32".to_owned(),
        Type::S64 => return "i64".to_owned(),
        Type::F32 => return "f32".to_owned(),
        Type::F64 => return "f64".to_owned(),
        Type::Char => return "char".to_owned(),
        Type::String | Type::ErrorContext => return "::std::string::String".to_owned(),
        Type::Id(id) => *id,
    };
    let def = &resolve.types[id];
    if let Some(name) = &def.name {
        return type_name(name);
    }
    let rust = |ty: &Type| rust(resolve, ty);
    match &def.kind {
        TypeDefKind::Option(ty) => format!("::core::option::Option<{}>", rust(ty)),
        TypeDefKind::List(ty) => format!("::std::vec::Vec<{}>", rust(ty)),
        TypeDefKind::FixedLengthList(ty, n) => format!("[{}; {n}]", rust(ty)),
        TypeDefKind::Map(key, value) => {
            format!("::std::collections::BTreeMap<{}, {}>", rust(key), rust(value))
        }
        TypeDefKind::Tuple(tuple) => {
            let types: String = tuple.types.iter().map(|ty| rust(ty) + ",").collect();
            format!("({types})")
        }
        TypeDefKind::Result(result) => format!(
            "::core::result::Result<{}, {}>",
            optional(resolve, result.ok.as_ref()),
            optional(resolve, result.err.as_ref())
        ),
        TypeDefKind::Type(ty) => rust(ty),
        // Whatever else has no name is no value, and was refused.
        _ => "()".to_owned(),
    }
}

/// The same, for a place where nothing may be.
pub(crate) fn optional(resolve: &Resolve, ty: Option<&Type>) -> String {
    ty.map_or_else(|| "()".to_owned(), |ty| rust(resolve, ty))
}
