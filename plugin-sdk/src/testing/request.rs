use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use super::Plugin;
use super::grants::{Grants, within};
use crate::bindings::wharf::plugin::types as raw;
use crate::router::match_pattern;
use crate::{Body, Context, Failure, Result};

/// How long the host waits unless the test says otherwise: the host's own default.
const DEADLINE: Duration = Duration::from_secs(5);

/// A request to a plugin under test. Awaiting it sends it.
#[must_use = "a request does nothing until it is awaited"]
pub struct RequestBuilder<'a> {
    plugin: &'a Plugin,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
    context: raw::Context,
}

impl<'a> RequestBuilder<'a> {
    pub(super) fn new(plugin: &'a Plugin, method: Method, path: String, number: u64) -> Self {
        let route = plugin.manifest_route().to_owned();
        let context = raw::Context {
            request_id: format!("test-{number}"),
            traceparent: format!("00-{number:032x}-{number:016x}-01"),
            route,
            params: Vec::new(),
            caller: None,
            deadline_ms: u32::try_from(DEADLINE.as_millis()).unwrap_or(u32::MAX),
            attributes: Vec::new(),
        };
        RequestBuilder { plugin, method, path, headers: HeaderMap::new(), body: Body::empty(), context }
    }

    /// Adds a header field.
    ///
    /// # Panics
    /// When the name or the value is not valid.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Debug>,
        V: TryInto<HeaderValue, Error: fmt::Debug>,
    {
        let name = name.try_into().expect("a header's name");
        self.headers.append(name, value.try_into().expect("a header's value"));
        self
    }

    /// The body: text, bytes, or a stream.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// A body of JSON, with its content type.
    ///
    /// # Panics
    /// When it does not serialise.
    #[cfg(feature = "json")]
    pub fn json(mut self, value: &impl serde::Serialize) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body(serde_json::to_vec(value).expect("it serialises"))
    }

    /// A body of a form, with its content type.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut text = String::new();
        for (key, value) in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            crate::text::url_encode(key.as_ref(), &mut text);
            text.push('=');
            crate::text::url_encode(value.as_ref(), &mut text);
        }
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.headers.insert(CONTENT_TYPE, form);
        self.body(text)
    }

    /// Who is calling, with which roles: [`Context::caller`].
    pub fn caller(mut self, subject: &str, roles: &[&str]) -> Self {
        let mut roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        roles.sort();
        let issuer = "https://issuer.example".to_owned();
        self.context.caller =
            Some(raw::Caller { subject: subject.to_owned(), issuer, roles, scopes: Vec::new() });
        self
    }

    /// How long the host waits: [`Context::deadline`]; 5 seconds without.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.context.deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// The request's id: [`Context::request_id`].
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.context.request_id = id.into();
        self
    }

    /// A fact that the host or a middleware adds: [`Context::attribute`].
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.context.attributes.push((name.into(), value.into()));
        self
    }

    async fn send(self) -> Response {
        let RequestBuilder { plugin, method, path, headers, body, mut context } = self;
        let mut request = crate::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = format!("http://localhost{path}").parse().expect("a path");
        *request.headers_mut() = headers;
        context.params = match_pattern(&context.route, request.uri().path()).unwrap_or_else(|| {
            panic!("{path} does not match {}, the route of the test: see Plugin::route", context.route)
        });
        let grants = plugin.grants();
        let answer = async { plugin.instance().await?.answer(request, Context::from(context)).await };
        let answer: Result<crate::Response> = within(grants.clone(), answer).await;
        match answer {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Response { grants, status: head.status, headers: head.headers, body, failure: None }
            }
            Err(failure) => Response {
                grants,
                status: failure.status(),
                headers: HeaderMap::new(),
                body: Body::empty(),
                failure: Some(failure),
            },
        }
    }
}

impl<'a> IntoFuture for RequestBuilder<'a> {
    type Output = Response;
    type IntoFuture = Pin<Box<dyn Future<Output = Response> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What a plugin under test has answered.
///
/// A failure has the status that the host would give it, and no body: the host makes the problem document.
pub struct Response {
    grants: Rc<Grants>,
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
    failure: Option<Failure>,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header field as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The failure, when that was the answer.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// The whole body, or all that is left.
    ///
    /// # Panics
    /// When it was cut short.
    pub async fn bytes(&mut self) -> Bytes {
        self.expect_body();
        within(self.grants.clone(), self.body.bytes()).await.expect("the body is complete")
    }

    /// The whole body as text, or all that is left.
    ///
    /// # Panics
    /// When it was cut short, is not UTF-8, or the answer was a failure.
    pub async fn text(&mut self) -> String {
        String::from_utf8(self.bytes().await.into()).expect("the body is text")
    }

    /// The whole body, from JSON.
    ///
    /// # Panics
    /// When it was cut short, is not JSON of this type, or the answer was a failure.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> T {
        serde_json::from_slice(&self.bytes().await).expect("the body is JSON of this type")
    }

    /// The next piece of the body, as text: an event at a time, of server-sent events. `None` at the end.
    ///
    /// # Errors
    /// The failure that cut it short.
    ///
    /// # Panics
    /// When it is not UTF-8, or the answer was a failure.
    pub async fn piece(&mut self) -> Result<Option<String>> {
        self.expect_body();
        let piece = within(self.grants.clone(), self.body.chunk()).await?;
        Ok(piece.map(|bytes| String::from_utf8(bytes.into()).expect("the piece is text")))
    }

    fn expect_body(&self) {
        if let Some(failure) = &self.failure {
            panic!("the answer is a failure: {failure}");
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
