use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Body, Failure, IntoResponse, Response, Result};

/// HTML: 200 with `text/html; charset=utf-8`.
///
/// It is sent as it is: whatever comes from a request has to be escaped by whoever puts it in.
///
/// ```
/// # use wharf_sdk as wharf;
/// #[wharf::handler]
/// async fn page() -> wharf::Html<&'static str> {
///     wharf::Html("<!doctype html><title>Hello</title><h1>Hello</h1>")
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Result<Response> {
        let mut response = Response::new(self.0.into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        Ok(response)
    }
}

/// 204: it went well, and there is nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Result<Response> {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Sends the client elsewhere.
///
/// ```
/// # use wharf_sdk as wharf;
/// #[wharf::handler]
/// async fn moved() -> wharf::Redirect {
///     wharf::Redirect::permanent("/new/place")
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    to: String,
}

impl Redirect {
    /// 303: look there with GET. What to answer a form that was posted with.
    pub fn see_other(to: impl Into<String>) -> Self {
        Redirect { status: StatusCode::SEE_OTHER, to: to.into() }
    }

    /// 307: for now it is there; ask again with the same method and body.
    pub fn temporary(to: impl Into<String>) -> Self {
        Redirect { status: StatusCode::TEMPORARY_REDIRECT, to: to.into() }
    }

    /// 308: from now on it is there; ask again with the same method and body.
    pub fn permanent(to: impl Into<String>) -> Self {
        Redirect { status: StatusCode::PERMANENT_REDIRECT, to: to.into() }
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Result<Response> {
        let to = HeaderValue::try_from(&self.to).map_err(|_| {
            Failure::internal("internal error")
                .with_details(format!("{:?} is no address to redirect to", self.to))
        })?;
        (self.status, [(LOCATION, to)], Body::empty()).into_response()
    }
}

/// Header fields for an answer: an array of names and values, or a [`HeaderMap`].
///
/// A name or value that is not valid makes the answer an `internal` failure.
pub trait IntoHeaders {
    /// Puts the fields in, in place of those of the same name.
    fn put_into(self, headers: &mut HeaderMap) -> Result<()>;
}

impl<K, V, const N: usize> IntoHeaders for [(K, V); N]
where
    K: TryInto<HeaderName, Error: std::fmt::Display>,
    V: TryInto<HeaderValue, Error: std::fmt::Display>,
{
    fn put_into(self, headers: &mut HeaderMap) -> Result<()> {
        let invalid = |what: &str, error: &dyn std::fmt::Display| {
            Failure::internal("internal error")
                .with_details(format!("a field of the answer has an {what}: {error}"))
        };
        let mut put = HeaderMap::new();
        for (name, value) in self {
            let name = name.try_into().map_err(|error| invalid("invalid name", &error))?;
            let value = value.try_into().map_err(|error| invalid("invalid value", &error))?;
            put.append(name, value);
        }
        put.put_into(headers)
    }
}

impl IntoHeaders for HeaderMap {
    fn put_into(self, headers: &mut HeaderMap) -> Result<()> {
        headers.extend(self);
        Ok(())
    }
}

impl<H: IntoHeaders, T: IntoResponse> IntoResponse for (H, T) {
    fn into_response(self) -> Result<Response> {
        let (fields, content) = self;
        let mut response = content.into_response()?;
        fields.put_into(response.headers_mut())?;
        Ok(response)
    }
}

impl<H: IntoHeaders, T: IntoResponse> IntoResponse for (StatusCode, H, T) {
    fn into_response(self) -> Result<Response> {
        let (status, fields, content) = self;
        (status, (fields, content)).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Result<Response> {
        Err(self)
    }
}

impl IntoResponse for std::borrow::Cow<'static, str> {
    fn into_response(self) -> Result<Response> {
        match self {
            std::borrow::Cow::Borrowed(text) => text.into_response(),
            std::borrow::Cow::Owned(text) => text.into_response(),
        }
    }
}

impl<const N: usize> IntoResponse for &'static [u8; N] {
    fn into_response(self) -> Result<Response> {
        Bytes::from_static(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(content: impl IntoResponse) -> (u16, Vec<(String, String)>) {
        let response = content.into_response().expect("a response");
        let fields = response.headers().iter();
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        (response.status().as_u16(), fields.map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn each_answer_has_its_status_and_fields() {
        let plain = field("content-type", "text/plain; charset=utf-8");
        assert_eq!(sent(Html("<p>")), (200, vec![field("content-type", "text/html; charset=utf-8")]));
        assert_eq!(sent(NoContent), (204, vec![]));
        assert_eq!(sent(Redirect::see_other("/a")), (303, vec![field("location", "/a")]));
        assert_eq!(sent(Redirect::temporary("/a")), (307, vec![field("location", "/a")]));
        assert_eq!(sent(Redirect::permanent("/a".to_owned())), (308, vec![field("location", "/a")]));
        assert_eq!(sent(([("x-a", "1")], "a")), (200, vec![plain, field("x-a", "1")]));
        assert_eq!(
            sent((StatusCode::CREATED, [("content-type", "text/csv"), ("x-a", "1")], "a")),
            (201, vec![field("content-type", "text/csv"), field("x-a", "1")])
        );
        let cookies = [("set-cookie", "a=1"), ("set-cookie", "b=2")];
        assert_eq!(sent((cookies, ())), (204, vec![field("set-cookie", "a=1"), field("set-cookie", "b=2")]));
    }

    #[test]
    fn what_is_no_field_fails_instead_of_being_sent() {
        for failure in [
            ([("x-a", "a\nb")], "a").into_response().expect_err("a line break"),
            ([("x a", "a")], "a").into_response().expect_err("a space"),
            Redirect::see_other("/a\r\nx-b: c").into_response().expect_err("a line break"),
        ] {
            assert_eq!((failure.kind(), failure.message()), ("internal", "internal error"));
            assert!(failure.details().is_some());
        }
    }
}
