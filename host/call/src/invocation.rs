use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Deadline, Metadata, TraceContext, hex};

/// What the host knows of a call beside its request; the `context` of `wit/types.wit`.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Names the request in every log line.
    pub request_id: RequestId,
    /// The host's own span in the caller's trace.
    pub trace: TraceContext,
    /// The pattern of the route that matched.
    pub route: Arc<str>,
    /// The pattern's parameters in its order, percent-decoded.
    pub params: Vec<(Arc<str>, String)>,
    /// Who is calling, if that is known.
    pub caller: Option<Arc<Caller>>,
    /// The address that the request came from: the client's, or that of a proxy before it.
    pub peer: Arc<str>,
    /// Whether the route says that the same request made twice is as good as once (RFC 9110, section 9.2.2).
    pub idempotent: bool,
    /// When the head of the response is due.
    pub deadline: Deadline,
    /// What goes with a typed call beside its arguments; empty until a door has read it.
    pub metadata: Metadata,
}

/// Who is calling, as the host has established it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The caller's stable name at its issuer.
    pub subject: String,
    /// Who vouches for the subject.
    pub issuer: String,
    /// Roles, sorted, each once.
    pub roles: Vec<String>,
    /// Scopes, sorted, each once.
    pub scopes: Vec<String>,
}

/// The name of a request: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The most characters that an id taken from a client may have.
    pub const LEN_MAX: usize = 128;

    /// Takes over a client's id if it has the right form: visible ASCII, so that it can neither forge a
    /// log line nor break a header.
    pub fn accept(value: &[u8]) -> Option<Self> {
        let fits = (1..=Self::LEN_MAX).contains(&value.len());
        let text = std::str::from_utf8(value).ok()?;
        (fits && value.iter().all(u8::is_ascii_graphic)).then(|| RequestId(text.into()))
    }

    /// An id made of 128 random bits, as 32 hex digits.
    pub fn from_bits(bits: u128) -> Self {
        let digits = hex::digits::<32>(bits);
        RequestId(std::str::from_utf8(&digits).expect("digits are ASCII").into())
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as the value of a header field.
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("an id is visible ASCII")
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The field that carries a [`RequestId`].
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The field that carries a [`TraceContext`] (W3C Trace Context, section 3.2).
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Invocation {
    /// Names the caller where instances are kept for one caller only: who was established to be calling or, of an
    /// unknown caller, the address. Two callers never have the same name.
    pub fn caller_key(&self) -> Arc<str> {
        match &self.caller {
            // A line break, which is in neither an address nor, unescaped, in the debug form.
            Some(caller) => format!("{:?}\n{:?}", caller.issuer, caller.subject).into(),
            None => self.peer.clone(),
        }
    }

    /// Writes request id and trace as header fields, in place of those that are there: for whoever is called
    /// without a context of its own. A plugin that passes its fields on stays in the trace.
    pub fn write_fields(&self, headers: &mut HeaderMap) {
        headers.insert(&X_REQUEST_ID, self.request_id.header_value());
        headers.insert(&TRACEPARENT, self.trace.header_value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_id_is_32_hex_digits() {
        assert_eq!(RequestId::from_bits(0x0123_4567_89ab_cdef).as_str(), "00000000000000000123456789abcdef");
        assert_eq!(RequestId::from_bits(u128::MAX).as_str(), "f".repeat(32));
    }

    #[test]
    fn a_clients_id_is_taken_only_in_a_harmless_form() {
        assert_eq!(RequestId::accept(b"abc-123").map(|id| id.to_string()), Some("abc-123".into()));
        for bad in [&b""[..], b"a b", b"a\nb", b"\xff", &[b'a'; 129]] {
            assert_eq!(RequestId::accept(bad), None, "{bad:?}");
        }
    }
}
