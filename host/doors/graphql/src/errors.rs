//! Errors as GraphQL has them (section 7.1.2), and responses.

use async_graphql::{Pos, ServerError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use wharf_call::{Failure, Schema, Type, TypeKind, Value};
use wharf_doors::errors;
use wharf_doors::names::{distinct, lower_camel};

use crate::output::Step;

/// `extensions.code` of a document that does not parse.
pub(crate) const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// `extensions.code` of a document that the schema, or a limit, does not admit.
pub(crate) const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// `extensions.code` of variables and arguments that are not of their types.
pub(crate) const BAD_USER_INPUT: &str = "BAD_USER_INPUT";

/// What one operation gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The JSON of `data`, or null. Where nothing was executed there is none.
    pub(crate) data: Option<Option<Vec<u8>>>,
    pub(crate) errors: Vec<Json>,
}

impl Outcome {
    /// A request that was refused before anything was executed.
    pub(crate) fn refused(errors: Vec<Json>) -> Self {
        Outcome { data: None, errors }
    }

    /// The response as JSON text.
    pub(crate) fn into_json(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if !self.errors.is_empty() {
            out.extend_from_slice(b"\"errors\":");
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut *out, &self.errors);
        }
        if let Some(data) = &self.data {
            if !self.errors.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(b"\"data\":");
            out.extend_from_slice(data.as_deref().unwrap_or(b"null"));
        }
        out.push(b'}');
    }
}

/// An error of a request: nothing was executed.
pub(crate) fn request_error(text: &str, at: Option<Pos>, code: &str, request_id: &str) -> Json {
    let mut error = json!({ "message": text });
    if let Some(at) = at {
        error["locations"] = locations(&[at]);
    }
    error["extensions"] = json!({ "code": code, "request_id": request_id });
    error
}

/// What async-graphql has found, as an error of a request.
pub(crate) fn server_error(error: &ServerError, code: &str, request_id: &str) -> Json {
    let mut json = request_error(&error.message, None, code, request_id);
    if !error.locations.is_empty() {
        json["locations"] = locations(&error.locations);
    }
    json
}

/// A failure of a whole request.
pub(crate) fn failure(failure: &Failure, request_id: &str) -> Json {
    let code = errors::graphql(failure.kind_name());
    request_error(failure.public(), None, &code, request_id)
}

/// An error of a field.
pub(crate) fn field_error(
    failure: &Failure,
    declared: Option<(&Schema, &Type)>,
    at: Pos,
    path: &[Step<'_>],
    request_id: &str,
) -> Json {
    let mut error = self::failure(failure, request_id);
    error["locations"] = locations(&[at]);
    error["path"] = path
        .iter()
        .map(|step| match step {
            Step::Key(key) => Json::from(*key),
            Step::Index(index) => Json::from(*index),
        })
        .collect();
    if let Some(((schema, ty), value)) = declared.zip(failure.error()) {
        error["extensions"]["error"] = plain(schema, ty, value);
    }
    if let Some(seconds) = failure.retry_after_s() {
        error["extensions"]["retry_after"] = seconds.into();
    }
    error
}

fn locations(at: &[Pos]) -> Json {
    at.iter().map(|pos| json!({ "line": pos.line, "column": pos.column })).collect()
}

/// A typed error as the JSON of the other doors, whole: nobody selects the fields of an error.
fn plain(schema: &Schema, ty: &Type, value: &Value) -> Json {
    let float = |wide: f64, number: Json| match wide {
        _ if wide.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ => number,
    };
    let all = |ty: &Type, items: &[Value]| items.iter().map(|item| plain(schema, ty, item)).collect();
    match (ty, value) {
        (Type::S64, Value::Signed(number)) => number.to_string().into(),
        (Type::U64, Value::Unsigned(number)) => number.to_string().into(),
        (_, Value::Bool(value)) => (*value).into(),
        (_, Value::Signed(number)) => (*number).into(),
        (_, Value::Unsigned(number)) => (*number).into(),
        (_, Value::F32(number)) => float((*number).into(), (*number).into()),
        (_, Value::F64(number)) => float(*number, (*number).into()),
        (_, Value::Char(char)) => char.to_string().into(),
        (_, Value::String(text)) => text.as_str().into(),
        (_, Value::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Type::List(item) | Type::FixedList(item, _), Value::List(items)) => all(item, items),
        (Type::Map(key, of), Value::Map(entries)) => {
            let entries = entries.iter().map(|(name, value)| {
                let name = match plain(schema, key, name) {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                (name, plain(schema, of, value))
            });
            Json::Object(entries.collect())
        }
        (Type::Tuple(types), Value::Tuple(items)) => {
            types.iter().zip(items).map(|(ty, item)| plain(schema, ty, item)).collect()
        }
        (Type::Option(inner), Value::Option(Some(value))) => match **inner {
            Type::Option(_) => json!({ "some": plain(schema, inner, value) }),
            ref inner => plain(schema, inner, value),
        },
        (Type::Result(ok, error), Value::Result(result)) => {
            let (case, ty, payload) = match result {
                Ok(payload) => ("ok", ok, payload),
                Err(payload) => ("error", error, payload),
            };
            let payload = ty.as_ref().zip(payload.as_ref());
            json!({ case: payload.map_or(Json::Null, |(ty, value)| plain(schema, ty, value)) })
        }
        (Type::Named(id), value) => named(schema, &schema.type_def(*id).kind, value),
        _ => Json::Null,
    }
}

fn named(schema: &Schema, kind: &TypeKind, value: &Value) -> Json {
    match (kind, value) {
        (TypeKind::Record(fields), Value::Record(values)) => {
            let names = distinct(fields.iter().map(|field| field.name.as_str()), lower_camel);
            let fields = names.into_iter().zip(fields.iter().zip(values));
            let members: Map<_, _> =
                fields.map(|(name, (field, value))| (name, plain(schema, &field.ty, value))).collect();
            Json::Object(members)
        }
        (TypeKind::Variant(cases), Value::Variant(at, payload)) => {
            let names = distinct(cases.iter().map(|case| case.name.as_str()), lower_camel);
            let Some((name, case)) = names.into_iter().zip(cases).nth(*at as usize) else {
                return Json::Null;
            };
            match case.ty.as_ref().zip(payload.as_ref()) {
                Some((ty, value)) => Json::Object([(name, plain(schema, ty, value))].into_iter().collect()),
                None => name.into(),
            }
        }
        (TypeKind::Enum(cases), Value::Enum(at)) => {
            cases.get(*at as usize).map_or(Json::Null, |case| case.name.as_str().into())
        }
        (TypeKind::Flags(flags), Value::Flags(set)) => {
            let set = flags.iter().zip(0..).filter(|(_, bit)| set >> bit & 1 == 1);
            set.map(|(flag, _)| Json::from(flag.name.as_str())).collect()
        }
        _ => Json::Null,
    }
}
