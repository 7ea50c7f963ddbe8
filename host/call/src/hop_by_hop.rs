//! Fields that are about one connection and go no further (RFC 9110, section 7.6.1), in messages that come in
//! and in those that go out.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRAILER};

/// Takes them out of a message, with those that `connection` names.
pub fn strip(headers: &mut HeaderMap) {
    strip_fields(headers, true);
}

/// The same, but `trailer` stays: hyper needs it to know which trailers to send on HTTP/1.1, and drops those
/// that it does not name.
pub fn strip_but_trailer(headers: &mut HeaderMap) {
    strip_fields(headers, false);
}

/// Takes out of trailers what would change the framing or the routing of a message (RFC 9110, section 6.5.1).
pub fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers);
    trailers.remove(CONTENT_LENGTH);
    trailers.remove(HOST);
}

fn strip_fields(headers: &mut HeaderMap, trailer_too: bool) {
    // Few messages have any, and those mostly one: passes over the names are cheaper than a removal of each that there is.
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            // Naming an end-to-end field must not make it vanish where the host relies on it.
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
            .collect();
        for name in &named {
            headers.remove(name);
        }
    }
    let goes = |name: &&HeaderName| is_hop_by_hop(name) && (trailer_too || **name != TRAILER);
    while let Some(name) = headers.keys().find(goes).cloned() {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    // By text, whose length alone sends most names away.
    matches!(
        name.as_str(),
        "connection" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "keep-alive" | "proxy-connection"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn fields_of_the_connection_and_those_it_names_are_taken_out() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("connection", "x-other ,host"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("host", "a"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("accept", "*/*"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut response = headers.clone();
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "accept"]);
        strip_but_trailer(&mut response);
        assert!(response.contains_key(TRAILER));
    }
}
