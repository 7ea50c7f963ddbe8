//! What goes with a typed call beside its arguments: metadata in gRPC's words, header fields in HTTP's.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use http::header::{HeaderMap, HeaderName, HeaderValue, VARY};

/// How binary values come: padded or not (gRPC over HTTP/2, "Requests").
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The end of names whose values are bytes.
const BINARY: &str = "-bin";

/// Names that are about the message, about the connection, or in the context.
const NOT_THE_CALLS: [&str; 10] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// The metadata of one exchange: what the client sent, and what goes with the answer. Clones are of the same exchange.
///
/// A door makes it of a request's header fields, the engine shows it to the guest and takes what that sets, and the door
/// writes this to the response.
#[derive(Clone, Default)]
pub struct Metadata {
    exchange: Option<Arc<Exchange>>,
    /// Whether the call has the response to itself.
    carries: bool,
}

struct Exchange {
    sent: HeaderMap,
    answer: Mutex<HeaderMap>,
}

/// Why a field does not go with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// It is no name or no value.
    Invalid(String),
    /// The name is the door's.
    Reserved(String),
}

impl Metadata {
    /// Of a request with these header fields, whose response is that of one call.
    pub fn of(sent: HeaderMap) -> Self {
        Metadata { exchange: Some(Arc::new(Exchange { sent, answer: Mutex::default() })), carries: true }
    }

    /// The same for a call that has no response to itself: what it sets goes nowhere, and is refused.
    #[must_use]
    pub fn without_answer(&self) -> Self {
        Metadata { exchange: self.exchange.clone(), carries: false }
    }

    /// Whether what the call sets goes out.
    pub fn carries_answer(&self) -> bool {
        self.carries
    }

    /// All header fields as they were sent, for those who count them.
    pub fn sent(&self) -> Option<&HeaderMap> {
        self.exchange.as_ref().map(|exchange| &exchange.sent)
    }

    /// What is the caller's word to the plugin, with binary values as bytes. Left out is what [`is_the_calls`] says, and
    /// what should be base64 and is not.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Cow<'_, [u8]>)> {
        let fields = self.sent().into_iter().flatten();
        fields.filter(|(name, _)| is_the_calls(name.as_str())).flat_map(|(name, value)| {
            let (name, value) = (name.as_str(), value.as_bytes());
            let binary = name.ends_with(BINARY);
            let text = (!binary).then_some(Cow::Borrowed(value));
            // Several values may have been joined on their way.
            let parts = binary.then(|| value.split(|byte| *byte == b','));
            let bytes = parts.into_iter().flatten().filter_map(|part| decoded(part).map(Cow::Owned));
            text.into_iter().chain(bytes).map(move |value| (name, value))
        })
    }

    /// The first name whose value should be base64 and is not.
    pub fn not_base64(&self) -> Option<&str> {
        let wrong = |name: &str, value: &HeaderValue| {
            name.ends_with(BINARY)
                && is_the_calls(name)
                && value.as_bytes().split(|byte| *byte == b',').any(|part| decoded(part).is_none())
        };
        let mut fields = self.sent().into_iter().flatten();
        fields.find(|(name, value)| wrong(name.as_str(), value)).map(|(name, _)| name.as_str())
    }

    /// Gives what goes with the answer.
    pub fn answer(&self, fields: HeaderMap) {
        if let Some(exchange) = self.exchange.as_ref().filter(|_| self.carries) {
            *exchange.answer.lock().unwrap_or_else(PoisonError::into_inner) = fields;
        }
    }

    /// Whether something goes with the answer.
    pub fn has_answer(&self) -> bool {
        let exchange = self.exchange.as_ref().filter(|_| self.carries);
        exchange.is_some_and(|exchange| {
            !exchange.answer.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
        })
    }

    /// Adds what goes with the answer to the header fields of the response, once. Those that are there stay as they are; `vary`
    /// may get more of it.
    pub fn write_answer(&self, response: &mut HeaderMap) {
        let Some(exchange) = self.exchange.as_ref().filter(|_| self.carries) else { return };
        let fields = std::mem::take(&mut *exchange.answer.lock().unwrap_or_else(PoisonError::into_inner));
        let mut name = None;
        for (next, value) in fields {
            // A repeated field has its name the first time only; one that the door has is skipped with all its values.
            if let Some(next) = next {
                name = (next == VARY || !response.contains_key(&next)).then_some(next);
            }
            if let Some(name) = &name {
                // Both are bounded far below what a map has room for.
                let _ = response.try_append(name, value);
            }
        }
    }
}

impl fmt::Debug for Metadata {
    /// Without the fields, among which are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.sent().map_or(0, HeaderMap::len);
        f.debug_struct("Metadata").field("fields", &fields).field("carries_answer", &self.carries).finish()
    }
}

/// Whether a field is about a call, and not about the message that it came in, about the connection, or in the context.
pub fn is_the_calls(name: &str) -> bool {
    let prefixes = ["content-", "grpc-", "proxy-", "sec-websocket-"];
    !NOT_THE_CALLS.contains(&name) && !prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// A field as it goes with an answer, binary values in base64.
///
/// # Errors
/// The field is not one that a plugin may set, or none at all.
pub fn field(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), FieldError> {
    let shown = &name[..name.floor_char_boundary(64)];
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let parsed = name.bytes().all(of_name).then(|| HeaderName::from_bytes(name.as_bytes()).ok()).flatten();
    let Some(parsed) = parsed else {
        return Err(FieldError::Invalid(format!(
            "{shown:?} is no name: it takes lower-case letters, digits, \"-\", \"_\" and \".\""
        )));
    };
    if let Some(why) = reserved(name) {
        return Err(FieldError::Reserved(format!("{shown:?} {why}: leave it to the host")));
    }
    let sent = match name.ends_with(BINARY) {
        true => HeaderValue::from_maybe_shared(bytes::Bytes::from(STANDARD_NO_PAD.encode(value))),
        false if value.iter().all(|byte| (b' '..=b'~').contains(byte)) => HeaderValue::from_bytes(value),
        false => {
            return Err(FieldError::Invalid(format!(
                "the value of {shown:?} has bytes that are not visible ASCII: end the name with \"{BINARY}\""
            )));
        }
    };
    let sent = sent.map_err(|_| FieldError::Invalid(format!("the value of {shown:?} is too long")))?;
    Ok((parsed, sent))
}

/// Why a name is not a plugin's to set.
fn reserved(name: &str) -> Option<&'static str> {
    Some(match name {
        "content-type" | "content-length" | "content-encoding" | "content-range" => {
            "says how the door has written the answer"
        }
        "date" | "server" | "x-request-id" | "traceparent" => "is set on every response",
        "expect" | "host" => "is of requests",
        _ if name.starts_with("grpc-") => "is gRPC's own",
        _ if name.starts_with("proxy-") || name.starts_with("sec-websocket-") => "is about the connection",
        _ if NOT_THE_CALLS.contains(&name) => "is about the connection",
        _ => return None,
    })
}

fn decoded(base64: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(base64.trim_ascii()).ok()
}

#[cfg(test)]
mod tests;
