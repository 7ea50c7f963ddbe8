//! What a redirect asks for (RFC 9110, section 15.4). Whether it may be followed is checked like any request.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, LOCATION,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use wharf_call::egress::Destination;
use wharf_call::{Body, EgressCode, EgressError};

use crate::exchange::Head;

/// Changes `head` to what the response redirects to, and returns the body to send there. `None`, with `head`
/// as it was, when the response is no redirect that can be followed: no `location`, or a body that is gone.
///
/// `spare` is the body of the request that was answered, if it can be sent again.
///
/// # Errors
/// When `location` is not a URI.
pub(crate) fn follow(
    head: &mut Head,
    spare: Option<&Body>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Body>, EgressError> {
    let becomes_get = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => head.method == Method::POST,
        StatusCode::SEE_OTHER => head.method != Method::GET && head.method != Method::HEAD,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return Ok(None),
    };
    let body = match (becomes_get, spare) {
        (true, _) => Body::Empty,
        (false, Some(spare)) => spare.try_clone().unwrap_or_default(),
        (false, None) => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let bad = |why: &str| {
        EgressError::new(EgressCode::HttpProtocolError, format!("a redirect to {location:?}: {why}"))
    };
    let location = location.to_str().map_err(|_| bad("it is not ASCII"))?;
    let target = resolve(&head.uri, location).map_err(|error| bad(&error.to_string()))?;
    let leaves = match (Destination::of(&head.uri), Destination::of(&target)) {
        (Ok(from), Ok(to)) => from != to,
        _ => true,
    };
    if leaves {
        head.headers.remove(AUTHORIZATION);
        head.headers.remove(COOKIE);
    }
    if becomes_get {
        head.method = Method::GET;
        head.announced = None;
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
            head.headers.remove(name);
        }
    }
    head.uri = target;
    Ok(Some(body))
}

/// The target of `reference` seen from `base` (RFC 3986, section 5.2), without its fragment.
fn resolve(base: &Uri, reference: &str) -> Result<Uri, http::uri::InvalidUri> {
    let reference = reference.split('#').next().unwrap_or_default();
    if has_scheme(reference) {
        return reference.parse();
    }
    let scheme = base.scheme_str().unwrap_or("http");
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}").parse();
    }
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    };
    let query = if path.is_empty() { query.or(base.query()) } else { query };
    let path = match path {
        "" => base.path().to_owned(),
        absolute if absolute.starts_with('/') => without_dots(absolute),
        relative => {
            let folder = base.path().rfind('/').map_or("/", |end| &base.path()[..=end]);
            without_dots(&format!("{folder}{relative}"))
        }
    };
    let authority = base.authority().map_or("", http::uri::Authority::as_str);
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{scheme}://{authority}{path}{query}").parse()
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// RFC 3986, section 5.2.4, for a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

    use super::*;

    #[test]
    fn references_are_resolved_as_rfc_3986_has_it() {
        let base: Uri = "http://a/b/c/d;p?q".parse().unwrap();
        for (reference, target) in [
            ("http://x/y", "http://x/y"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g#s", "http://a/b/c/g"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g/../h", "http://a/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
        ] {
            assert_eq!(resolve(&base, reference).unwrap(), target, "{reference}");
        }
    }

    fn followed(method: &str, status: u16, location: &str, spare: Option<Body>) -> Option<(Head, Body)> {
        let request = http::Request::builder()
            .method(method)
            .uri("https://a.example/x")
            .header("authorization", "secret")
            .header("cookie", "secret")
            .header("content-type", "text/plain")
            .header("accept", "*/*");
        let mut head = Head::new(request.body(()).unwrap().into_parts().0);
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        let status = StatusCode::from_u16(status).unwrap();
        follow(&mut head, spare.as_ref(), status, &headers).unwrap().map(|body| (head, body))
    }

    #[test]
    fn methods_and_bodies_follow_the_status() {
        for (method, status, then) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
        ] {
            let (head, body) = followed(method, status, "/y", Some(Body::whole("body"))).unwrap();
            assert_eq!(head.method, then, "{method} {status}");
            let keeps = then == "POST" || then == "PUT" || then == "HEAD";
            assert_eq!(matches!(body, Body::Whole(_)), keeps, "{method} {status}");
            assert_eq!(head.headers.contains_key(CONTENT_TYPE), keeps, "{method} {status}");
        }
        assert!(followed("POST", 307, "/y", None).is_none(), "a streamed body is gone");
        assert!(followed("POST", 303, "/y", None).is_some(), "and is not needed for a GET");
        assert!(followed("GET", 304, "/y", Some(Body::Empty)).is_none());
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        for (location, keeps) in [
            ("/y", true),
            ("https://A.example:443/y", true),
            ("http://a.example/y", false),
            ("https://a.example:8443/y", false),
            ("//b.example/", false),
            ("ftp://a.example/", false),
        ] {
            let (head, _) = followed("GET", 302, location, Some(Body::Empty)).unwrap();
            assert_eq!(head.headers.contains_key(AUTHORIZATION), keeps, "{location}");
            assert_eq!(head.headers.contains_key(COOKIE), keeps, "{location}");
            assert!(head.headers.contains_key("accept"));
        }
    }
}
