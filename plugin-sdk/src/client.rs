//! HTTP calls of the plugin's own.
//!
//! ```toml
//! [plugin.notes.grants]
//! http = ["https://api.example.com"]
//! ```
//!
//! ```
//! # use wharf_sdk as wharf;
//! use std::time::Duration;
//! use wharf::{Json, Result, client};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Point {
//!     x: i32,
//!     y: i32,
//! }
//!
//! #[wharf::handler]
//! async fn ask(Json(point): Json<Point>) -> Result<Json<Point>> {
//!     let answer = client::post("https://api.example.com/mirror")
//!         .header("x-client", "notes")
//!         .json(&point)
//!         .timeout(Duration::from_secs(2))
//!         .send()
//!         .await?
//!         .error_for_status()?;
//!     Ok(Json(answer.json().await?))
//! }
//! ```
//!
//! The host makes the call: it keeps the connections, checks certificates, and looks at the address that a
//! name resolves to. Redirects are not followed: each is an answer with its `location`.
//!
//! An [`Error`] that leaves a handler with `?` is a 504 when something took too long, a 502 when the other
//! side failed, and a 500 when the call was not granted; what exactly went wrong is in the host's log. A
//! plugin without `grants.http` that uses this module is refused when it is loaded; a call to an origin that
//! was not granted is an error whose text is the line to write.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::text::url_encode;
use crate::{Body, Context, Failure, IntoResponse};

/// What the functions here return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {
        $(
            #[doc = concat!("A ", stringify!($method), " request to `url`, to be completed and sent.")]
            pub fn $name(url: impl AsRef<str>) -> RequestBuilder {
                request(Method::$method, url)
            }
        )*
    };
}

methods! {
    get GET;
    head HEAD;
    post POST;
    put PUT;
    patch PATCH;
    delete DELETE;
}

/// A request to `url`, to be completed and sent.
pub fn request(method: Method, url: impl AsRef<str>) -> RequestBuilder {
    Client::new().request(method, url)
}

/// Sends a request of the [`http`] crate, whose URI has a scheme and an authority.
///
/// # Errors
/// Why there is no response.
pub async fn send(request: http::Request<Body>) -> Result<Response> {
    exchange(request, Timeouts::default()).await
}

/// What several requests have in common.
///
/// ```
/// # use wharf_sdk as wharf;
/// # async fn call() -> wharf::client::Result<()> {
/// use std::time::Duration;
/// use wharf::client::Client;
///
/// let api = Client::new()
///     .base("https://api.example.com/v1")
///     .header("authorization", "Bearer …")
///     .timeout(Duration::from_secs(2));
/// let me = api.get("/me").send().await?;
/// # drop(me);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Client {
    base: String,
    headers: HeaderMap,
    timeouts: Timeouts,
    invalid: Option<Error>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timeouts {
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    between_bytes: Option<Duration>,
}

impl Client {
    /// Without anything in common.
    pub fn new() -> Self {
        Client::default()
    }

    /// Comes before every URL that begins with a slash.
    #[must_use]
    pub fn base(mut self, url: impl Into<String>) -> Self {
        self.base = url.into();
        self
    }

    /// A header field of every request. One that is not valid makes every request fail.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Display>,
        V: TryInto<HeaderValue, Error: fmt::Display>,
    {
        if let Err(error) = add(&mut self.headers, name, value) {
            self.invalid.get_or_insert(error);
        }
        self
    }

    /// See [`RequestBuilder::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = Timeouts::of(timeout);
        self
    }

    /// A GET request.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST request.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A request of any method.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        let url = url.as_ref();
        let url = if url.starts_with('/') {
            format!("{}{url}", self.base.trim_end_matches('/'))
        } else {
            url.to_owned()
        };
        RequestBuilder {
            method,
            url,
            headers: self.headers.clone(),
            body: Body::empty(),
            timeouts: self.timeouts,
            invalid: self.invalid.clone(),
        }
    }
}

impl Timeouts {
    fn of(timeout: Duration) -> Self {
        Timeouts { connect: Some(timeout), first_byte: Some(timeout), between_bytes: Some(timeout) }
    }
}

fn add<N, V>(headers: &mut HeaderMap, name: N, value: V) -> Result<()>
where
    N: TryInto<HeaderName, Error: fmt::Display>,
    V: TryInto<HeaderValue, Error: fmt::Display>,
{
    let name = name.try_into().map_err(|error| Error::invalid(format!("a header's name: {error}")))?;
    let value = value.try_into().map_err(|error| Error::invalid(format!("the value of {name}: {error}")))?;
    headers.append(name, value);
    Ok(())
}

/// A request that is not sent yet. What is wrong with it comes to light when it is.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent: `.send().await`"]
pub struct RequestBuilder {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Body,
    timeouts: Timeouts,
    invalid: Option<Error>,
}

impl RequestBuilder {
    /// Adds a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Display>,
        V: TryInto<HeaderValue, Error: fmt::Display>,
    {
        if let Err(error) = add(&mut self.headers, name, value) {
            self.invalid.get_or_insert(error);
        }
        self
    }

    /// Adds header fields.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Adds to the query, percent-encoded.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// let request = wharf::client::get("https://example.com/search").query([("q", "a b"), ("page", "2")]);
    /// assert_eq!(request.url(), "https://example.com/search?q=a+b&page=2");
    /// ```
    pub fn query<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        for (key, value) in pairs {
            let first = !self.url.contains('?');
            self.url.push(if first { '?' } else { '&' });
            url_encode(key.as_ref(), &mut self.url);
            self.url.push('=');
            url_encode(value.as_ref(), &mut self.url);
        }
        self
    }

    /// The URL as it is so far.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The body: text, bytes, or a stream. The body of a request that the plugin got is handed on without
    /// coming through the plugin, if nothing was read of it.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// A body of JSON.
    #[cfg(feature = "json")]
    pub fn json(mut self, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.body(bytes)
            }
            Err(error) => {
                self.invalid.get_or_insert(Error::invalid(format!("the JSON of the body: {error}")));
                self
            }
        }
    }

    /// A body of a form.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut text = String::new();
        for (key, value) in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            url_encode(key.as_ref(), &mut text);
            text.push('=');
            url_encode(value.as_ref(), &mut text);
        }
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.headers.insert(CONTENT_TYPE, form);
        self.body(text)
    }

    /// How long each may take: connecting, the head of the response, and each piece of its body. Less than
    /// the call's own [deadline](Context::deadline), so that there is time left to say so.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = Timeouts::of(timeout);
        self
    }

    /// Makes the call part of the trace that `context` is part of: sends its `traceparent`.
    pub fn traced(self, context: &Context) -> Self {
        if context.traceparent().is_empty() {
            self
        } else {
            self.header("traceparent", context.traceparent())
        }
    }

    /// Sends it, and waits for the head of the response.
    ///
    /// # Errors
    /// Why there is no response. Any status is one: see [`Response::error_for_status`].
    pub async fn send(self) -> Result<Response> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let uri = Uri::try_from(&self.url)
            .map_err(|error| Error::invalid(format!("{:?} is not a URL: {error}", self.url)))?;
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        exchange(request, self.timeouts).await
    }
}

async fn exchange(request: http::Request<Body>, timeouts: Timeouts) -> Result<Response> {
    let uri = request.uri();
    let origin = match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => format!("{scheme}://{authority}"),
        _ => {
            return Err(Error::invalid(format!(
                "\"{uri}\" does not say where to: write it with http:// or https:// and a host"
            )));
        }
    };
    match sys::send(request, timeouts, &origin).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            Ok(Response { origin, head, body })
        }
        Err((kind, detail)) => Err(Error { kind, origin, detail }),
    }
}

/// The answer to a call.
#[derive(Debug)]
pub struct Response {
    origin: String,
    head: http::response::Parts,
    body: Body,
}

impl Response {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Its header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Itself, unless its status is 400 or more.
    ///
    /// # Errors
    /// [`Kind::Status`].
    pub fn error_for_status(self) -> Result<Self> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            Err(Error { kind: Kind::Status(status), origin: self.origin, detail: String::new() })
        } else {
            Ok(self)
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// What cut it short.
    pub async fn bytes(mut self) -> crate::Result<Bytes> {
        self.body.bytes().await
    }

    /// The whole body, as text.
    ///
    /// # Errors
    /// [`Kind::Content`] when it is not UTF-8, as a failure of the call; what cut it short.
    pub async fn text(mut self) -> crate::Result<String> {
        let bytes = self.body.bytes().await?;
        Ok(String::from_utf8(bytes.into()).map_err(|error| self.content(error))?)
    }

    /// The whole body, as JSON, whatever its content type says.
    ///
    /// # Errors
    /// [`Kind::Content`] when it is not JSON of this type, as a failure of the call; what cut it short.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(mut self) -> crate::Result<T> {
        let bytes = self.body.bytes().await?;
        Ok(serde_json::from_slice(&bytes).map_err(|error| self.content(error))?)
    }

    fn content(&self, error: impl fmt::Display) -> Error {
        Error { kind: Kind::Content, origin: self.origin.clone(), detail: error.to_string() }
    }

    /// The body, to be read piece by piece, or to be handed on.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body alone.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The [`http`] crate's type.
    pub fn into_http(self) -> http::Response<Body> {
        http::Response::from_parts(self.head, self.body)
    }
}

/// Handed on as it is, the body without coming through the plugin.
impl IntoResponse for Response {
    fn into_response(self) -> crate::Result<crate::Response> {
        Ok(self.into_http())
    }
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    origin: String,
    detail: String,
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The request cannot be sent: its URL or a header is not valid.
    Invalid,
    /// The manifest does not grant the origin.
    NotGranted,
    /// The name resolves to an address that is granted only as a private one.
    PrivateAddress,
    /// Too many calls at once, or too much at all: a limit of the plugin's.
    Limit,
    /// The name is not known.
    Name,
    /// Nobody answers there, or the connection ended too early.
    Connection,
    /// The other side is not who it should be.
    Tls,
    /// It took too long.
    Timeout,
    /// What came back is not valid, or larger than it may be.
    Protocol,
    /// What came back is not what it was read as.
    Content,
    /// A status of 400 or more, where [`Response::error_for_status`] was asked.
    Status(StatusCode),
    /// Anything else.
    Other,
}

impl Error {
    fn invalid(detail: String) -> Self {
        Error { kind: Kind::Invalid, origin: String::new(), detail }
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Scheme, host and port that were called; empty when the URL has none.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What the client of the plugin is told, when the error leaves the handler with `?`.
    pub(crate) fn failure(&self) -> Failure {
        match self.kind {
            Kind::Timeout => Failure::timeout("something that was called took too long"),
            Kind::Invalid | Kind::NotGranted | Kind::PrivateAddress => Failure::internal("internal error"),
            Kind::Limit => Failure::unavailable("too much is going on"),
            _ => Failure::bad_gateway("something that was called failed"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { kind, origin, detail } = self;
        let written = match kind {
            Kind::Invalid => return write!(f, "a request cannot be sent: {detail}"),
            Kind::NotGranted => write!(
                f,
                "a call to {origin} was not granted. Add to wharf.toml, under [plugin.NAME.grants]: \
                 http = [\"{origin}\"]"
            ),
            Kind::PrivateAddress => write!(
                f,
                "{origin} is at a private address, which was not granted. Write into wharf.toml, under \
                 [plugin.NAME.grants]: http = [{{ origin = \"{origin}\", private = true }}]"
            ),
            Kind::Limit => write!(f, "a call to {origin} would exceed a limit"),
            Kind::Name => write!(f, "a call to {origin}: its name is not known"),
            Kind::Connection => write!(f, "a call to {origin}: there is no connection"),
            Kind::Tls => write!(f, "a call to {origin}: TLS failed"),
            Kind::Timeout => write!(f, "a call to {origin} took too long"),
            Kind::Protocol => write!(f, "a call to {origin}: the answer is not valid"),
            Kind::Content => write!(f, "a call to {origin}: the answer is not what it should be"),
            Kind::Status(status) => write!(f, "a call to {origin} was answered with {status}"),
            Kind::Other => write!(f, "a call to {origin} failed"),
        };
        written?;
        if detail.is_empty() { Ok(()) } else { write!(f, ": {detail}") }
    }
}

impl std::error::Error for Error {}

#[cfg(target_family = "wasm")]
mod sys {
    use bytes::Bytes;
    use http::header::{CONTENT_LENGTH, HOST};
    use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

    use super::{Kind, Timeouts};
    use crate::bindings::client::{client, types, wit_future, wit_stream};
    use crate::{Body, Result};

    type Refused = (Kind, String);

    pub(super) async fn send(
        request: http::Request<Body>,
        timeouts: Timeouts,
        origin: &str,
    ) -> Result<http::Response<Body>, Refused> {
        let (mut head, mut body) = request.into_parts();
        // The host says it, from the URI.
        head.headers.remove(HOST);
        let whole = body.whole();
        if let Some(bytes) = &whole
            && (!bytes.is_empty() || matches!(head.method, Method::POST | Method::PUT | Method::PATCH))
        {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        let headers =
            to_wit(&head.headers).map_err(|error| (Kind::Invalid, format!("its headers: {error:?}")))?;
        let (end, trailers) = wit_future::new(|| Ok(None));
        let contents = match whole {
            Some(bytes) if bytes.is_empty() => {
                drop(end);
                None
            }
            Some(bytes) => {
                let (mut writer, reader) = wit_stream::new();
                wit_bindgen::spawn_local(async move {
                    // What nobody reads is not needed: the answer came first.
                    let _ = writer.write_all(Vec::from(bytes)).await;
                    drop(writer);
                    let _ = end.write(Ok(None)).await;
                });
                Some(reader)
            }
            None => {
                let (reader, written) = body.into_outgoing();
                wit_bindgen::spawn_local(async move {
                    let outcome = match written.await {
                        Ok(fields) if fields.is_empty() => Ok(None),
                        Ok(fields) => {
                            to_wit(&fields).map(Some).map_err(|error| internal(format!("{error:?}")))
                        }
                        Err(failure) => Err(internal(failure.to_string())),
                    };
                    let _ = end.write(outcome).await;
                });
                Some(reader)
            }
        };
        let options = types::RequestOptions::new();
        let nanoseconds = |duration: Option<std::time::Duration>| {
            duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
        };
        let set = options
            .set_connect_timeout(nanoseconds(timeouts.connect))
            .and_then(|()| options.set_first_byte_timeout(nanoseconds(timeouts.first_byte)))
            .and_then(|()| options.set_between_bytes_timeout(nanoseconds(timeouts.between_bytes)));
        set.map_err(|error| (Kind::Invalid, format!("its timeouts: {error:?}")))?;

        let (request, _sent) = types::Request::new(headers, contents, trailers, Some(options));
        let https = head.uri.scheme_str() == Some("https");
        let target = request
            .set_method(&method(&head.method))
            .and_then(|()| {
                request.set_scheme(Some(&if https { types::Scheme::Https } else { types::Scheme::Http }))
            })
            .and_then(|()| request.set_authority(head.uri.authority().map(|authority| authority.as_str())))
            .and_then(|()| request.set_path_with_query(head.uri.path_and_query().map(|path| path.as_str())));
        target
            .map_err(|()| (Kind::Invalid, format!("its method or target, {} {}", head.method, head.uri)))?;

        let response = client::send(request).await.map_err(refused)?;
        let status = StatusCode::from_u16(response.get_status_code())
            .map_err(|error| (Kind::Protocol, error.to_string()))?;
        let headers = from_wit(response.get_headers().copy_all());
        // Nobody has to be told how reading went.
        let (_, res) = wit_future::new(|| Ok(()));
        let (stream, end) = types::Response::consume_body(response, res);
        let origin = origin.to_owned();
        let body = Body::received(stream, async move {
            match end.await {
                Ok(Some(trailers)) => Ok(from_wit(trailers.copy_all())),
                Ok(None) => Ok(HeaderMap::new()),
                Err(code) => {
                    let (kind, detail) = refused(code);
                    let error = super::Error { kind, origin, detail };
                    Err(error.failure().with_details(format!("a response was cut short: {error}")))
                }
            }
        });
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn to_wit(headers: &HeaderMap) -> Result<types::Fields, types::HeaderError> {
        let entries: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        types::Fields::from_list(&entries)
    }

    /// What is not a field of HTTP is left out: the host has checked them.
    fn from_wit(fields: Vec<(String, Vec<u8>)>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_maybe_shared(Bytes::from(value)))
            {
                let _ = map.try_append(name, value);
            }
        }
        map
    }

    fn method(method: &Method) -> types::Method {
        match *method {
            Method::GET => types::Method::Get,
            Method::HEAD => types::Method::Head,
            Method::POST => types::Method::Post,
            Method::PUT => types::Method::Put,
            Method::DELETE => types::Method::Delete,
            Method::OPTIONS => types::Method::Options,
            Method::TRACE => types::Method::Trace,
            Method::PATCH => types::Method::Patch,
            Method::CONNECT => types::Method::Connect,
            _ => types::Method::Other(method.as_str().to_owned()),
        }
    }

    fn internal(text: String) -> types::ErrorCode {
        types::ErrorCode::InternalError(Some(text))
    }

    fn refused(code: types::ErrorCode) -> Refused {
        use types::ErrorCode as Code;
        let kind = match &code {
            Code::HttpRequestDenied => Kind::NotGranted,
            Code::DestinationIpProhibited => Kind::PrivateAddress,
            Code::ConnectionLimitReached | Code::ConfigurationError => Kind::Limit,
            Code::DnsError(_) | Code::DestinationNotFound => Kind::Name,
            Code::DestinationUnavailable
            | Code::DestinationIpUnroutable
            | Code::ConnectionRefused
            | Code::ConnectionTerminated => Kind::Connection,
            Code::TlsProtocolError | Code::TlsCertificateError | Code::TlsAlertReceived(_) => Kind::Tls,
            Code::DnsTimeout
            | Code::ConnectionTimeout
            | Code::ConnectionReadTimeout
            | Code::ConnectionWriteTimeout
            | Code::HttpResponseTimeout => Kind::Timeout,
            Code::HttpRequestMethodInvalid
            | Code::HttpRequestUriInvalid
            | Code::HttpRequestUriTooLong
            | Code::HttpRequestLengthRequired
            | Code::HttpRequestBodySize(_)
            | Code::HttpRequestHeaderSectionSize(_)
            | Code::HttpRequestHeaderSize(_)
            | Code::HttpRequestTrailerSectionSize(_)
            | Code::HttpRequestTrailerSize(_) => Kind::Invalid,
            Code::InternalError(_) | Code::LoopDetected => Kind::Other,
            _ => Kind::Protocol,
        };
        let detail = match code {
            Code::HttpRequestDenied | Code::DestinationIpProhibited => String::new(),
            Code::InternalError(text) => text.unwrap_or_default(),
            code => format!("{code:?}"),
        };
        (kind, detail)
    }
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    use super::{Kind, Timeouts};
    use crate::{Body, testing};

    pub(super) async fn send(
        request: http::Request<Body>,
        timeouts: Timeouts,
        origin: &str,
    ) -> Result<http::Response<Body>, (Kind, String)> {
        // The fake answers at once.
        let _ = (timeouts.connect, timeouts.first_byte, timeouts.between_bytes);
        let grants = testing::current().ok_or_else(|| (Kind::Other, testing::NO_PLUGIN.to_owned()))?;
        let Some(serve) = grants.http(origin) else { return Err((Kind::NotGranted, String::new())) };
        let (head, mut body) = request.into_parts();
        let body = body.bytes().await.map_err(|failure| (Kind::Invalid, failure.to_string()))?;
        serve(http::Request::from_parts(head, body))
            .map_err(|failure| (Kind::Connection, failure.to_string()))
    }
}
