//! Which header fields go over the wire.

use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, TE};
use wharf_call::hop_by_hop;

static TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Takes out of a request what only the host decides: routing, framing, and what is about one connection.
///
/// `te: trailers` stays, as it says something of the plugin, and gRPC servers insist on it. `trailer` stays
/// because hyper needs it to know which trailers to send on HTTP/1.1.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    let takes_trailers = headers.get(TE).is_some_and(|te| te == TRAILERS);
    hop_by_hop::strip_but_trailer(headers);
    for name in [&HOST, &CONTENT_LENGTH, &EXPECT, &PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    if takes_trailers {
        headers.insert(TE, TRAILERS.clone());
    }
}

/// Takes out of a response what is about the connection to the peer.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    hop_by_hop::strip(headers);
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_plugin_decides_neither_routing_nor_framing() {
        let mut request = headers(&[
            ("host", "other.example"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "x-secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic x"),
            ("accept", "*/*"),
        ]);
        clean_request(&mut request);
        assert_eq!(request, headers(&[("te", "trailers"), ("accept", "*/*")]));
    }

    #[test]
    fn a_response_keeps_its_length_whatever_connection_names() {
        let mut response =
            headers(&[("connection", "close, content-length, x-a"), ("content-length", "5"), ("x-a", "1")]);
        clean_response(&mut response);
        assert_eq!(response, headers(&[("content-length", "5")]));
    }
}
