use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::bindings::wharf::plugin::types as raw;
use crate::{Body, Result, fields};

/// A response: the [`http`] crate's type with our [`Body`].
pub type Response<T = Body> = http::Response<T>;

/// What a handler may return.
///
/// | value | response |
/// |---|---|
/// | `&'static str`, `String` | 200, `text/plain; charset=utf-8` |
/// | `Vec<u8>`, [`Bytes`] | 200, `application/octet-stream` |
/// | [`Body`] | 200, no content type |
/// | `()` | 204 |
/// | [`StatusCode`] | that status, no body |
/// | `(StatusCode, T)` | what `T` makes, with that status |
/// | `http::Response<T>` | itself; `T` is anything that makes a [`Body`] |
/// | [`Result<T>`](Result) | what `T` makes, or the failure |
///
/// ```
/// use wharf_sdk::{IntoResponse, StatusCode};
///
/// let response = (StatusCode::CREATED, "made\n").into_response().unwrap();
/// assert_eq!(response.status(), 201);
/// assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "not a response",
    note = "return a `Response`, text, bytes, `()`, a `StatusCode`, `(StatusCode, ...)`, or a `wharf::Result` of one",
    note = "a `Result` with another error type becomes a `wharf::Result` by using `?` on it"
)]
pub trait IntoResponse {
    /// The response, or the failure that the host answers with instead.
    fn into_response(self) -> Result<Response>;
}

impl<T: Into<Body>> IntoResponse for http::Response<T> {
    fn into_response(self) -> Result<Response> {
        Ok(self.map(Into::into))
    }
}

impl<T: IntoResponse> IntoResponse for Result<T> {
    fn into_response(self) -> Result<Response> {
        self?.into_response()
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response> {
        let (status, content) = self;
        let mut response = content.into_response()?;
        *response.status_mut() = status;
        Ok(response)
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response> {
        (self, Body::empty()).into_response()
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response> {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(self))
    }
}

macro_rules! content {
    ($($ty:ty = $content_type:literal;)*) => {
        $(impl IntoResponse for $ty {
            fn into_response(self) -> Result<Response> {
                let mut response = Response::new(self.into());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static($content_type));
                Ok(response)
            }
        })*
    };
}

content! {
    &'static str = "text/plain; charset=utf-8";
    String = "text/plain; charset=utf-8";
    &'static [u8] = "application/octet-stream";
    Vec<u8> = "application/octet-stream";
    Bytes = "application/octet-stream";
}

impl From<Response> for raw::Response {
    fn from(response: Response) -> Self {
        let (head, body) = response.into_parts();
        raw::Response {
            status: head.status.as_u16(),
            headers: fields::to_wit(&head.headers),
            body: body.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    fn sent(content: impl IntoResponse) -> (u16, Option<String>, Vec<u8>) {
        let raw = raw::Response::from(content.into_response().expect("a response"));
        let content_type = raw
            .headers
            .into_iter()
            .find(|(name, _)| name == "content-type")
            .map(|(_, value)| String::from_utf8(value).expect("ASCII"));
        let body = match raw.body {
            raw::Body::Empty => Vec::new(),
            raw::Body::Whole(bytes) => bytes,
            raw::Body::Streamed(_) => panic!("whole in, whole out"),
        };
        (raw.status, content_type, body)
    }

    #[test]
    fn each_kind_of_content_gets_its_status_and_type() {
        let text = Some("text/plain; charset=utf-8".to_owned());
        let bytes = Some("application/octet-stream".to_owned());
        assert_eq!(sent("a"), (200, text.clone(), b"a".to_vec()));
        assert_eq!(sent("a".to_owned()), (200, text.clone(), b"a".to_vec()));
        assert_eq!(sent(vec![1_u8]), (200, bytes.clone(), vec![1]));
        assert_eq!(sent(Bytes::from_static(b"a")), (200, bytes, b"a".to_vec()));
        assert_eq!(sent(Body::from("a")), (200, None, b"a".to_vec()));
        assert_eq!(sent(()), (204, None, Vec::new()));
        assert_eq!(sent(StatusCode::FORBIDDEN), (403, None, Vec::new()));
        assert_eq!(sent((StatusCode::CREATED, "a")), (201, text, b"a".to_vec()));
        assert_eq!(sent(http::Response::new("a")), (200, None, b"a".to_vec()));
        assert_eq!(sent(Ok(Response::new(Body::empty()))), (200, None, Vec::new()));
    }

    #[test]
    fn a_failure_stays_a_failure_whatever_is_around_it() {
        let failed: Result<&'static str> = Err(Failure::conflict("twice"));
        let failure = (StatusCode::CREATED, failed).into_response().expect_err("it failed");
        assert_eq!(failure.kind(), "conflict");
    }

    #[test]
    fn repeated_fields_are_sent_one_by_one() {
        let response = Response::builder()
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(Body::empty())
            .expect("valid");
        let raw = raw::Response::from(response);
        let cookies: Vec<_> = raw.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
        assert_eq!(cookies.len(), 2);
    }
}
