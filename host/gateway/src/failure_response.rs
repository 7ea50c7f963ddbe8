//! How a failure looks on the wire: the one table for HTTP.
//!
//! | field            | value                                                                              |
//! |------------------|------------------------------------------------------------------------------------|
//! | status           | that of the kind                                                                   |
//! | `content-type`   | `application/problem+json` (RFC 9457)                                              |
//! | `allow`          | when the failure lists methods                                                     |
//! | `retry-after`    | when the failure says when to come back                                            |
//! | body `type`      | `urn:wharf:failure:<kind>`, a name and not a place: nothing has to be served there |
//! | body `title`     | of the kind                                                                        |
//! | body `status`    | the status again                                                                   |
//! | body `detail`    | the public text, at most 1 KiB of it                                               |
//! | body `kind`      | the kind, or the plugin's own where it chose one that is not in the list           |
//! | body `request_id`| what to ask the operator about                                                     |
//!
//! A service may have a form of its own (`HttpService::refuse`), as gRPC and GraphQL do.
//!
//! The private text goes to the log: at `warn` for a 5xx, at `info` when a plugin explained a 4xx.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use wharf_call::{Body, Failure, Refused};

use crate::exchange::Exchange;
use crate::response::{self, ResponseBody};

const DETAIL_BYTES_MAX: usize = 1024;

/// Answers with `failure` and logs what the client is not told.
pub(crate) fn deliver(failure: Failure, mut exchange: Exchange) -> Response<ResponseBody> {
    exchange.failed(&failure);
    let id = exchange.request_id();
    if let Some(mut response) = exchange.target().and_then(|target| target.refuse(&failure, id.as_str())) {
        response.extensions_mut().remove::<Refused>(); // it has been logged
        return response::deliver_checked(response, exchange);
    }
    let mut response = Response::new(Body::Whole(document(&failure, id.as_str())));
    *response.status_mut() =
        StatusCode::from_u16(failure.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(allow) = failure.allow().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(ALLOW, allow);
    }
    if let Some(seconds) = failure.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response::deliver_checked(response, exchange)
}

fn document(failure: &Failure, request_id: &str) -> Bytes {
    let kind = failure.kind();
    let (name, title, status) = (kind.name(), kind.title(), kind.status());
    let mut out = String::with_capacity(320);
    // Names and titles are ours and need no escaping; a test reads the document of every kind.
    let _ = write!(
        out,
        r#"{{"type":"urn:wharf:failure:{name}","title":"{title}","status":{status},"detail":{},"kind":{},"request_id":{}}}"#,
        quoted(cut(failure.public())),
        quoted(cut(failure.kind_name())),
        quoted(request_id),
    );
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
    use wharf_call::Kind;

    #[test]
    fn every_kind_has_its_document() {
        for kind in Kind::ALL {
            let failure = Failure::new(*kind, "for \"you\"\n").with_private("not for you");
            let document = document(&failure, "id-1");
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
        let json: serde_json::Value = serde_json::from_slice(&document(&failure, "id")).unwrap();
        assert_eq!(json["detail"].as_str().unwrap(), "é".repeat(512));
        assert_eq!(json["kind"], "own_kind");
        assert_eq!(json["type"], "urn:wharf:failure:guest_failed");
    }
}
