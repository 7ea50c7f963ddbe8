//! `wharf:plugin/handler@0.1.0`.

pub(super) mod lowered;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use tokio::sync::oneshot;
use wasmtime::component::{
    Accessor, Destination, FutureConsumer, FutureReader, Instance, InstancePre, Source, StreamConsumer,
    StreamProducer, StreamReader, StreamResult, TypedFunc, TypedFuncCallConcurrent,
};
use wasmtime::{AsContextMut, Store, StoreContextMut};
use wharf_bindings::handler_0_1::HandlerOnlyIndices;
use wharf_bindings::handler_0_1::wharf::plugin::types as wit;
use wharf_call::{Body, Exceeded, Failure, Invocation, Kind, LimitKey, MemoryUse, Reservation};

use crate::answer::Answer;
use crate::enforcer::Enforcer;
use crate::memory::Denied;
use crate::pipe::{PipeEnd, PipeWriter, Room, pipe, take_chunk};
use crate::request_body::RequestBody;
use crate::state::State;

/// Whole bodies up to this are in what an instance is paid for.
const UNPAID_BYTES_MAX: usize = 64 << 10;

/// What the host adds to a response's fields: the request id, `connection`, `content-length`.
const HOST_FIELDS: usize = 3;

type Arguments = (lowered::Request, lowered::Context);
type Returned = (Result<wit::Response, wit::Failure>,);

/// The export `handle` of an instance.
pub(crate) type Handle = TypedFunc<Arguments, Returned>;

/// The queued call of `handle`.
pub(crate) type Begun = TypedFuncCallConcurrent<State, Arguments, Returned>;

/// Where the export is in a component.
pub(super) struct Indices {
    world: HandlerOnlyIndices,
    /// Whether the function is known to take and to return what [`Handle`] says.
    checked: AtomicBool,
}

impl Indices {
    pub(super) fn new(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(Indices { world: HandlerOnlyIndices::new(pre)?, checked: AtomicBool::new(false) })
    }

    /// The export of an instance. Its type is compared once for a component: it has two dozen parts, and a fresh instance for
    /// each call has no time for that.
    pub(super) fn load(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Handle> {
        let guest = self.world.load(&mut *store, instance)?;
        let function = *guest.wharf_plugin_handler().func_handle().func();
        if self.checked.load(Relaxed) {
            // SAFETY: the same function of another instance of this component had the type, which is the component's.
            return Ok(unsafe { TypedFunc::new_unchecked(function) });
        }
        let handle = function.typed(store)?;
        self.checked.store(true, Relaxed);
        Ok(handle)
    }
}

pub(super) fn begin(
    handle: &Handle,
    mut store: StoreContextMut<'_, State>,
    request: Request<RequestBody>,
    invocation: Invocation,
) -> wasmtime::Result<Begun> {
    let (head, body) = request.into_parts();
    let request = lowered::Request::new(head, lower_body(&mut store, body)?);
    handle.start_call_concurrent(store, (request, lowered::Context::new(invocation)))
}

pub(super) async fn answer(
    handle: &Handle,
    accessor: &Accessor<State>,
    call: Begun,
    answer: &Answer,
) -> wasmtime::Result<()> {
    let (result,) = handle.finish_call_concurrent(accessor, call).await?;
    accessor.with(|mut access| lift_answer(access.as_context_mut(), result, answer))
}

/// Gives what the guest returned, checked; a streamed body is connected to its reader.
fn lift_answer(
    mut store: StoreContextMut<'_, State>,
    result: Result<wit::Response, wit::Failure>,
    answer: &Answer,
) -> wasmtime::Result<()> {
    let enforcer = &*store.data().enforcer;
    let chunk_bytes_max = enforcer.plugin.limits.chunk_bytes;
    let lifted = result.map_err(lift_failure).and_then(|response| lift_head(response, enforcer));
    let (head, body) = match lifted {
        Ok(parts) => parts,
        Err(failure) => {
            answer.fail(failure);
            return Ok(());
        }
    };
    match body {
        wit::Body::Empty => answer.whole(head.map(|()| Body::Empty)),
        wit::Body::Whole(bytes) => match pay_for(bytes, enforcer) {
            Some(bytes) => answer.whole(head.map(|()| Body::whole(bytes))),
            None => answer.fail(Denied::Budget.into_failure()),
        },
        wit::Body::Streamed((bytes, trailers)) => {
            let (writer, reader) = pipe();
            let end = writer.end();
            trailers.pipe(&mut store, Trailers(Some(end)))?;
            bytes.pipe(&mut store, Chunks { writer, chunk_bytes_max })?;
            answer.streamed(head.map(|()| Body::stream(reader)));
        }
    }
    Ok(())
}

/// A body that the guest has handed over whole is the host's from here to the client: a large one is taken from
/// the host's budget until then.
fn pay_for(bytes: Vec<u8>, enforcer: &Enforcer) -> Option<Bytes> {
    struct Paid(Vec<u8>, #[expect(dead_code, reason = "held for its drop")] Reservation);
    impl AsRef<[u8]> for Paid {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    if bytes.len() <= UNPAID_BYTES_MAX {
        return Some(bytes.into());
    }
    let paid = enforcer.berth.ports.memory.reserve(MemoryUse::Bodies, bytes.len() as u64)?;
    Some(Bytes::from_owner(Paid(bytes, paid)))
}

fn lower_fields(headers: &HeaderMap) -> wit::Fields {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

fn lower_body(store: &mut StoreContextMut<'_, State>, body: RequestBody) -> wasmtime::Result<wit::Body> {
    let body = match body.into_whole() {
        Ok(bytes) if bytes.is_empty() => return Ok(wit::Body::Empty),
        Ok(bytes) => return Ok(wit::Body::Whole(bytes.into())),
        Err(streamed) => streamed,
    };
    let (ended, end) = oneshot::channel();
    let bytes = StreamReader::new(&mut *store, Upload { body, ended: Some(ended) })?;
    let trailers = FutureReader::new(&mut *store, async {
        let unread = || Failure::new(Kind::BadRequest, "the request body was not read to its end");
        let end: Result<HeaderMap, Failure> = end.await.unwrap_or_else(|_| Err(unread()));
        Ok::<_, wasmtime::Error>(match end {
            Ok(trailers) => Ok(lower_fields(&trailers)),
            Err(failure) => Err(lower_failure(&failure)),
        })
    })?;
    Ok(wit::Body::Streamed((bytes, trailers)))
}

fn lower_failure(failure: &Failure) -> wit::Failure {
    wit::Failure { kind: failure.kind_name().to_owned(), message: failure.public().to_owned(), details: None }
}

/// The guest's texts are bounded before they are kept; `wit/types.wit` has the figures.
pub(super) fn lift_failure(failure: wit::Failure) -> Failure {
    let bound = |mut text: String, max: usize| {
        if text.len() > max {
            let cut = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
        }
        text
    };
    Failure::from_guest(
        &bound(failure.kind, 64),
        bound(failure.message, 1 << 10),
        failure.details.map(|details| bound(details, 8 << 10)),
    )
}

/// Checks all that makes a response valid HTTP before any of it is sent.
fn lift_head(response: wit::Response, enforcer: &Enforcer) -> Result<(Response<()>, wit::Body), Failure> {
    let invalid = |what: String| {
        Failure::new(Kind::InvalidResponse, "the plugin's response is not valid HTTP").with_private(what)
    };
    if !(200..=599).contains(&response.status) {
        return Err(invalid(format!("status {} is not within 200 to 599", response.status)));
    }
    let bytes: usize = response.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    enforcer
        .check(LimitKey::ResponseHeaderCount, response.headers.len() as u64)
        .and_then(|()| enforcer.check(LimitKey::ResponseHeaders, bytes as u64))
        .map_err(Exceeded::into_failure)?;
    // A look at the length of each name is cheaper than a look-up that mostly finds nothing.
    let declares_length =
        response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(header::CONTENT_LENGTH.as_str()));
    let headers = lift_fields(response.headers).map_err(&invalid)?;
    if declares_length
        && let wit::Body::Whole(body) = &response.body
        && let Some(length) = headers.get(header::CONTENT_LENGTH)
        && length.to_str().ok().and_then(|length| length.parse().ok()) != Some(body.len())
    {
        return Err(invalid(format!("content-length is {length:?}, the body has {} bytes", body.len())));
    }
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(response.status).map_err(|error| invalid(error.to_string()))?;
    *head.headers_mut() = headers;
    Ok((head, response.body))
}

/// With room for what the host adds: a map that grows hashes every name again.
fn lift_fields(fields: wit::Fields) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(fields.len().min(128) + HOST_FIELDS);
    for (name, value) in fields {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is not a header name"))?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| format!("the value of {name:?} has bytes that no header may have"))?;
        headers.try_append(parsed, value).map_err(|_| "too many header fields".to_owned())?;
    }
    Ok(headers)
}

/// A request body on its way into the guest.
struct Upload {
    body: RequestBody,
    ended: Option<oneshot::Sender<Result<HeaderMap, Failure>>>,
}

impl Upload {
    fn end(&mut self, end: Result<HeaderMap, Failure>) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(ended) = self.ended.take() {
            // The guest may have dropped the future: then it does not want to know.
            let _ = ended.send(end);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl StreamProducer<State> for Upload {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'_, State>,
        mut destination: Destination<'_, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => {
                        // What does not fit is kept by wasmtime and given to the next read.
                        destination.set_buffer(bytes);
                        return Poll::Ready(Ok(StreamResult::Completed));
                    }
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => return self.end(Ok(trailers)),
                        Err(_) => continue,
                    },
                },
                Poll::Ready(Some(Err(failure))) => return self.end(Err(failure)),
                Poll::Ready(None) => return self.end(Ok(HeaderMap::new())),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The bytes of a response on their way out of the guest.
struct Chunks {
    writer: PipeWriter,
    /// The most that is copied out at a time.
    chunk_bytes_max: usize,
}

impl StreamConsumer<State> for Chunks {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.writer.poll_room(cx) {
            Poll::Ready(Room::Gone) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Room::Free) => {
                if let Some(chunk) = take_chunk(store, source, self.chunk_bytes_max) {
                    self.writer.put(chunk);
                }
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The end of a response body, as the guest says it.
struct Trailers(Option<PipeEnd>);

impl FutureConsumer<State> for Trailers {
    type Item = Result<wit::Fields, wit::Failure>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        mut source: Source<'_, Self::Item>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(value), Some(end)) = (value, self.0.take()) {
            end.finish(match value {
                Ok(fields) => lift_fields(fields).map_err(|what| {
                    Failure::new(Kind::InvalidResponse, "the plugin's trailers are not valid HTTP")
                        .with_private(what)
                }),
                Err(failure) => Err(lift_failure(failure)),
            });
        }
        Poll::Ready(Ok(()))
    }
}
