//! The door over HTTP (GraphQL over HTTP, draft of 2025).
//!
//! | | `application/graphql-response+json` | `application/json` |
//! |---|---|---|
//! | executed, with errors or without | 200 | 200 |
//! | the document does not parse or is not valid, variables are not of their types | 400 | 200 |
//! | the body is not JSON, `query` is missing, a parameter is of the wrong type | 400 | 400 |
//!
//! A mutation over GET is 405, another type of body 415, an `accept` that nothing fits 406.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value as Json;
use wharf_call::{
    Body, BoxFuture, Failure, HttpService, Invocation, Kind, Memory, Metadata, Refused, Service, problem,
};
use wharf_doors::body::{collect, pay};
use wharf_doors::websocket;

use crate::cache::Cache;
use crate::config::{GraphqlConfig, LinkSpec};
use crate::errors::{Outcome, VALIDATION_FAILED, failure, request_error};
use crate::execute::plain;
use crate::model::{Model, RootKind};
use crate::negotiate::{Accepted, Media, accepted, is_json};
use crate::request::GraphqlRequest;
use crate::schema::Schemas;
use crate::{Core, events, graphiql, socket, unique};

/// How many tokens of valid documents are kept, once over.
const CACHED_TOKENS: usize = 50_000;
/// The most bytes of registered queries, once over.
pub(crate) const REGISTERED_BYTES: usize = 2 << 20;

/// All plugins as one GraphQL service, at one path.
pub struct GraphqlDoor {
    core: Arc<Core>,
}

impl GraphqlDoor {
    /// Makes the schema of `services`, each of one generation, with the fields of `links`. Bodies that it holds whole are
    /// paid from `memory`.
    ///
    /// # Errors
    /// Sentences for whoever wrote the manifest: types and fields of two plugins that have one name and are not the same,
    /// links that do not fit, names that do not exist.
    pub fn new(
        services: &[Arc<dyn Service>],
        links: &[LinkSpec],
        config: GraphqlConfig,
        memory: Arc<dyn Memory>,
    ) -> Result<Self, Vec<String>> {
        let mut model = Model::new(services, &config)?;
        model.link(links)?;
        let schemas = Schemas::new(&model, config.introspection).map_err(|error| vec![error])?;
        let documents = Mutex::new(Cache::new(CACHED_TOKENS));
        let registered = Mutex::new(Cache::new(REGISTERED_BYTES));
        Ok(GraphqlDoor { core: Arc::new(Core { model, schemas, config, documents, registered, memory }) })
    }

    /// The schema as text, in GraphQL's schema definition language.
    pub fn sdl(&self) -> String {
        self.core.schemas.sdl()
    }

    async fn answer(
        &self,
        request: Request<Body>,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let config = &self.core.config;
        if websocket::is_offered(&request) {
            return socket::accept(&self.core, &request, invocation);
        }
        let is_get = *request.method() == Method::GET;
        if !is_get && *request.method() != Method::POST {
            let text = "GraphQL is asked with POST, or with GET for queries.";
            return Err(Failure::new(Kind::MethodNotAllowed, text).with_allow("GET, POST"));
        }
        let query = request.uri().query().unwrap_or_default();
        if is_get
            && config.graphiql
            && let Some(asset) = graphiql::asset(query)
        {
            return graphiql::serve(asset, request.headers());
        }
        let accepts = accepted(request.headers(), is_get && config.graphiql)?;
        if accepts.best == Media::Html {
            return Ok(graphiql::page());
        }
        let (head, body) = request.into_parts();
        let json = if is_get { Ok(()) } else { is_json(&head.headers) };
        invocation.metadata = Metadata::of(head.headers);
        let answered = match json {
            Err(failure) => Err(failure),
            Ok(()) if is_get => match GraphqlRequest::from_url(head.uri.query().unwrap_or_default()) {
                Ok(request) => self.one(request, is_get, accepts, invocation.clone()).await,
                Err(failure) => Err(failure),
            },
            Ok(()) => self.post(body, accepts, invocation.clone()).await,
        };
        let answered = answered.map(|mut response| {
            invocation.metadata.write_answer(response.headers_mut());
            response
        });
        answered.or_else(|failure| {
            let media = if accepts.best == Media::Json { Media::Json } else { Media::Response };
            Ok(refusal(&failure, media, invocation.request_id.as_str()))
        })
    }

    async fn post(
        &self,
        body: Body,
        accepts: Accepted,
        invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let config = &self.core.config;
        let (bytes, _paid) = collect(body, config.body_bytes_max, &self.core.memory).await?;
        let json = unique::parse(&bytes)
            .map_err(|error| Failure::new(Kind::BadRequest, format!("The body {error}")))?;
        let Json::Array(batch) = json else {
            return self.one(GraphqlRequest::from_json(json)?, false, accepts, invocation).await;
        };
        if batch.is_empty() || batch.len() > config.batch_max {
            let text = match config.batch_max {
                0 => "Batches are not taken here: send one operation as a JSON object.".to_owned(),
                max => format!("A batch has from 1 to {max} operations, and this one has {}.", batch.len()),
            };
            return Err(Failure::new(Kind::BadRequest, text));
        }
        let requests = batch.into_iter().map(GraphqlRequest::from_json).collect::<Result<Vec<_>, _>>()?;
        // Their answers are one response.
        let invocation = plain(&invocation);
        let outcomes = join_all(requests.into_iter().map(|request| self.part(request, &invocation))).await;
        let mut body = b"[".to_vec();
        for (at, outcome) in outcomes.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            outcome.write(&mut body);
        }
        body.push(b']');
        let media = if accepts.best == Media::Json { Media::Json } else { Media::Response };
        Ok(json_response(StatusCode::OK, media, pay(body, &self.core.memory)?))
    }

    /// One operation of a batch.
    async fn part(&self, request: GraphqlRequest, invocation: &Invocation) -> Outcome {
        let id = invocation.request_id.as_str();
        match self.core.start(request, id).await {
            Err(errors) => Outcome::refused(errors),
            Ok(ready) if ready.plan.kind == RootKind::Subscription => {
                let text = "A subscription cannot be part of a batch.";
                Outcome::refused(vec![request_error(text, None, VALIDATION_FAILED, id)])
            }
            Ok(ready) => self.core.execute(ready, invocation).await,
        }
    }

    async fn one(
        &self,
        request: GraphqlRequest,
        is_get: bool,
        accepts: Accepted,
        invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let id = invocation.request_id.as_str();
        let outcome = match self.core.start(request, id).await {
            Err(errors) => Outcome::refused(errors),
            Ok(ready) => match ready.plan.kind {
                RootKind::Mutation if is_get => {
                    let text = "GET changes nothing: send mutations with POST.";
                    return Err(Failure::new(Kind::MethodNotAllowed, text).with_allow("POST"));
                }
                RootKind::Subscription if accepts.events => {
                    // The response begins before anything is called.
                    return Ok(events::respond(
                        self.core.clone().subscribe(ready, plain(&invocation)),
                        &self.core.memory,
                    ));
                }
                RootKind::Subscription => {
                    let text = "A subscription needs `accept: text/event-stream`, or a WebSocket.";
                    Outcome::refused(vec![request_error(text, None, VALIDATION_FAILED, id)])
                }
                _ => self.core.execute(ready, &invocation).await,
            },
        };
        if accepts.best == Media::Events {
            return Ok(events::respond(stream::once(async { outcome }).boxed(), &self.core.memory));
        }
        let status = match (accepts.best, &outcome.data) {
            (Media::Response, None) => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        };
        Ok(json_response(status, accepts.best, pay(outcome.into_json(), &self.core.memory)?))
    }
}

impl HttpService for GraphqlDoor {
    fn name(&self) -> &str {
        "graphql"
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(self.answer(request, invocation))
    }

    fn refuse(&self, failure: &Failure, request_id: &str) -> Option<Response<Body>> {
        Some(refusal(failure, Media::Response, request_id))
    }
}

fn json_response(status: StatusCode, media: Media, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// A failure of the whole request as a response of GraphQL.
fn refusal(of: &Failure, media: Media, request_id: &str) -> Response<Body> {
    let status = StatusCode::from_u16(of.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Outcome::refused(vec![failure(of, request_id)]).into_json();
    let mut response = json_response(status, media, body);
    problem::write_fields(of, response.headers_mut());
    response.extensions_mut().insert(Refused(of.clone()));
    response
}
