//! Requests as they come, and answers as they go.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wharf_call::Failure;

use crate::errors;
use crate::json::string;

/// The id of an answer to what had none.
pub(super) const NULL: &str = "null";

/// The text is not JSON.
pub(super) const PARSE_ERROR: i64 = -32700;
/// It is no request.
pub(super) const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// One request, of which the parameters are read when it is known whose they are.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// A null that is there is not a member that is missing.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A request that is one.
pub(super) struct Request<'a> {
    pub(super) method: String,
    pub(super) params: &'a str,
    /// As it was sent; `None` for a notification.
    pub(super) id: Option<&'a str>,
}

/// Why a text is no request.
pub(super) enum Wrong<'a> {
    /// It is not JSON.
    Json(serde_json::Error),
    /// It is JSON, and no request; with the id to answer it under.
    Invalid { id: &'a str, text: String },
}

/// Reads one request. What it holds is looked through once; the parameters are left for whoever knows their types.
pub(super) fn request(json: &[u8]) -> Result<Request<'_>, Wrong<'_>> {
    let invalid = |id, text: &str| Wrong::Invalid { id, text: text.to_owned() };
    // Serde would take an array for the members in their order.
    let envelope = match json.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice::<Envelope<'_>>(json),
        _ => {
            serde_json::from_slice::<&RawValue>(json).map_err(Wrong::Json)?;
            return Err(invalid(NULL, "A request is an object."));
        }
    };
    let envelope = envelope.map_err(|error| {
        // A member that is there twice may hide that the rest is not JSON.
        match serde_json::from_slice::<&RawValue>(json) {
            Ok(_) => Wrong::Invalid { id: NULL, text: format!("This is no request: {error}") },
            Err(error) => Wrong::Json(error),
        }
    })?;
    let id = match envelope.id.map(RawValue::get) {
        Some(id) if id.starts_with(['{', '[', 't', 'f']) => {
            return Err(invalid(NULL, "`id` has to be a string, a number or null."));
        }
        id => id,
    };
    let answer_to = id.unwrap_or(NULL);
    if envelope.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err(invalid(answer_to, "`jsonrpc` has to be \"2.0\"."));
    }
    let method = envelope.method.and_then(|method| serde_json::from_str(method.get()).ok());
    let Some(method) = method else { return Err(invalid(answer_to, "`method` has to be a string.")) };
    let params = envelope.params.map_or("", RawValue::get);
    if !params.is_empty() && !params.starts_with(['{', '[']) {
        return Err(invalid(answer_to, "`params` has to be an object or an array."));
    }
    Ok(Request { method, params, id })
}

/// What a text holds.
pub(super) enum Incoming<'a> {
    Single(&'a [u8]),
    Batch(Vec<&'a RawValue>),
    TooMany,
}

/// Splits a text into requests, of which it may hold `most`.
pub(super) fn incoming(json: &[u8], most: usize) -> Result<Incoming<'_>, serde_json::Error> {
    if json.trim_ascii_start().first() != Some(&b'[') {
        return Ok(Incoming::Single(json));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let batch = deserializer.deserialize_seq(Batch(most))?;
    deserializer.end()?;
    Ok(batch)
}

struct Batch(usize);

impl<'de> Visitor<'de> for Batch {
    type Value = Incoming<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Incoming<'de>, A::Error> {
        let mut all = Vec::new();
        let mut surplus = false;
        // Read to its end, so that what is not JSON is told to be that; kept only as far as it is used.
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            surplus |= all.len() == self.0;
            if !surplus {
                all.push(raw);
            }
        }
        Ok(if surplus { Incoming::TooMany } else { Incoming::Batch(all) })
    }
}

/// The answer to a call that went well. `result` writes the value.
pub(super) fn succeeded(id: &str, result: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
    result(&mut out);
    end(id, out)
}

/// The answer to a call that failed. `declared` is the JSON of the error that the contract declares.
pub(super) fn failed(id: &str, failure: &Failure, request_id: &str, declared: Option<&[u8]>) -> Vec<u8> {
    coded(id, errors::json_rpc(failure.kind()), failure, request_id, declared)
}

/// The same, with a code of its own.
pub(super) fn coded(
    id: &str,
    code: i64,
    failure: &Failure,
    request_id: &str,
    declared: Option<&[u8]>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","error":"#);
    error(code, failure, request_id, declared, &mut out);
    end(id, out)
}

/// The most of a message that is sent, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// An error object.
pub(super) fn error(
    code: i64,
    failure: &Failure,
    request_id: &str,
    declared: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(br#"{"code":"#);
    out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
    out.extend_from_slice(br#","message":"#);
    string(cut(failure.public()), out);
    out.extend_from_slice(br#","data":{"kind":"#);
    string(cut(failure.kind_name()), out);
    out.extend_from_slice(br#","request_id":"#);
    string(request_id, out);
    if let Some(declared) = declared {
        out.extend_from_slice(br#","error":"#);
        out.extend_from_slice(declared);
    }
    out.extend_from_slice(b"}}");
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

fn end(id: &str, mut out: Vec<u8>) -> Vec<u8> {
    out.extend_from_slice(br#","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.push(b'}');
    out
}
