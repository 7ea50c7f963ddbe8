//! JSON-RPC over one WebSocket.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use wharf_call::{BoxFuture, Failure, Invocation, Kind, Output, Value};

use super::Inner;
use super::calls::{Answered, Begun};
use super::message::{NULL, coded, error, failed, succeeded};
use crate::errors;
use crate::json::encode;
use crate::websocket::{Message, Socket};

/// What happened behind the socket.
enum Event {
    /// A text has its answer.
    Answered(Answered, Option<Begun>),
    /// A stream gave something, or ended.
    Item(u64, Begun, Option<Result<Value, Failure>>),
    /// A stream was cancelled.
    Cancelled,
}

struct Session {
    inner: Arc<Inner>,
    invocation: Invocation,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    calls: usize,
    streams: HashMap<u64, AbortHandle>,
    last_stream: u64,
}

/// Serves a socket until it is over; what it still does ends with it.
pub(super) async fn run(inner: Arc<Inner>, mut socket: Socket, invocation: Invocation) {
    let at_once = inner.config.batch_at_once.max(1);
    let mut session = Session {
        inner,
        invocation,
        events: FuturesUnordered::new(),
        calls: 0,
        streams: HashMap::new(),
        last_stream: 0,
    };
    loop {
        // While as many calls run as may, nothing more is read: that is the back-pressure.
        tokio::select! {
            message = socket.next(), if session.calls < at_once => match message {
                Some(Message::Text(text)) => session.begin(Bytes::from(text)),
                Some(Message::Binary(bytes)) => session.begin(bytes),
                None => return,
            },
            Some(event) = session.events.next(), if !session.events.is_empty() => {
                let (json, next) = session.handle(event);
                if let Some(json) = json {
                    // What was written is JSON, which is UTF-8.
                    let text = String::from_utf8(json).unwrap_or_default();
                    if !socket.send(Message::Text(text)).await {
                        return;
                    }
                }
                if let Some((stream, begun)) = next {
                    session.follow(stream, begun);
                }
            }
        }
    }
}

impl Session {
    fn begin(&mut self, json: Bytes) {
        self.calls += 1;
        let (inner, invocation) = (self.inner.clone(), self.invocation.clone());
        self.events.push(
            async move {
                let (answered, begun) = inner.over_socket(&json, &invocation).await;
                Event::Answered(answered, begun)
            }
            .boxed(),
        );
    }

    /// Waits for the next item of a stream.
    fn follow(&mut self, stream: u64, mut begun: Begun) {
        let (handle, registration) = AbortHandle::new_pair();
        self.streams.insert(stream, handle);
        let next = async move {
            let item = begun.values.next().await;
            Event::Item(stream, begun, item)
        };
        self.events
            .push(Abortable::new(next, registration).map(|next| next.unwrap_or(Event::Cancelled)).boxed());
    }

    /// What the client is sent, and the stream that goes on after that.
    fn handle(&mut self, event: Event) -> (Option<Vec<u8>>, Option<(u64, Begun)>) {
        let request_id = self.invocation.request_id.clone();
        let request_id = request_id.as_str();
        match event {
            Event::Cancelled => (None, None),
            Event::Answered(answered, begun) => {
                self.calls -= 1;
                match (answered, begun) {
                    (Answered::Json(json), _) => (json, None),
                    (Answered::Stream(id), Some(begun)) => {
                        if self.streams.len() >= self.inner.config.streams_max {
                            let text = "There are as many streams on this socket as may be: cancel one.";
                            let failure = Failure::new(Kind::RateLimited, text);
                            return (Some(failed(&id, &failure, request_id, None)), None);
                        }
                        self.last_stream += 1;
                        let stream = self.last_stream;
                        let json = succeeded(&id, |out| {
                            out.extend_from_slice(format!(r#"{{"stream":{stream}}}"#).as_bytes());
                        });
                        (Some(json), Some((stream, begun)))
                    }
                    (Answered::Stream(_), None) => (None, None),
                    (Answered::Cancel(Some(stream), id), _) => {
                        let handle = self.streams.remove(&stream);
                        let was = handle.is_some();
                        handle.inspect(AbortHandle::abort);
                        let text: &[u8] = if was { b"true" } else { b"false" };
                        (id.map(|id| succeeded(&id, |out| out.extend_from_slice(text))), None)
                    }
                    (Answered::Cancel(None, id), _) => {
                        let text = "stream: expected the number of a stream";
                        let failure = Failure::new(Kind::BadRequest, text);
                        let code = errors::json_rpc(Kind::BadRequest);
                        let id = id.as_deref().unwrap_or(NULL);
                        (Some(coded(id, code, &failure, request_id, None)), None)
                    }
                }
            }
            Event::Item(stream, begun, item) => {
                // It may have been cancelled when its item was ready already.
                if self.streams.remove(&stream).is_none() {
                    return (None, None);
                }
                let mut out = Vec::with_capacity(256);
                let begin = |method: &str, out: &mut Vec<u8>| {
                    let head =
                        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"stream":{stream}"#);
                    out.extend_from_slice(head.as_bytes());
                };
                let mut next = None;
                match item {
                    Some(Ok(value)) => {
                        begin("rpc.next", &mut out);
                        out.extend_from_slice(br#","item":"#);
                        if let Output::Stream(ty) = &begun.target.function().output {
                            encode(&begun.target.plan, ty, &value, &mut out);
                        }
                        next = Some((stream, begun));
                    }
                    Some(Err(failure)) => {
                        begin("rpc.end", &mut out);
                        out.extend_from_slice(br#","error":"#);
                        let declared = begun.target.declared(&failure);
                        let code = errors::json_rpc(failure.kind());
                        error(code, &failure, request_id, declared.as_deref(), &mut out);
                    }
                    None => begin("rpc.end", &mut out),
                }
                out.extend_from_slice(b"}}");
                (Some(out), next)
            }
        }
    }
}
