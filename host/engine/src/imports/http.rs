//! `wasi:http/client@0.3` and `wasi:http/outgoing-handler@0.2`: requests of a guest go out through the port
//! [`Egress`], which knows what was granted.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Instrument;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};
use wharf_call::{
    Body, Deadline, Egress, EgressCode, EgressError, EgressOptions, Failure, Invocation, Kind, RequestId,
};

use crate::answer::{Answer, Given};

/// How long a request that looks as if it had no body is held back until the guest says so.
const BODY_PATIENCE: Duration = Duration::from_millis(5);

/// The way out of one instance.
pub(crate) struct GuestEgress {
    /// `None` when nothing was granted: nothing is imported then, and if something were, it would be denied.
    egress: Option<Arc<dyn Egress>>,
    /// What the guest may write of a body at once. Two chunks wait at most, so this bounds what the host holds
    /// for each body that the guest sends, requests and responses alike.
    chunk_bytes: usize,
    /// What the instance works on.
    call: Option<Call>,
    /// Counts what goes out.
    effects: Arc<AtomicU64>,
}

struct Call {
    request_id: RequestId,
    deadline: Deadline,
    answer: Arc<dyn Given>,
}

impl GuestEgress {
    pub(crate) fn new(egress: Option<Arc<dyn Egress>>, chunk_bytes: usize, effects: Arc<AtomicU64>) -> Self {
        GuestEgress { egress, chunk_bytes, call: None, effects }
    }

    /// From now on, requests go out on behalf of this call. Costs a plugin without the grant nothing.
    pub(crate) fn begin<T: Send + 'static>(&mut self, invocation: &Invocation, answer: &Answer<T>) {
        self.call = self.egress.is_some().then(|| Call {
            request_id: invocation.request_id.clone(),
            deadline: invocation.deadline,
            answer: answer.watch(),
        });
    }

    /// The call has ended.
    pub(crate) fn end(&mut self) {
        self.call = None;
    }

    fn options(&self, asked: RequestOptions) -> EgressOptions {
        let default = EgressOptions::default();
        EgressOptions {
            connect_timeout: asked.connect_timeout.unwrap_or(default.connect_timeout),
            first_byte_timeout: asked.first_byte_timeout.unwrap_or(default.first_byte_timeout),
            between_bytes_timeout: asked.between_bytes_timeout.unwrap_or(default.between_bytes_timeout),
            // The head of the guest's own answer is what is due then. Once it is out, as with a stream of
            // events, what the guest asks for meanwhile is bounded by its timeouts.
            deadline: match &self.call {
                Some(call) if !call.answer.given() => call.deadline,
                _ => Deadline::NONE,
            },
            follow: 0,
        }
    }
}

/// A response and what resolves when its request was sent.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>);

impl WasiHttpHooks for GuestEgress {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, HttpError>> + Send> {
        let Some(egress) = self.egress.clone() else {
            return Box::new(async { Err(HttpError::HttpRequestDenied) });
        };
        self.effects.fetch_add(1, Relaxed);
        let options = self.options(options.unwrap_or_default());
        let request_id = self.call.as_ref().map(|call| call.request_id.clone());
        // An error span, so that it is there whatever is logged: the lines of the call carry its id.
        let span = tracing::error_span!("outbound", request_id = request_id.as_ref().map(RequestId::as_str));
        let send = async move {
            let (head, body) = request.into_parts();
            let body = lift_body(&head, body).await;
            egress.send(Request::from_parts(head, body), options).await
        };
        Box::new(async move {
            // In a task of its own: names, TLS and the like are the host's work, not what the guest computes.
            let answered = OwnTask(tokio::spawn(send.instrument(span))).await;
            let response = answered.map_err(|error| to_wasi(error.code()))?;
            let body =
                |body: Body| body.map_err(|failure| to_wasi(EgressCode::of_body(&failure))).boxed_unsync();
            let sent: Box<dyn Future<Output = Result<(), HttpError>> + Send> = Box::new(async { Ok(()) });
            Ok::<Sent, HttpError>((response.map(body), sent))
        })
    }

    /// The host field is written where the request is sent, from the URI.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.chunk_bytes
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        self.chunk_bytes
    }
}

/// The body of a guest's request. What turns out to be none is [`Body::Empty`]: only that is sent without
/// framing, and once more when an idle connection was dead.
///
/// A body of wasi:http 0.3 is never known to be empty at first, as its trailers may follow. A request that
/// should have none therefore waits for a moment until the guest has said so.
async fn lift_body(head: &request::Parts, mut body: WasiBody) -> Body {
    if body.is_end_stream() {
        return Body::Empty;
    }
    let bodiless = !head.headers.contains_key(CONTENT_LENGTH)
        && [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS].contains(&head.method);
    let patience = if bodiless { BODY_PATIENCE } else { Duration::ZERO };
    let first = timeout(patience, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
    match first {
        Ok(None) => Body::Empty,
        Ok(first) => Body::stream(Rest { first, body }),
        Err(_) => Body::stream(Rest { first: None, body }),
    }
}

/// A body whose first frame was taken already.
struct Rest {
    first: Option<Result<Frame<Bytes>, HttpError>>,
    body: WasiBody,
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let frame = match this.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        frame.map(|frame| frame.map(|frame| frame.map_err(cut)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let taken = match &self.first {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            _ => 0,
        };
        self.body
            .size_hint()
            .exact()
            .map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + taken))
    }
}

/// The guest did not go on with a body that it sends.
fn cut(error: HttpError) -> Failure {
    Failure::new(Kind::InvalidResponse, "the plugin cut its request short").with_private(error.to_string())
}

/// The case of wasi:http's `error-code` that has the same name. The guest gets no more: what exactly happened
/// may be about the host's network.
fn to_wasi(code: EgressCode) -> HttpError {
    match code {
        EgressCode::DnsTimeout => HttpError::DnsTimeout,
        EgressCode::DnsError => HttpError::DnsError { rcode: None, info_code: None },
        EgressCode::DestinationIpProhibited => HttpError::DestinationIpProhibited,
        EgressCode::DestinationIpUnroutable => HttpError::DestinationIpUnroutable,
        EgressCode::ConnectionRefused => HttpError::ConnectionRefused,
        EgressCode::ConnectionTerminated => HttpError::ConnectionTerminated,
        EgressCode::ConnectionTimeout => HttpError::ConnectionTimeout,
        EgressCode::ConnectionReadTimeout => HttpError::ConnectionReadTimeout,
        EgressCode::ConnectionLimitReached => HttpError::ConnectionLimitReached,
        EgressCode::TlsProtocolError => HttpError::TlsProtocolError,
        EgressCode::TlsCertificateError => HttpError::TlsCertificateError,
        EgressCode::TlsAlertReceived => HttpError::TlsAlertReceived { alert_id: None, alert_message: None },
        EgressCode::HttpRequestDenied => HttpError::HttpRequestDenied,
        EgressCode::HttpRequestBodySize => HttpError::HttpRequestBodySize(None),
        EgressCode::HttpRequestMethodInvalid => HttpError::HttpRequestMethodInvalid,
        EgressCode::HttpRequestUriInvalid => HttpError::HttpRequestUriInvalid,
        EgressCode::HttpResponseIncomplete => HttpError::HttpResponseIncomplete,
        EgressCode::HttpResponseHeaderSectionSize => HttpError::HttpResponseHeaderSectionSize(None),
        EgressCode::HttpResponseBodySize => HttpError::HttpResponseBodySize(None),
        EgressCode::HttpResponseTimeout => HttpError::HttpResponseTimeout,
        EgressCode::HttpProtocolError => HttpError::HttpProtocolError,
        EgressCode::InternalError => HttpError::InternalError(None),
    }
}

/// A task that ends with whoever waits for it: a guest that drops its call, or is dropped, takes it along.
struct OwnTask<T>(JoinHandle<Result<T, EgressError>>);

impl<T> Future for OwnTask<T> {
    type Output = Result<T, EgressError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lost = || EgressError::new(EgressCode::InternalError, "the call panicked");
        Pin::new(&mut self.0).poll(cx).map(|ended| ended.unwrap_or_else(|_| Err(lost())))
    }
}

impl<T> Drop for OwnTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    type Frames = mpsc::UnboundedSender<Frame<Bytes>>;

    /// A body that never knows its end before it is asked for it, as those of wasi:http 0.3.
    struct Late(mpsc::UnboundedReceiver<Frame<Bytes>>);

    impl HttpBody for Late {
        type Data = Bytes;
        type Error = HttpError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
            self.0.poll_recv(cx).map(|frame| frame.map(Ok))
        }
    }

    fn body() -> (Frames, WasiBody) {
        let (frames, received) = mpsc::unbounded_channel();
        (frames, Late(received).boxed_unsync())
    }

    fn head(method: Method) -> request::Parts {
        let mut request = Request::new(());
        *request.method_mut() = method;
        request.into_parts().0
    }

    #[tokio::test]
    async fn a_request_without_a_body_is_one_even_if_the_guest_says_so_late() {
        let (frames, body) = body();
        let lifted = tokio::spawn(async move { lift_body(&head(Method::GET), body).await });
        tokio::task::yield_now().await;
        drop(frames);
        assert!(matches!(lifted.await, Ok(Body::Empty)));
    }

    #[tokio::test]
    async fn what_was_taken_to_look_at_is_sent_as_well() {
        let (frames, body) = body();
        for chunk in ["one ", "two"] {
            frames.send(Frame::data(Bytes::from_static(chunk.as_bytes()))).expect("it is read");
        }
        let lifted = lift_body(&head(Method::POST), body).await;
        drop(frames);
        assert_eq!(lifted.collect().await.expect("complete").to_bytes(), "one two");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_says_nothing_does_not_hold_its_request_back() {
        let (frames, body) = body();
        assert!(matches!(lift_body(&head(Method::GET), body).await, Body::Stream(_)));
        drop(frames);
    }
}
