//! A failure as a problem document (RFC 9457): how everything that speaks plain HTTP tells a client what went wrong.
//!
//! | field            | value                                                                              |
//! |------------------|------------------------------------------------------------------------------------|
//! | status           | that of the kind                                                                   |
//! | `content-type`   | `application/problem+json`                                                         |
//! | `allow`          | when the failure lists methods                                                     |
//! | `retry-after`    | when the failure says when to come back                                            |
//! | `accept-encoding`| when the failure lists the content codings that a body may have                    |
//! | body `type`      | `urn:wharf:failure:<kind>`, a name and not a place: nothing has to be served there |
//! | body `title`     | of the kind                                                                        |
//! | body `status`    | the status again                                                                   |
//! | body `detail`    | the public text, at most 1 KiB of it                                               |
//! | body `kind`      | the kind, or the plugin's own where it chose one that is not in the list           |
//! | body `request_id`| what to ask the operator about                                                     |
//! | body `error`     | what a function returned as the error that its contract declares, where it did     |

use std::io::Write;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::{Body, Failure};

/// The most of a public text that is shown, in bytes.
pub const DETAIL_BYTES_MAX: usize = 1024;

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The answer that tells of `failure`. `error` is the JSON of the error that the contract declares.
pub fn response(failure: &Failure, request_id: &str, error: Option<&[u8]>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(document(failure, request_id, error)));
    *response.status_mut() =
        StatusCode::from_u16(failure.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    write_fields(failure, headers);
    response
}

/// Adds the header fields that tell a client what to do about `failure`, whatever the body is.
pub fn write_fields(failure: &Failure, headers: &mut HeaderMap) {
    if let Some(allow) = failure.allow().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(ALLOW, allow);
    }
    if let Some(seconds) = failure.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(codings) = failure.accept_encoding() {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(codings));
    }
}

/// The document alone, on one line.
pub fn document(failure: &Failure, request_id: &str, error: Option<&[u8]>) -> Bytes {
    let kind = failure.kind();
    let (name, title, status) = (kind.name(), kind.title(), kind.status());
    let mut out = Vec::with_capacity(320 + error.map_or(0, <[u8]>::len));
    // Names and titles are ours and need no escaping; a test reads the document of every kind. Writing to a vector
    // does not fail.
    let _ = write!(
        out,
        r#"{{"type":"urn:wharf:failure:{name}","title":"{title}","status":{status},"detail":{},"kind":{},"request_id":{}"#,
        quoted(cut(failure.public())),
        quoted(cut(failure.kind_name())),
        quoted(request_id),
    );
    if let Some(error) = error {
        out.extend_from_slice(br#","error":"#);
        out.extend_from_slice(error);
    }
    out.push(b'}');
    Bytes::from(out)
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(DETAIL_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use crate::Kind;

    #[test]
    fn every_kind_has_its_document() {
        for kind in Kind::ALL {
            let failure = Failure::new(*kind, "for \"you\"\n").with_private("not for you");
            let document = document(&failure, "id-1", None);
            let json: serde_json::Value = serde_json::from_slice(&document).unwrap();
            assert_eq!(json["type"], format!("urn:wharf:failure:{}", kind.name()));
            assert_eq!(json["title"], kind.title());
            assert_eq!(json["status"], kind.status());
            assert_eq!(json["detail"], "for \"you\"\n");
            assert_eq!(json["kind"], kind.name());
            assert_eq!(json["request_id"], "id-1");
            assert_eq!(json.as_object().unwrap().len(), 6);
            assert!(!document.windows(11).any(|part| part == b"not for you"));
        }
    }

    #[test]
    fn a_long_text_of_a_guest_is_cut_between_characters() {
        let failure = Failure::from_guest("own_kind", "é".repeat(1000), None);
        let json: serde_json::Value = serde_json::from_slice(&document(&failure, "id", None)).unwrap();
        assert_eq!(json["detail"].as_str().unwrap(), "é".repeat(512));
        assert_eq!(json["kind"], "own_kind");
        assert_eq!(json["type"], "urn:wharf:failure:guest_failed");
    }

    #[test]
    fn a_declared_error_goes_along_as_it_is() {
        let failure = Failure::new(Kind::Conflict, "taken");
        let json: serde_json::Value =
            serde_json::from_slice(&document(&failure, "id", Some(br#"{"taken":"ada"}"#))).unwrap();
        assert_eq!(json["error"]["taken"], "ada");
        assert_eq!(response(&failure, "id", None).status(), 409);
    }
}
