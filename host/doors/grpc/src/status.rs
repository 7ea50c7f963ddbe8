//! A failure in gRPC's words: code, message, and details in the richer model (`google.rpc.Status`).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;
use prost_types::Any;
use wharf_call::{Body, Failure, Refused};
use wharf_doors::errors::{self, GrpcCode};

/// The code, in decimal.
pub(crate) static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
static GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// What the host can decompress.
pub(crate) static GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// The content type of every response that is not gRPC-Web.
pub(crate) const APPLICATION_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// The value of [`GRPC_ACCEPT_ENCODING`].
pub(crate) const ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip");

/// What may stand in `grpc-message` as it is: visible ASCII and blanks, but for the percent sign.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The most of a message that is sent, in bytes: clients bound their headers, many at 8 KiB for all of them.
const MESSAGE_BYTES_MAX: usize = 1 << 10;
/// The largest typed error that goes along, in bytes, for the same reason.
const ERROR_BYTES_MAX: usize = 3 << 10;

/// `google.rpc.Status` (googleapis, `google/rpc/status.proto`).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// `google.rpc.ErrorInfo` (googleapis, `google/rpc/error_details.proto`).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(string, tag = "2")]
    pub(crate) domain: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) metadata: HashMap<String, String>,
}

/// `google.rpc.RetryInfo` (likewise).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<prost_types::Duration>,
}

/// What a failure is told with beside what it says itself.
#[derive(Default)]
pub(crate) struct Details<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) plugin: Option<&'a str>,
    /// The declared error: the name of its message, and the message.
    pub(crate) error: Option<(&'a str, Vec<u8>)>,
}

/// Trailers that say that the call ended well.
pub(crate) fn ok() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(&GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

/// Trailers, or the header fields of a response that has nothing else, that tell of `failure`.
pub(crate) fn fields(failure: &Failure, details: Details<'_>) -> HeaderMap {
    let code = errors::grpc(failure.kind());
    let message = shortened(failure.public());
    let mut fields = HeaderMap::with_capacity(3);
    fields.insert(&GRPC_STATUS, HeaderValue::from(code as i32));
    let escaped = utf8_percent_encode(message, ESCAPED).to_string();
    if let Ok(value) = HeaderValue::try_from(escaped) {
        fields.insert(&GRPC_MESSAGE, value);
    }
    let status = RpcStatus { code: code as i32, message: message.to_owned(), details: any(failure, details) };
    if let Ok(value) = HeaderValue::try_from(STANDARD_NO_PAD.encode(status.encode_to_vec())) {
        fields.insert(&GRPC_DETAILS, value);
    }
    fields
}

/// The whole response to a call that failed before it had one: trailers only.
pub(crate) fn response(failure: Failure, details: Details<'_>) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.headers_mut() = fields(&failure, details);
    response.headers_mut().insert(CONTENT_TYPE, APPLICATION_GRPC);
    if errors::grpc(failure.kind()) == GrpcCode::Unimplemented {
        // Tells a client whose compression is not known here what to use.
        response.headers_mut().insert(&GRPC_ACCEPT_ENCODING, ENCODINGS);
    }
    response.extensions_mut().insert(Refused(failure));
    response
}

fn any(failure: &Failure, details: Details<'_>) -> Vec<Any> {
    let mut metadata = HashMap::new();
    if !details.request_id.is_empty() {
        metadata.insert("request_id".to_owned(), details.request_id.to_owned());
    }
    if let Some(plugin) = details.plugin {
        metadata.insert("plugin".to_owned(), plugin.to_owned());
    }
    let info = ErrorInfo {
        reason: errors::graphql(shortened(failure.kind_name())),
        domain: "wharf".to_owned(),
        metadata,
    };
    let mut all = vec![packed("google.rpc.ErrorInfo", info.encode_to_vec())];
    if let Some(seconds) = failure.retry_after_s() {
        let retry_delay = Some(prost_types::Duration { seconds: seconds.into(), nanos: 0 });
        all.push(packed("google.rpc.RetryInfo", RetryInfo { retry_delay }.encode_to_vec()));
    }
    if let Some((name, error)) = details.error.filter(|(_, error)| error.len() <= ERROR_BYTES_MAX) {
        all.push(packed(name, error));
    }
    all
}

fn packed(name: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value }
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}
