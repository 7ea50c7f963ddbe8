//! For tests of values on their way through the door: what a client writes, selects and reads, written down a second time.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use wharf_call::{Schema, Type, TypeKind, Value};

fn camel(name: &str) -> String {
    wharf_doors::names::lower_camel(name)
}

/// The JSON of a value as `MAPPING.md` has it: the one that goes in, or the one that comes out.
pub fn json_of(schema: &Schema, ty: &Type, value: &Value, input: bool) -> Json {
    let of = |ty: &Type, value: &Value| json_of(schema, ty, value, input);
    // Where null is taken: an input's option is an object there.
    let payload = |ty: &Type, value: &Value| match (ty, value) {
        (Type::Option(_), value) if input => json!({ "value": of(ty, value) }),
        (ty, value) => of(ty, value),
    };
    let float = |wide: f64, text: String| match wide {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ => serde_json::from_str(&text).unwrap(),
    };
    let case = |name: String, ty: Option<&Type>, value: &Option<Box<Value>>| match (ty, value) {
        (Some(ty), Some(value)) => json!({ name: payload(ty, value) }),
        _ => json!({ name: true }),
    };
    match (ty, value) {
        (Type::S64, Value::Signed(n)) => json!(n.to_string()),
        (Type::U64, Value::Unsigned(n)) => json!(n.to_string()),
        (_, Value::Bool(value)) => json!(value),
        (_, Value::Signed(n)) => json!(n),
        (_, Value::Unsigned(n)) => json!(n),
        (_, Value::F32(n)) => float((*n).into(), serde_json::to_string(n).unwrap()),
        (_, Value::F64(n)) => float(*n, serde_json::to_string(n).unwrap()),
        (_, Value::Char(char)) => json!(char),
        (_, Value::String(text)) => json!(text),
        (_, Value::Bytes(bytes)) => {
            use base64::Engine;
            json!(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        (Type::List(item) | Type::FixedList(item, _), Value::List(items)) => {
            items.iter().map(|value| of(item, value)).collect()
        }
        (Type::Map(key, value), Value::Map(entries)) => {
            entries.iter().map(|(k, v)| json!({ "key": of(key, k), "value": of(value, v) })).collect()
        }
        (Type::Tuple(types), Value::Tuple(values)) => {
            let fields = types.iter().zip(values).enumerate();
            Json::Object(fields.map(|(at, (ty, value))| (format!("f{at}"), of(ty, value))).collect())
        }
        (Type::Option(_), Value::Option(None)) => Json::Null,
        (Type::Option(inner), Value::Option(Some(value))) => match **inner {
            Type::Option(_) => json!({ "value": of(inner, value) }),
            ref inner => of(inner, value),
        },
        (Type::Result(ok, _), Value::Result(Ok(value))) => case("ok".into(), ok.as_deref(), value),
        (Type::Result(_, error), Value::Result(Err(value))) => case("error".into(), error.as_deref(), value),
        (Type::Named(id), value) => match (&schema.type_def(*id).kind, value) {
            (TypeKind::Record(fields), Value::Record(values)) => {
                let fields = fields.iter().zip(values);
                Json::Object(
                    fields.map(|(field, value)| (camel(&field.name), of(&field.ty, value))).collect(),
                )
            }
            (TypeKind::Variant(cases), Value::Variant(at, value)) => {
                let of = &cases[*at as usize];
                case(camel(&of.name), of.ty.as_ref(), value)
            }
            (TypeKind::Enum(cases), Value::Enum(at)) => {
                json!(wharf_doors::names::screaming(&cases[*at as usize].name))
            }
            (TypeKind::Flags(flags), Value::Flags(set)) => {
                let set = flags.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
                set.map(|(_, flag)| json!(wharf_doors::names::screaming(&flag.name))).collect()
            }
            _ => unreachable!(),
        },
        _ => unreachable!("{ty:?} {value:?}"),
    }
}

/// Everything of a type, as the introspected schema has it.
pub fn select(types: &HashMap<String, Json>, ty: &Json) -> String {
    if ty["kind"] == "LIST" || ty["kind"] == "NON_NULL" {
        return select(types, &ty["ofType"]);
    }
    let def = &types[ty["name"].as_str().unwrap()];
    match def["kind"].as_str().unwrap() {
        "OBJECT" => {
            let fields = def["fields"].as_array().unwrap().iter();
            let fields = fields.map(|field| {
                format!("{} {}", field["name"].as_str().unwrap(), select(types, &field["type"]))
            });
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "))
        }
        "UNION" => {
            let cases = def["possibleTypes"].as_array().unwrap().iter();
            let cases = cases
                .map(|case| format!("... on {} {}", case["name"].as_str().unwrap(), select(types, case)));
            format!("{{ {} }}", cases.collect::<Vec<_>>().join(" "))
        }
        _ => String::new(),
    }
}

/// A type of the introspected schema, as a document declares a variable of it.
pub fn input_type(ty: &Json) -> String {
    match ty["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", input_type(&ty["ofType"])),
        "LIST" => format!("[{}]", input_type(&ty["ofType"])),
        _ => ty["name"].as_str().unwrap().to_owned(),
    }
}
