//! GraphQL over WebSocket: the subprotocol `graphql-transport-ws`.
//!
//! One task has the socket and all its operations: what is slow to read holds back what is sent, and dropping the task abandons
//! every call. The codes that close it are the protocol's.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, AbortHandle, Abortable, BoxStream, SelectAll};
use http::{Request, Response};
use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout_at};
use wharf_call::{Body, Deadline, Failure, Invocation, Metadata};
use wharf_doors::websocket::{self, Message, Socket};

use crate::errors::Outcome;
use crate::model::RootKind;
use crate::request::GraphqlRequest;
use crate::{Core, unique};

const PROTOCOL: &str = "graphql-transport-ws";

/// Answers the handshake.
///
/// # Errors
/// As of [`websocket::accept`].
pub(crate) fn accept(
    core: &Arc<Core>,
    request: &Request<Body>,
    invocation: Invocation,
) -> Result<Response<Body>, Failure> {
    let core = core.clone();
    let (limits, memory) = (core.config.socket.limits, core.memory.clone());
    // The deadline was that of the handshake. Each operation has the limits of the plugin that it calls.
    // The handshake is answered before anything is called.
    let metadata = Metadata::of(request.headers().clone()).without_answer();
    let invocation = Invocation { deadline: Deadline::NONE, metadata, ..invocation };
    websocket::accept(request, &[PROTOCOL], limits, &memory, move |socket, _| run(core, socket, invocation))
}

/// What an operation has to say.
enum Said {
    Next(String, Outcome),
    /// It was refused before anything was executed, and is over.
    Error(String, Outcome),
    /// It is over.
    Complete(String),
}

struct Session {
    core: Arc<Core>,
    socket: Socket,
    invocation: Invocation,
    said: SelectAll<BoxStream<'static, Said>>,
    running: HashMap<String, AbortHandle>,
}

/// Why a session ends: the code, and the words.
type End = (u16, String);

async fn run(core: Arc<Core>, socket: Socket, invocation: Invocation) {
    let mut session = Session { core, socket, invocation, said: SelectAll::new(), running: HashMap::new() };
    if let Err((code, reason)) = session.talk().await {
        session.socket.close(code, &reason).await;
    }
}

impl Session {
    async fn talk(&mut self) -> Result<(), End> {
        if !self.begin().await? {
            return Ok(());
        }
        loop {
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(message) => self.hear(message).await?,
                    None => return Ok(()),
                },
                Some(said) = self.said.next() => {
                    if !self.say(said).await {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits for `connection_init`; false when the client went away.
    async fn begin(&mut self) -> Result<bool, End> {
        let due = Instant::now() + self.core.config.socket.init;
        loop {
            let message = timeout_at(due, self.socket.next()).await;
            let Some(message) = message.map_err(|_| end(4408, "Connection initialisation timeout"))? else {
                return Ok(false);
            };
            let message = parse(message)?;
            match kind(&message) {
                "connection_init" => {
                    return Ok(self.socket.send(text(&json!({ "type": "connection_ack" }))).await);
                }
                "ping" => {
                    self.socket.send(text(&json!({ "type": "pong" }))).await;
                }
                "pong" => {}
                "subscribe" => return Err(end(4401, "Unauthorized")),
                other => return Err(unexpected(other)),
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        let mut message = parse(message)?;
        match kind(&message) {
            "connection_init" => Err(end(4429, "Too many initialisation requests")),
            "ping" => {
                let pong = match message.get("payload") {
                    Some(payload) => json!({ "type": "pong", "payload": payload }),
                    None => json!({ "type": "pong" }),
                };
                self.socket.send(text(&pong)).await;
                Ok(())
            }
            "pong" => Ok(()),
            "subscribe" => {
                let id = id(&message)?;
                let payload = message.get_mut("payload").map(Json::take).unwrap_or_default();
                self.subscribe(id, payload)
            }
            "complete" => {
                if let Some(operation) = self.running.remove(&id(&message)?) {
                    operation.abort();
                }
                Ok(())
            }
            other => Err(unexpected(other)),
        }
    }

    fn subscribe(&mut self, id: String, payload: Json) -> Result<(), End> {
        if self.running.contains_key(&id) {
            return Err(end(4409, format!("Subscriber for {id} already exists")));
        }
        if self.running.len() >= self.core.config.socket.operations_max {
            return Err(end(4429, "Too many operations at once"));
        }
        let request = GraphqlRequest::from_json(payload).map_err(|failure| end(4400, failure.public()))?;
        let outcomes = operate(self.core.clone(), request, self.invocation.clone());
        let (handle, registration) = AbortHandle::new_pair();
        let name = id.clone();
        let said = outcomes.map(move |outcome| match outcome.data {
            Some(_) => Said::Next(name.clone(), outcome),
            None => Said::Error(name.clone(), outcome),
        });
        let complete = id.clone();
        let over = stream::once(async move { Said::Complete(complete) });
        self.said.push(Abortable::new(said.chain(over), registration).boxed());
        self.running.insert(id, handle);
        Ok(())
    }

    /// Says it to the client, unless the client does not want to hear it any more; false when the socket is over.
    async fn say(&mut self, said: Said) -> bool {
        let (id, kind, payload) = match said {
            Said::Next(id, outcome) => (id, "next", Some(outcome.into_json())),
            Said::Error(id, outcome) => {
                let errors = serde_json::to_vec(&outcome.errors).unwrap_or_default();
                (id, "error", Some(errors))
            }
            Said::Complete(id) => (id, "complete", None),
        };
        if !self.running.contains_key(&id) {
            return true;
        }
        let mut text = json!({ "id": id, "type": kind }).to_string();
        if let Some(payload) = payload.and_then(|payload| String::from_utf8(payload).ok()) {
            text.pop();
            text.push_str(",\"payload\":");
            text.push_str(&payload);
            text.push('}');
        }
        // After an error nothing follows, not even that it is over.
        if kind != "next"
            && let Some(operation) = self.running.remove(&id)
        {
            operation.abort();
        }
        self.socket.send(Message::Text(text)).await
    }
}

/// Every operation is a stream of outcomes; a query's has one.
fn operate(core: Arc<Core>, request: GraphqlRequest, invocation: Invocation) -> BoxStream<'static, Outcome> {
    let begin = async move {
        let ready = match core.start(request, invocation.request_id.as_str()).await {
            Ok(ready) => ready,
            Err(errors) => return stream::once(async { Outcome::refused(errors) }).boxed(),
        };
        match ready.plan.kind {
            RootKind::Subscription => core.subscribe(ready, invocation),
            _ => {
                let outcome = core.execute(ready, &invocation).await;
                stream::once(async { outcome }).boxed()
            }
        }
    };
    stream::once(begin).flatten().boxed()
}

fn parse(message: Message) -> Result<Json, End> {
    let Message::Text(text) = message else { return Err(end(4400, "Messages are JSON in text")) };
    let message =
        unique::parse(text.as_bytes()).map_err(|error| end(4400, format!("The message {error}")))?;
    match message.get("type").and_then(Json::as_str) {
        Some(_) => Ok(message),
        None => Err(end(4400, "Invalid message: \"type\" is missing")),
    }
}

fn kind(message: &Json) -> &str {
    message["type"].as_str().unwrap_or_default()
}

fn id(message: &Json) -> Result<String, End> {
    match message.get("id").and_then(Json::as_str) {
        Some(id) if !id.is_empty() && id.len() <= 256 => Ok(id.to_owned()),
        _ => Err(end(4400, "Invalid message: \"id\" must be a string of 1 to 256 bytes")),
    }
}

fn unexpected(kind: &str) -> End {
    let kind = &kind[..kind.floor_char_boundary(40)];
    end(4400, format!("Invalid message: unexpected type \"{kind}\""))
}

fn end(code: u16, reason: impl Into<String>) -> End {
    (code, reason.into())
}

fn text(message: &Json) -> Message {
    Message::Text(message.to_string())
}
