//! From a text to the text that answers it.

use futures_util::{FutureExt, StreamExt, stream};
use wharf_call::{BoxFuture, Door, Failure, Invocation, Kind, MemoryUse, Output, Reply, ValueStream};

use super::message::{
    INVALID_REQUEST, Incoming, METHOD_NOT_FOUND, NULL, PARSE_ERROR, Request, Wrong, coded, failed, incoming,
    request, succeeded,
};
use super::{Inner, discover};
use crate::json::{decode_args, encode};
use crate::served::Target;

/// The answer to a text.
pub(super) struct Answer {
    /// `None` where nothing is to be answered.
    pub(super) json: Option<Vec<u8>>,
    /// Of a single call, why it failed.
    pub(super) failure: Option<Failure>,
}

/// A stream that a call began.
pub(super) struct Begun {
    pub(super) target: Target,
    pub(super) values: ValueStream,
}

/// What a call gave.
enum Outcome {
    Json(Vec<u8>),
    Failed(Vec<u8>, Failure),
    Stream(Begun),
}

impl Inner {
    pub(super) async fn over_http(&self, json: &[u8], invocation: &Invocation) -> Answer {
        let id = invocation.request_id.as_str();
        match incoming(json, self.config.batch_max) {
            Ok(Incoming::Single(json)) => {
                let request = match request(json) {
                    Ok(request) => request,
                    Err(wrong) => return self.wrong(wrong, id),
                };
                match self.outcome(&request, invocation, false).await {
                    _ if request.id.is_none() => Answer { json: None, failure: None },
                    Outcome::Json(json) => Answer { json: Some(json), failure: None },
                    Outcome::Failed(json, failure) => Answer { json: Some(json), failure: Some(failure) },
                    Outcome::Stream(_) => Answer { json: None, failure: None },
                }
            }
            other => self.batch(other, invocation).await,
        }
    }

    /// A text over WebSocket, and the stream that it began.
    pub(super) async fn over_socket(
        &self,
        json: &[u8],
        invocation: &Invocation,
    ) -> (Answered, Option<Begun>) {
        let id = invocation.request_id.as_str();
        let plain = |json: Option<Vec<u8>>| (Answered::Json(json), None);
        match incoming(json, self.config.batch_max) {
            Ok(Incoming::Single(json)) => match request(json) {
                Err(wrong) => plain(self.wrong(wrong, id).json),
                Ok(request) if request.method == "rpc.cancel" => {
                    let stream = serde_json::from_str::<Cancel>(request.params).map(|params| params.stream);
                    (Answered::Cancel(stream.ok(), request.id.map(str::to_owned)), None)
                }
                Ok(request) => match (self.outcome(&request, invocation, true).await, request.id) {
                    // Nobody would know which stream it is.
                    (_, None) => plain(None),
                    (Outcome::Json(json) | Outcome::Failed(json, _), _) => plain(Some(json)),
                    (Outcome::Stream(begun), Some(id)) => (Answered::Stream(id.to_owned()), Some(begun)),
                },
            },
            other => plain(self.batch(other, invocation).await.json),
        }
    }

    async fn batch(
        &self,
        incoming: Result<Incoming<'_>, serde_json::Error>,
        invocation: &Invocation,
    ) -> Answer {
        let id = invocation.request_id.as_str();
        let batch = match incoming {
            Ok(Incoming::Batch(batch)) if !batch.is_empty() => batch,
            Ok(Incoming::TooMany) => {
                let text = format!("A batch has at most {} calls.", self.config.batch_max);
                return self.refused(INVALID_REQUEST, NULL, text, id);
            }
            Err(error) => return self.wrong(Wrong::Json(error), id),
            Ok(_) => return self.refused(INVALID_REQUEST, NULL, "A batch has at least one call.".into(), id),
        };
        // Their answers are one response.
        let metadata = invocation.metadata.without_answer();
        let invocation = Invocation { metadata, ..invocation.clone() };
        let calls: Vec<BoxFuture<'_, Option<Vec<u8>>>> =
            batch.into_iter().map(|raw| self.one_of_batch(raw.get(), &invocation).boxed()).collect();
        let mut answers = stream::iter(calls).buffered(self.config.batch_at_once.max(1));
        let mut out = Vec::new();
        let Some(mut paid) = self.config.door.memory.reserve(MemoryUse::Bodies, 0) else {
            return self.no_memory(id);
        };
        while let Some(answer) = answers.next().await {
            let Some(json) = answer else { continue };
            // A buffer that grows has room for as much again.
            let needed = 2 * (out.len() + json.len()) as u64;
            if needed > paid.bytes() && !paid.grow(needed - paid.bytes()) {
                return self.no_memory(id);
            }
            out.push(if out.is_empty() { b'[' } else { b',' });
            out.extend_from_slice(&json);
        }
        if out.is_empty() {
            return Answer { json: None, failure: None };
        }
        out.push(b']');
        Answer { json: Some(out), failure: None }
    }

    async fn one_of_batch(&self, json: &str, invocation: &Invocation) -> Option<Vec<u8>> {
        match request(json.as_bytes()) {
            Err(wrong) => self.wrong(wrong, invocation.request_id.as_str()).json,
            Ok(request) => match self.outcome(&request, invocation, false).await {
                Outcome::Json(json) | Outcome::Failed(json, _) if request.id.is_some() => Some(json),
                _ => None,
            },
        }
    }

    /// Runs one call.
    async fn outcome(&self, request: &Request<'_>, invocation: &Invocation, may_stream: bool) -> Outcome {
        let (id, request_id) = (request.id.unwrap_or(NULL), invocation.request_id.as_str());
        if request.method == "rpc.discover" {
            let document =
                self.discovered.get_or_init(|| discover::document(&self.methods).to_string().into());
            return Outcome::Json(succeeded(id, |out| out.extend_from_slice(document)));
        }
        let target = match self.methods.find(&request.method) {
            Ok(target) => target,
            Err(text) => {
                let failure = Failure::new(Kind::NotFound, text);
                return Outcome::Failed(coded(id, METHOD_NOT_FOUND, &failure, request_id, None), failure);
            }
        };
        match self.call(target, request, invocation, may_stream).await {
            Ok(Reply::Stream(values)) => Outcome::Stream(Begun { target: target.clone(), values }),
            Ok(Reply::Value(value)) => {
                Outcome::Json(succeeded(id, |out| match (&target.function().output, &value) {
                    (Output::Value(ty), Some(value)) => encode(&target.plan, ty, value, out),
                    _ => out.extend_from_slice(b"null"),
                }))
            }
            Err(failure) => {
                let declared = target.declared(&failure);
                Outcome::Failed(failed(id, &failure, request_id, declared.as_deref()), failure)
            }
        }
    }

    async fn call(
        &self,
        target: &Target,
        request: &Request<'_>,
        invocation: &Invocation,
        may_stream: bool,
    ) -> Result<Reply, Failure> {
        let function = target.function();
        if function.input.is_some() {
            let text =
                "This method takes a stream, which JSON-RPC has no form for: call it with REST or gRPC.";
            return Err(Failure::new(Kind::NotImplemented, text));
        }
        if matches!(function.output, Output::Stream(_)) && (!may_stream || request.id.is_none()) {
            let text = "This method streams: call it by itself over WebSocket at this address, with an id, or with REST or gRPC.";
            return Err(Failure::new(Kind::NotImplemented, text));
        }
        let limits = self.config.door.limits();
        let args = decode_args(&target.plan, target.id, request.params.as_bytes(), true, limits)?;
        target.invoke(args, None, Door::JsonRpc, invocation.clone()).await
    }

    fn no_memory(&self, request_id: &str) -> Answer {
        let failure = Failure::new(Kind::Overloaded, "The host has no memory for these answers now.");
        Answer { json: Some(failed(NULL, &failure, request_id, None)), failure: Some(failure) }
    }

    fn wrong(&self, wrong: Wrong<'_>, request_id: &str) -> Answer {
        match wrong {
            Wrong::Json(error) => {
                self.refused(PARSE_ERROR, NULL, format!("This is not JSON: {error}"), request_id)
            }
            Wrong::Invalid { id, text } => self.refused(INVALID_REQUEST, id, text, request_id),
        }
    }

    fn refused(&self, code: i64, id: &str, text: String, request_id: &str) -> Answer {
        let failure = Failure::new(Kind::BadRequest, text);
        Answer { json: Some(coded(id, code, &failure, request_id, None)), failure: Some(failure) }
    }
}

/// What a text over WebSocket is answered with.
pub(super) enum Answered {
    Json(Option<Vec<u8>>),
    /// The number of a new stream, under this id.
    Stream(String),
    /// Whether this stream was there, under this id.
    Cancel(Option<u64>, Option<String>),
}

#[derive(serde::Deserialize)]
struct Cancel {
    stream: u64,
}
