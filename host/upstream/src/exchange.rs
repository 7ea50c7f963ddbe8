//! One request and the head of its response, on a connection of the pool.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, sleep_until};
use wharf_call::egress::Destination;
use wharf_call::{Body, EgressCode, EgressError, EgressOptions};

use crate::connect::Connector;
use crate::failures;
use crate::fields;
use crate::pool::{Lease, Pool, SenderRef};
use crate::upload::{Hold, Progress, Upload};

/// How many connections are tried for one request when the peer closed those that were idle.
const ATTEMPTS_MAX: usize = 3;

/// The head of a request: what stays the same on every connection.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// The length that the plugin announced for a body that does not know its own.
    pub(crate) announced: Option<u64>,
}

/// A response whose body is still on the wire.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
    pub(crate) upload: Hold,
}

impl Head {
    /// Takes the head of a plugin's request. Its `content-length` is heard and then replaced by ours.
    pub(crate) fn new(parts: http::request::Parts) -> Self {
        let mut headers = parts.headers;
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let announced = length.and_then(|digits| digits.parse().ok());
        fields::clean_request(&mut headers);
        Head { method: parts.method, uri: parts.uri, headers, announced }
    }

    /// The request as HTTP/1.1 has it: a path, and `host` from the URI, in the first place as RFC 9110,
    /// section 7.2 advises.
    fn on_h1(&self, destination: &Destination, body: Upload) -> Result<Request<Upload>, EgressError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        headers.insert(HOST, HeaderValue::from_str(&destination.authority()).map_err(invalid)?);
        headers.extend(self.headers.clone());
        headers.remove(TE); // it would need a `connection` field beside it
        Ok(self.request(self.path().into(), headers, body))
    }

    /// The request as HTTP/2 has it: the destination is in the URI, as pseudo-header fields.
    fn on_h2(&self, destination: &Destination, body: Upload) -> Result<Request<Upload>, EgressError> {
        let uri = Uri::builder()
            .scheme(destination.scheme.name())
            .authority(destination.authority())
            .path_and_query(self.path())
            .build()
            .map_err(invalid)?;
        Ok(self.request(uri, self.headers.clone(), body))
    }

    fn request(&self, uri: Uri, headers: HeaderMap, body: Upload) -> Request<Upload> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }

    fn path(&self) -> PathAndQuery {
        let path = self.uri.path_and_query().filter(|path| path.as_str().starts_with('/'));
        match (path, self.uri.query()) {
            (Some(path), _) => path.clone(),
            // "http://a?q" has an empty path, which is sent as "/".
            (None, Some(query)) => format!("/?{query}").parse().unwrap_or(PathAndQuery::from_static("/")),
            (None, None) => PathAndQuery::from_static("/"),
        }
    }
}

/// Sends one request and waits for the head of its response.
///
/// A connection that was idle may be dead. What it did not take at all is sent on another one; what it may
/// have taken only if repeating it is harmless (RFC 9110, section 9.2.2) and its body is at hand.
pub(crate) async fn exchange(
    pool: &Arc<Pool>,
    destination: &Destination,
    head: &Head,
    mut body: Body,
    options: &EgressOptions,
) -> Result<Answer, EgressError> {
    let spare = body.try_clone().filter(|_| head.method.is_idempotent());
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut lease = pool.lease(destination, Instant::now() + options.connect_timeout).await?;
        let may_retry = lease.reused && attempts < ATTEMPTS_MAX;
        let Connector { limits, guard, .. } = pool.connector();
        let upload = Upload::new(body, head.announced, limits.request_body_bytes_max, guard.clone());
        let hold = upload.hold();
        let unanswered =
            match send(&mut lease, destination, head, upload, &hold, options.first_byte_timeout).await {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    let detail = "the peer switches to another protocol, which nobody asked for";
                    return Err(EgressError::new(EgressCode::HttpProtocolError, detail));
                }
                Ok(response) => return Ok(Answer { response, lease, upload: hold }),
                Err(unanswered) => unanswered,
            };
        let Unanswered { error, unsent } = unanswered;
        let again = match (unsent, &spare) {
            (Some(unsent), _) => Some(unsent),
            (None, Some(spare)) if error.code() == EgressCode::ConnectionTerminated => spare.try_clone(),
            _ => None,
        };
        body = match again {
            Some(again) if may_retry => again,
            _ => return Err(error),
        };
    }
}

/// A request without a response, and its body if it was not sent.
struct Unanswered {
    error: EgressError,
    unsent: Option<Body>,
}

impl From<EgressError> for Unanswered {
    fn from(error: EgressError) -> Self {
        Unanswered { error, unsent: None }
    }
}

async fn send(
    lease: &mut Lease,
    destination: &Destination,
    head: &Head,
    upload: Upload,
    progress: &Progress,
    patience: Duration,
) -> Result<Response<Incoming>, Unanswered> {
    type Sent<'a> =
        Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>> + Send + 'a>>;
    let mut sent: Sent<'_> = match lease.sender() {
        SenderRef::H1(sender) => Box::pin(sender.try_send_request(head.on_h1(destination, upload)?)),
        SenderRef::H2(mut sender) => {
            let request = head.on_h2(destination, upload)?;
            Box::pin(async move { sender.try_send_request(request).await })
        }
    };
    loop {
        tokio::select! {
            result = &mut sent => return result.map_err(|error| unanswered(error, progress)),
            () = sleep_until(progress.last() + patience) => {
                // The peer may have taken more of the body in the meantime.
                if progress.last() + patience <= Instant::now() {
                    let detail = format!("{destination} did not answer within {patience:?}");
                    return Err(EgressError::new(EgressCode::ConnectionReadTimeout, detail).into());
                }
            }
        }
    }
}

fn unanswered(mut error: TrySendError<Request<Upload>>, progress: &Progress) -> Unanswered {
    let unsent = error.take_message().map(|request| request.into_body().into_inner());
    let error = match progress.broken() {
        Some(broken) => EgressError::new(EgressCode::HttpRequestBodySize, broken.to_string()),
        None => failures::of_head(error.error()),
    };
    Unanswered { error, unsent }
}

fn invalid(error: impl std::fmt::Display) -> EgressError {
    EgressError::new(EgressCode::HttpRequestUriInvalid, error.to_string())
}
