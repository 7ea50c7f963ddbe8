use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};

use crate::bindings::wharf::plugin::types as raw;
use crate::{Body, Failure, Result, fields};

/// A request: the [`http`] crate's type with our [`Body`].
///
/// Its URI has the scheme and the authority as the client named them; the path is normalised.
pub type Request<T = Body> = http::Request<T>;

/// The host has checked every part, so a failure here is a host that breaks the contract; it ends this call
/// rather than the instance.
pub(crate) fn from_wit(raw: raw::Request) -> Result<Request> {
    let method = Method::from_bytes(raw.method.as_bytes()).map_err(|error| broken("method", &error))?;
    let path = PathAndQuery::from_maybe_shared(Bytes::from(raw.path_with_query))
        .map_err(|error| broken("path", &error))?;
    let uri = if raw.authority.is_empty() {
        Uri::from(path)
    } else {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::try_from(raw.scheme.as_str()).map_err(|error| broken("scheme", &error))?);
        parts.authority = Some(
            Authority::from_maybe_shared(Bytes::from(raw.authority))
                .map_err(|error| broken("authority", &error))?,
        );
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| broken("URI", &error))?
    };
    let mut request = Request::new(Body::from(raw.body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = fields::from_wit(raw.headers)?;
    Ok(request)
}

fn broken(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::internal("internal error").with_details(format!("the host sent an invalid {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, authority: &str, path: &str) -> raw::Request {
        raw::Request {
            method: method.into(),
            scheme: "http".into(),
            authority: authority.into(),
            path_with_query: path.into(),
            headers: vec![("host".into(), b"example.com".to_vec())],
            body: raw::Body::Empty,
        }
    }

    #[test]
    fn a_request_keeps_its_parts() {
        let request = from_wit(request("PATCH", "example.com:8080", "/notes/7?full=1")).expect("valid");
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(request.uri(), "http://example.com:8080/notes/7?full=1");
        assert_eq!(request.headers()["host"], "example.com");
        assert!(request.body().is_empty());
    }

    #[test]
    fn a_request_without_authority_has_a_relative_uri() {
        assert_eq!(from_wit(request("GET", "", "/hello")).expect("valid").uri(), "/hello");
    }

    #[test]
    fn invalid_parts_fail_the_call_instead_of_panicking() {
        for (method, authority, path) in
            [("G T", "example.com", "/"), ("GET", "exa mple", "/"), ("GET", "example.com", "/a b\n")]
        {
            let failure = from_wit(request(method, authority, path)).expect_err("invalid");
            assert_eq!(failure.kind(), "internal");
            assert!(failure.details().is_some());
        }
    }
}
