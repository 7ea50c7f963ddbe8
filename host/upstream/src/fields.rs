//! Which header fields go over the wire.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Takes out of a request what only the host decides: routing, framing, and what is about one connection.
///
/// `te: trailers` stays, as it says something of the plugin, and gRPC servers insist on it. `trailer` stays
/// because hyper needs it to know which trailers to send on HTTP/1.1.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    let takes_trailers = headers.get(TE).is_some_and(|te| te == TRAILERS);
    strip(headers);
    for name in [&HOST, &CONTENT_LENGTH, &EXPECT, &PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    if takes_trailers {
        headers.insert(TE, TRAILERS.clone());
    }
}

/// Takes out of a response what is about the connection to the peer.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    strip(headers);
    headers.remove(TRAILER);
}

/// Takes out of trailers what would change the framing or the routing of a message (RFC 9110, section 6.5.1).
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    strip(trailers);
    for name in [&TRAILER, &CONTENT_LENGTH, &HOST] {
        trailers.remove(name);
    }
}

/// Takes out the fields of RFC 9110, section 7.6.1, and those that `connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // A peer must not make the length vanish by naming it.
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in
        named.iter().chain([&CONNECTION, &KEEP_ALIVE, &PROXY_CONNECTION, &TE, &TRANSFER_ENCODING, &UPGRADE])
    {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
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
