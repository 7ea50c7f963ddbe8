//! JSON Schema (2020-12) of WIT types: what [`decode`](super::decode) takes and [`encode`](super::encode) writes.
//!
//! It describes the form that is written. Of what is taken in addition (numbers for 64-bit integers, the URL-safe alphabet of
//! base64) it says nothing, so that clients made of it agree on one form.

use serde_json::{Map, Value as Json, json};
use wharf_call::{Docs, Type, TypeId};

use super::Plan;
use super::plan::Named;

/// The schema of `ty`. A named type is a `$ref` to what `reference` says.
pub fn of(ty: &Type, reference: &dyn Fn(TypeId) -> String) -> Json {
    let within = |ty: &Type| of(ty, reference);
    match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::S8 => integer(i64::from(i8::MIN), i64::from(i8::MAX)),
        Type::S16 => integer(i64::from(i16::MIN), i64::from(i16::MAX)),
        Type::S32 => integer(i64::from(i32::MIN), i64::from(i32::MAX)),
        Type::U8 => integer(0, i64::from(u8::MAX)),
        Type::U16 => integer(0, i64::from(u16::MAX)),
        Type::U32 => integer(0, i64::from(u32::MAX)),
        Type::S64 => json!({"type": "string", "format": "int64", "pattern": SIGNED}),
        Type::U64 => json!({"type": "string", "format": "uint64", "pattern": UNSIGNED}),
        Type::F32 => float("float"),
        Type::F64 => float("double"),
        Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Type::String => json!({"type": "string"}),
        Type::Bytes(None) => {
            json!({"type": "string", "contentEncoding": "base64", "pattern": format!("^({FOUR})*({ONE}|{TWO})?$")})
        }
        Type::Bytes(Some(n)) => {
            let tail = ["", ONE, TWO][(n % 3) as usize];
            let pattern = format!("^({FOUR}){{{}}}{tail}$", n / 3);
            json!({"type": "string", "contentEncoding": "base64", "pattern": pattern})
        }
        Type::List(item) => json!({"type": "array", "items": within(item)}),
        Type::FixedList(item, n) => {
            json!({"type": "array", "items": within(item), "minItems": n, "maxItems": n})
        }
        Type::Map(key, value) => {
            let mut schema = json!({"type": "object", "additionalProperties": within(value)});
            if let Some(names) = key_names(key) {
                schema["propertyNames"] = names;
            }
            schema
        }
        Type::Tuple(types) => {
            let items: Vec<_> = types.iter().map(within).collect();
            let n = items.len();
            json!({"type": "array", "prefixItems": items, "items": false, "minItems": n, "maxItems": n})
        }
        Type::Option(inner) if matches!(**inner, Type::Option(_)) => {
            json!({"anyOf": [one_member("some", within(inner)), {"type": "null"}]})
        }
        Type::Option(inner) => json!({"anyOf": [within(inner), {"type": "null"}]}),
        Type::Result(ok, error) => {
            let payload = |ty: &Option<Box<Type>>| match ty {
                Some(ty) => within(ty),
                None => json!({"type": "null"}),
            };
            json!({"oneOf": [one_member("ok", payload(ok)), one_member("error", payload(error))]})
        }
        Type::Named(id) => json!({"$ref": reference(*id)}),
    }
}

/// The schema of the named type `id` itself.
pub fn of_definition(plan: &Plan, id: TypeId, reference: &dyn Fn(TypeId) -> String) -> Json {
    use wharf_call::TypeKind;

    let def = plan.schema().type_def(id);
    let names = plan.names(id);
    let mut schema = match (plan.named(id), &def.kind) {
        (Named::Record(..), TypeKind::Record(fields)) => {
            let described = fields.iter().map(|field| {
                let mut schema = of(&field.ty, reference);
                describe(&mut schema, &field.docs);
                (&field.ty, schema)
            });
            object(names.iter().zip(described).map(|(name, (ty, schema))| (name, ty, schema)))
        }
        (Named::Variant(_, types), TypeKind::Variant(cases)) => {
            let cases = names.iter().zip(types).zip(cases).map(|((name, ty), case)| {
                let mut schema = match ty {
                    Some(ty) => one_member(name, of(ty, reference)),
                    None => json!({"const": name}),
                };
                describe(&mut schema, &case.docs);
                schema
            });
            json!({"oneOf": cases.collect::<Vec<_>>()})
        }
        (Named::Flags(_), _) => {
            let names: Vec<_> = names.iter().collect();
            json!({"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": true})
        }
        _ => json!({"type": "string", "enum": names.iter().collect::<Vec<_>>()}),
    };
    let mut docs = def.docs.clone();
    if let TypeKind::Enum(cases) | TypeKind::Flags(cases) = &def.kind {
        // JSON Schema has no place for what is to be said of a single name.
        for case in cases.iter().filter(|case| !case.docs.text.is_empty()) {
            docs.text.push_str(&format!("\n- `{}`: {}", case.name, case.docs.summary()));
        }
    }
    docs.text = docs.text.trim_start().to_owned();
    describe(&mut schema, &docs);
    schema
}

/// An object of these members, of which those that are no options are required.
pub fn object<'a>(members: impl Iterator<Item = (&'a str, &'a Type, Json)>) -> Json {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, ty, schema) in members {
        if !matches!(ty, Type::Option(_)) {
            required.push(name);
        }
        properties.insert(name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = json!(false);
    schema
}

/// Adds what the author says.
pub fn describe(schema: &mut Json, docs: &Docs) {
    if !docs.text.is_empty() {
        schema["description"] = json!(docs.text);
    }
    if docs.deprecated.is_some() {
        schema["deprecated"] = json!(true);
    }
}

/// Three bytes, and one or two at the end, in base64: what pads them is zero.
const FOUR: &str = "[A-Za-z0-9+/]{4}";
const ONE: &str = "[A-Za-z0-9+/][AQgw]==";
const TWO: &str = "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=";

const SIGNED: &str = "^(0|-?[1-9][0-9]{0,18})$";
const UNSIGNED: &str = "^(0|[1-9][0-9]{0,19})$";

fn integer(min: i64, max: i64) -> Json {
    json!({"type": "integer", "minimum": min, "maximum": max})
}

fn float(format: &str) -> Json {
    let mut number = json!({"type": "number", "format": format});
    if format == "float" {
        // As it is written: a hair above the largest single, to which it is rounded.
        number["minimum"] = json!(-3.402_823_5e38);
        number["maximum"] = json!(3.402_823_5e38);
    }
    json!({"anyOf": [number, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
}

fn one_member(name: &str, schema: Json) -> Json {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}

/// Which names a map may have; any where the key is a string.
fn key_names(key: &Type) -> Option<Json> {
    match key {
        Type::String => None,
        Type::Bool => Some(json!({"enum": ["true", "false"]})),
        Type::Char => Some(json!({"minLength": 1, "maxLength": 1})),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Some(json!({"pattern": UNSIGNED})),
        _ => Some(json!({"pattern": SIGNED})),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
pub(crate) mod tests;
