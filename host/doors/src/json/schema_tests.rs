#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Map, Value as Json};
use wharf_call::{Type, TypeId};

use crate::json::{Plan, encode, schema};
use crate::testing::{self, Random};

/// The expressions that are written mean the same to this crate as to JavaScript.
fn pattern(text: &str) -> regex::Regex {
    static KNOWN: Mutex<BTreeMap<String, regex::Regex>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    known.entry(text.to_owned()).or_insert_with(|| regex::Regex::new(text).unwrap()).clone()
}

/// Whether `value` is valid: the keywords of JSON Schema that are written here.
pub(crate) fn valid(schema: &Json, definitions: &Map<String, Json>, value: &Json) -> bool {
    let of = |schema: &Json, value: &Json| valid(schema, definitions, value);
    if schema == &Json::Bool(false) {
        return false;
    }
    schema.as_object().unwrap().iter().all(|(keyword, is)| match keyword.as_str() {
        "$ref" => of(&definitions[is.as_str().unwrap().rsplit('/').next().unwrap()], value),
        "type" => match is.as_str().unwrap() {
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        },
        "enum" => is.as_array().unwrap().contains(value),
        "const" => is == value,
        "anyOf" => is.as_array().unwrap().iter().any(|schema| of(schema, value)),
        "allOf" => is.as_array().unwrap().iter().all(|schema| of(schema, value)),
        "oneOf" => is.as_array().unwrap().iter().filter(|schema| of(schema, value)).count() == 1,
        "minimum" => value.as_f64().is_none_or(|n| n >= is.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|n| n <= is.as_f64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= is.as_u64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= is.as_u64().unwrap()),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= is.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= is.as_u64().unwrap()),
        "uniqueItems" => value
            .as_array()
            .is_none_or(|items| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item))),
        "items" if is == &Json::Bool(false) => true,
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| of(is, item))),
        "prefixItems" => {
            let items = value.as_array().unwrap();
            is.as_array().unwrap().iter().zip(items).all(|(schema, item)| of(schema, item))
        }
        "properties" => value.as_object().is_none_or(|members| {
            members.iter().all(|(name, value)| is.get(name).is_none_or(|schema| of(schema, value)))
        }),
        "required" => value.as_object().is_none_or(|members| {
            is.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let listed = schema.get("properties").and_then(Json::as_object);
            let rest = members.iter().filter(|(name, _)| listed.is_none_or(|l| !l.contains_key(*name)));
            rest.into_iter().all(|(_, value)| of(is, value))
        }),
        "propertyNames" => value
            .as_object()
            .is_none_or(|members| members.keys().all(|name| of(is, &Json::from(name.as_str())))),
        "pattern" => value.as_str().is_none_or(|text| pattern(is.as_str().unwrap()).is_match(text)),
        "format" | "contentEncoding" | "description" | "deprecated" => true,
        other => panic!("{other}"),
    })
}

#[test]
fn whatever_is_written_is_valid() {
    let mut random = Random::new(7);
    let reference = |id: TypeId| format!("#/{}", id.0);
    for _ in 0..40 {
        let schema = testing::schema(&mut random, 8);
        let plan = Plan::new(&schema);
        let definitions: Map<String, Json> =
            (0..8).map(|at| (at.to_string(), schema::of_definition(&plan, TypeId(at), &reference))).collect();
        for _ in 0..50 {
            let ty = testing::ty(&mut random, &schema, testing::DEPTH);
            let value = testing::value(&mut random, &schema, &ty);
            let mut json = Vec::new();
            encode(&plan, &ty, &value, &mut json);
            let json: Json = serde_json::from_slice(&json).unwrap();
            let described = schema::of(&ty, &reference);
            assert!(valid(&described, &definitions, &json), "{described} {json}");
        }
    }
}

#[test]
fn types_are_described() {
    let plan = Plan::new(&crate::tests_demo::schema("1.2.0"));
    let reference = |id: TypeId| format!("#/{}", id.0);
    let rows = [
        (Type::U8, r#"{"type":"integer","minimum":0,"maximum":255}"#),
        (
            Type::Bytes(Some(4)),
            r#"{"type":"string","contentEncoding":"base64","pattern":"^([A-Za-z0-9+/]{4}){1}[A-Za-z0-9+/][AQgw]==$"}"#,
        ),
        (
            Type::Option(Box::new(Type::Option(Box::new(Type::Bool)))),
            r#"{"anyOf":[{"type":"object","properties":{"some":{"anyOf":[{"type":"boolean"},{"type":"null"}]}},"required":["some"],"additionalProperties":false},{"type":"null"}]}"#,
        ),
        (
            Type::Map(Box::new(Type::U8), Box::new(Type::Char)),
            r#"{"type":"object","additionalProperties":{"type":"string","minLength":1,"maxLength":1},"propertyNames":{"pattern":"^(0|[1-9][0-9]{0,19})$"}}"#,
        ),
    ];
    for (ty, json) in rows {
        assert_eq!(schema::of(&ty, &reference).to_string(), json);
    }
    assert_eq!(
        schema::of_definition(&plan, TypeId(1), &reference).to_string(),
        r#"{"oneOf":[{"const":"notFound","description":"There is no such user."},{"type":"object","properties":{"taken":{"type":"string"}},"required":["taken"],"additionalProperties":false}],"description":"Of a user."}"#
    );
}
