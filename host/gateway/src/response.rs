//! From what a plugin answered to what hyper sends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use wharf_call::{Body, Failure, Kind, Refused, X_REQUEST_ID, hop_by_hop};

use crate::exchange::Exchange;
use crate::fields::Fields;
use crate::pulse::Watched;
use crate::{failure_response, metrics};

/// Sends a plugin's response, or a 502 when it is not valid HTTP.
pub(crate) fn deliver(response: Response<Body>, exchange: Exchange) -> Response<ResponseBody> {
    let fields = Fields::among(response.headers().keys());
    match invalid(&response, fields, exchange.method()) {
        None => send(response, fields, exchange),
        Some(reason) => {
            let failure = Failure::new(Kind::InvalidResponse, "The plugin's response is not valid HTTP.");
            failure_response::deliver(failure.with_private(reason), exchange)
        }
    }
}

/// What makes a response impossible to send.
fn invalid(response: &Response<Body>, fields: Fields, method: &Method) -> Option<String> {
    let status = response.status().as_u16();
    if !(200..600).contains(&status) {
        return Some(format!("status {status} is not within 200 to 599"));
    }
    if !fields.have(Fields::CONTENT_LENGTH) {
        return None;
    }
    let mut lengths = response.headers().get_all(CONTENT_LENGTH).iter();
    let value = lengths.next()?;
    if lengths.next().is_some() {
        return Some("more than one content-length".to_owned());
    }
    let Some(length) = parse_length(value) else {
        return Some(format!("content-length {value:?} is not a number"));
    };
    match response.body() {
        Body::Whole(bytes) | Body::Trailed(bytes, _) if bytes.len() as u64 != length => {
            Some(format!("content-length {length} for a body of {} bytes", bytes.len()))
        }
        Body::Empty if length > 0 && !has_no_body(method, response.status()) => {
            Some(format!("content-length {length} without a body"))
        }
        _ => None,
    }
}

fn parse_length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Sends a response that is known to be valid.
pub(crate) fn deliver_checked(response: Response<Body>, exchange: Exchange) -> Response<ResponseBody> {
    let fields = Fields::among(response.headers().keys());
    send(response, fields, exchange)
}

fn send(response: Response<Body>, fields: Fields, mut exchange: Exchange) -> Response<ResponseBody> {
    let (mut head, mut body) = response.into_parts();
    exchange.answered(head.status.as_u16());
    let http1 = exchange.version() != Version::HTTP_2;
    if let Some(Refused(failure)) = head.extensions.remove::<Refused>() {
        exchange.failed(&failure);
    }
    if body.is_end_stream() {
        body = Body::Empty;
    }

    // Where there is something to upgrade to, 426 has to name it (RFC 9110, section 15.5.22); HTTP/2 has no upgrades.
    let upgrade = (http1 && head.status == StatusCode::UPGRADE_REQUIRED)
        .then(|| head.headers.remove(UPGRADE))
        .flatten();

    if http1 && matches!(body, Body::Stream(_) | Body::Trailed(..)) {
        hop_by_hop::strip_but_trailer(&mut head.headers);
    } else {
        hop_by_hop::strip(&mut head.headers);
    }
    // hyper writes the date, from a cache that it renews once a second.
    if fields.have(Fields::DATE) {
        head.headers.remove(DATE);
    }
    let mut id = exchange.request_id().header_value();
    // No two are the same. In HPACK's table, where what is sensitive is never put (RFC 7541, section 7.1.3), each would
    // drive out what does come again, and h2 would compare the next one with all that are there.
    id.set_sensitive(!http1);
    head.headers.insert(&X_REQUEST_ID, id);
    if http1 && exchange.closes() {
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(upgrade) = upgrade {
        head.headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(UPGRADE, upgrade);
    }

    if has_no_body(exchange.method(), head.status) {
        describe_absent_body(&mut head.headers, head.status, &body);
        body = Body::Empty;
    }
    head.version = Version::HTTP_11;
    let declares = fields.have(Fields::CONTENT_LENGTH);
    let declared = declares.then(|| head.headers.get(CONTENT_LENGTH).and_then(parse_length)).flatten();
    Response::from_parts(head, ResponseBody::new(body, declared, exchange))
}

/// RFC 9110, section 6.4.1.
fn has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// HEAD and 304 say how long the body would have been, if that is known; 204 must not (RFC 9110, section 8.6).
fn describe_absent_body(headers: &mut HeaderMap, status: StatusCode, body: &Body) {
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if !headers.contains_key(CONTENT_LENGTH)
        && let Some(length) = body.size_hint().exact()
        && length > 0
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// The body of a response on its way to hyper, with the exchange that it ends.
pub(crate) enum ResponseBody {
    /// Nobody else needs to reach it.
    Direct(Delivery),
    /// A stream on HTTP/2, where one stream may stall while its connection lives on.
    Watched(Arc<Watched>),
}

impl ResponseBody {
    /// No body, and no exchange that would end with it.
    pub(crate) fn none() -> Self {
        ResponseBody::Direct(Delivery { body: Body::Empty, left: None, exchange: None, failure: None })
    }

    fn new(body: Body, declared: Option<u64>, exchange: Exchange) -> Self {
        let http2 = exchange.version() == Version::HTTP_2;
        let streamed = !body.is_whole();
        let conn = (http2 && streamed).then(|| exchange.shared_conn());
        let mut delivery = Delivery {
            left: if streamed { declared.or(body.size_hint().exact()) } else { None },
            body,
            exchange: Some(exchange),
            failure: None,
        };
        delivery.end_if_over();
        match conn {
            Some(conn) => ResponseBody::Watched(conn.pulse.watch(delivery)),
            None => ResponseBody::Direct(delivery),
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.get_mut() {
            ResponseBody::Direct(delivery) => delivery.poll(cx),
            ResponseBody::Watched(watched) => watched.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Direct(delivery) => delivery.is_over(),
            ResponseBody::Watched(watched) => watched.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Direct(delivery) => delivery.size_hint(),
            ResponseBody::Watched(watched) => watched.size_hint(),
        }
    }
}

/// A body, how much of it is still owed, and the exchange that ends with it.
pub(crate) struct Delivery {
    body: Body,
    /// Of a stream with a declared length: what is still to come.
    left: Option<u64>,
    /// Until the last frame has been handed over, or the body was cut.
    exchange: Option<Exchange>,
    /// What the next poll returns.
    failure: Option<Failure>,
}

impl Delivery {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let body = &mut self.body;
        // A panic in a plugin's stream must not take down the other streams of the connection.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx)));
        let frame = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(frame)) => frame,
            Err(panic) => Some(Err(metrics::panicked(&*panic))),
        };
        let failure = match frame {
            Some(Ok(frame)) => match self.hand_over(frame) {
                Ok(frame) => return Poll::Ready(Some(Ok(frame))),
                Err(failure) => failure,
            },
            Some(Err(failure)) => failure,
            None if self.left.is_some_and(|left| left > 0) => wrong_length("shorter"),
            None => {
                self.complete();
                return Poll::Ready(None);
            }
        };
        // hyper throws away what it has buffered when a body fails. Being asked to wait, it sends that first,
        // so that the client sees a response that was cut rather than none.
        self.failure = Some(self.cut(failure));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn hand_over(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, Failure> {
        if let Some(data) = frame.data_ref() {
            let bytes = data.len();
            if let Some(left) = &mut self.left {
                let Some(less) = left.checked_sub(bytes as u64) else {
                    return Err(wrong_length("longer"));
                };
                *left = less;
            }
            if let Some(exchange) = &mut self.exchange {
                exchange.sent(bytes);
            }
            self.end_if_over();
        } else if let Some(trailers) = frame.trailers_mut() {
            hop_by_hop::strip_trailers(trailers);
            self.complete();
        }
        Ok(frame)
    }

    /// hyper does not poll a body that says it is over, so this may be the last look at it. Trailers that are here cost nobody
    /// anything more.
    fn end_if_over(&mut self) {
        if self.is_over() || matches!(&self.body, Body::Trailed(data, _) if data.is_empty()) {
            self.complete();
        }
    }

    fn complete(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.complete();
        }
    }

    /// Ends the body, and the plugin's work on it, before its end.
    pub(crate) fn cut(&mut self, failure: Failure) -> Failure {
        self.body = Body::Empty;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.failed(&failure);
        }
        failure
    }

    pub(crate) fn is_over(&self) -> bool {
        self.failure.is_none() && self.body.is_end_stream() && self.left.is_none_or(|left| left == 0)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}

fn wrong_length(than: &str) -> Failure {
    Failure::new(Kind::InvalidResponse, "The plugin's response does not have the length it declared.")
        .with_private(format!("the body is {than} than its content-length"))
}
