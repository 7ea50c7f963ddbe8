//! JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>), over HTTP POST and over WebSocket, at one address.
//!
//! # Methods
//! `accounts.getUser`, and always also `demo.users.v1.accounts.getUser`. Where two plugins, or two versions, have the short name, only the full
//! ones are served. Parameters are named, or in the order of the WIT. `rpc.discover` gives the OpenRPC document.
//!
//! # Answers
//! What the function returns, or null where that is nothing. An error's code is that of the specification or, for what that
//! has no code for, the HTTP status of the kind; its `data` has the `kind`, the `request_id` and, where the function returned the error
//! that its contract declares, that as `error`. Over HTTP the status is 200 whatever the answer is, 204 where there is none because all was
//! notifications, and another where the request was refused before anybody read it: too large, not JSON by its `content-type`.
//!
//! A batch has at most [`JsonRpcConfig::batch_max`] calls, which run [`JsonRpcConfig::batch_at_once`] at a time; their answers are in
//! the order of the calls.
//!
//! # Streams
//! A function that streams is called over WebSocket. The result is `{"stream": 1}`; after it come
//! `{"method": "rpc.next", "params": {"stream": 1, "item": …}}` for each item, and `{"method": "rpc.end", "params": {"stream": 1}}` at the end,
//! with a member `error` where a failure cut it short. `rpc.cancel` with the parameter `stream` ends one; its result says
//! whether there was one to end. Items are made as the client reads them. A function that takes a stream is not served here.

mod calls;
mod discover;
mod message;
mod methods;
mod socket;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use wharf_call::{
    Body, BoxFuture, Door, Failure, HttpService, Invocation, Kind, Metadata, Refused, Service, problem,
};

use crate::body::{collect, pay};
use crate::rest::negotiate;
use crate::served::DoorConfig;
use crate::websocket::{self, SocketLimits};
use methods::Methods;

/// What the door is given by the host.
#[derive(Clone)]
pub struct JsonRpcConfig {
    /// As for REST.
    pub door: DoorConfig,
    /// The most calls of a batch. Default 100.
    pub batch_max: usize,
    /// The most calls of a batch, or of a socket, that run at the same time. Default 8.
    pub batch_at_once: usize,
    /// The most streams of a socket at the same time. Default 32.
    pub streams_max: usize,
    /// The limits of a socket.
    pub socket: SocketLimits,
}

impl JsonRpcConfig {
    /// The defaults.
    pub fn new(door: DoorConfig) -> Self {
        JsonRpcConfig {
            door,
            batch_max: 100,
            batch_at_once: 8,
            streams_max: 32,
            socket: SocketLimits::default(),
        }
    }
}

/// The JSON-RPC door of one generation of every plugin.
pub struct JsonRpcDoor(Arc<Inner>);

struct Inner {
    config: JsonRpcConfig,
    methods: Methods,
    discovered: OnceLock<Vec<u8>>,
}

impl JsonRpcDoor {
    /// The door to all functions of `services`.
    ///
    /// # Errors
    /// A sentence for each full name that two functions would have.
    pub fn new(services: &[Arc<dyn Service>], config: JsonRpcConfig) -> Result<Self, Vec<String>> {
        let methods = Methods::new(services)?;
        Ok(JsonRpcDoor(Arc::new(Inner { config, methods, discovered: OnceLock::new() })))
    }

    /// The OpenRPC document, as `rpc.discover` gives it.
    pub fn document(&self) -> serde_json::Value {
        discover::document(&self.0.methods)
    }

    async fn answer(
        &self,
        request: Request<Body>,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let config = &self.0.config;
        if websocket::is_offered(&request) {
            let inner = self.0.clone();
            // The handshake is answered before anything is called.
            invocation.metadata = Metadata::of(request.headers().clone()).without_answer();
            return websocket::accept(&request, &[], config.socket, &config.door.memory, move |socket, _| {
                socket::run(inner, socket, invocation)
            });
        }
        if request.method() != Method::POST {
            let text = "Send JSON-RPC with POST, or open a WebSocket here.";
            return Err(Failure::new(Kind::MethodNotAllowed, text).with_allow("POST"));
        }
        negotiate::check_type(request.headers(), &[negotiate::JSON])?;
        let (head, body) = request.into_parts();
        invocation.metadata = Metadata::of(head.headers);
        let (json, reservation) = collect(body, config.door.body_bytes_max, &config.door.memory).await?;
        let answer = self.0.over_http(&json, &invocation).await;
        drop((json, reservation));
        let body = answer.json.map(|json| pay(json, &config.door.memory)).transpose()?;
        let mut response = response(body, answer.failure, StatusCode::OK);
        invocation.metadata.write_answer(response.headers_mut());
        Ok(response)
    }
}

impl HttpService for JsonRpcDoor {
    fn name(&self) -> &str {
        Door::JsonRpc.name()
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(self.answer(request, invocation))
    }

    fn refuse(&self, failure: &Failure, request_id: &str) -> Option<Response<Body>> {
        let status = StatusCode::from_u16(failure.kind().status()).ok()?;
        let json = message::failed(message::NULL, failure, request_id, None);
        let mut response = response(Some(json.into()), None, status);
        problem::write_fields(failure, response.headers_mut());
        Some(response)
    }
}

fn response(body: Option<Bytes>, failure: Option<Failure>, status: StatusCode) -> Response<Body> {
    let Some(json) = body else {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    };
    let mut response = Response::new(Body::Whole(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(negotiate::JSON));
    if let Some(failure) = failure {
        response.extensions_mut().insert(Refused(failure));
    }
    response
}

#[cfg(test)]
mod tests;
