//! Errors as GraphQL has them (section 7.1.2), and responses.

use async_graphql::{Pos, ServerError};
use serde_json::{Value as Json, json};
use wharf_call::{Failure, Type};
use wharf_doors::errors;
use wharf_doors::json::{Plan, encode};

use crate::output::Step;

/// `extensions.code` of a document that does not parse.
pub(crate) const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// `extensions.code` of a document that the schema, or a limit, does not admit.
pub(crate) const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// `extensions.code` of variables and arguments that are not of their types.
pub(crate) const BAD_USER_INPUT: &str = "BAD_USER_INPUT";

/// The most bytes of a message that the library makes.
const MESSAGE_BYTES_MAX: usize = 1_000;

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
    // It quotes the document, whose lines are as long as the client likes.
    let end = error.message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let mut json = request_error(&error.message[..end], None, code, request_id);
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

/// An error of a field. `declared` is the type of the errors that its function declares: such a one is told whole, as the JSON
/// of the other doors, for nobody selects the fields of an error.
pub(crate) fn field_error(
    failure: &Failure,
    declared: Option<(&Plan, &Type)>,
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
    if let Some(((plan, ty), value)) = declared.zip(failure.error()) {
        let mut text = Vec::new();
        encode(plan, ty, value, &mut text);
        error["extensions"]["error"] = serde_json::from_slice(&text).unwrap_or_default();
    }
    if let Some(seconds) = failure.retry_after_s() {
        error["extensions"]["retry_after"] = seconds.into();
    }
    error
}

fn locations(at: &[Pos]) -> Json {
    at.iter().map(|pos| json!({ "line": pos.line, "column": pos.column })).collect()
}
