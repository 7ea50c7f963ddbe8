//! REST: every function as `POST /rpc/PACKAGE/INTERFACE/FUNCTION`, and under the paths that the manifest gives it.
//!
//! # Calls
//! `POST /rpc/demo:users@1/accounts/get-user` with `content-type: application/json` and an object with a member for each
//! parameter, by the names of `MAPPING.md`; no body, or `{}`, where none are needed. The answer is the value as
//! `application/json`, or 204 where there is none. A function that the WIT marks with `@query` also answers GET, with its
//! parameters in the query: texts as they are, a name for each item of a list, JSON for what no text stands for.
//!
//! # Streams
//! What a plugin streams comes, by `accept`, as lines of JSON (`application/jsonl`, which is the default, or `application/x-ndjson`) or
//! as server-sent events (`text/event-stream`). Events have the value as their data; one of type `complete` says that all is
//! said, so that a browser does not ask again. After 15 seconds of silence a comment goes out, so that no proxy on the way
//! takes the connection for dead. A failure in the middle is a last line `{"error": PROBLEM}`, or an event of type `error`
//! with the problem document, and then the body is cut: one that ended well has no such line.
//!
//! What a client streams are lines of JSON: the parameters in the first one, then a line for each item. An empty line is none.
//!
//! # Failures
//! A problem document (RFC 9457), see [`wharf_call::problem`]. What the function returned as its declared error is the
//! member `error`.
//!
//! # Versions
//! `demo:users@1` and `demo:users@2` are served side by side. What the WIT marks as deprecated answers with `Deprecation`
//! (RFC 9745) and, where the docs name the day with `@sunset`, `Sunset` (RFC 8594).
//!
//! Start with [`RestDoor`], then [`binding`].

mod answer;
pub mod binding;
mod deprecation;
mod lines;
pub(crate) mod negotiate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode};
use wharf_call::suggest::nearest;
use wharf_call::{
    Body, BoxFuture, Door, Failure, HttpService, Invocation, Kind, Metadata, Output, Reply, Service, Value,
    ValueStream,
};

pub use binding::BindingSpec;
use deprecation::Deprecation;
use lines::{Cause, Lines};
use negotiate::{EVENTS, JSON, LINES};

use crate::body::collect;
use crate::json::{Args, decode_args, may_be_absent};
use crate::names::path_package;
use crate::openapi::{self, Pages};
use crate::served::{DoorConfig, Target};

/// Where functions are served by their names.
pub const RPC: &str = "/rpc/";

/// The REST door of one generation of every plugin.
pub struct RestDoor {
    config: DoorConfig,
    operations: HashMap<String, Arc<Operation>>,
    /// In the order of the schemas.
    listed: Vec<Arc<Operation>>,
    bindings: Mutex<Vec<Arc<binding::Bound>>>,
    pages: Pages,
}

/// A function under its path.
pub(crate) struct Operation {
    pub(crate) target: Target,
    /// `/rpc/demo:users@1/accounts/get-user`.
    pub(crate) path: String,
    /// Whether it may be called with GET.
    pub(crate) answers_get: bool,
    deprecation: Deprecation,
}

impl Operation {
    fn new(target: Target, config: &DoorConfig) -> Self {
        let (interface, function) = (target.interface(), target.function());
        let path = format!("{RPC}{}/{}/{}", path_package(&interface.package), interface.name, function.name);
        let answers_get = config.is_query(&target) && function.input.is_none();
        Operation { path, answers_get, deprecation: Deprecation::of(interface, function), target }
    }
}

impl RestDoor {
    /// The door to all functions of `services`.
    ///
    /// # Errors
    /// A sentence for each path that two functions would have.
    pub fn new(services: &[Arc<dyn Service>], config: DoorConfig) -> Result<Self, Vec<String>> {
        let targets = Target::all(services).into_iter();
        let listed: Vec<_> = targets.map(|target| Arc::new(Operation::new(target, &config))).collect();
        let mut operations: HashMap<String, Arc<Operation>> = HashMap::new();
        let mut conflicts = Vec::new();
        for operation in &listed {
            if let Some(other) = operations.insert(operation.path.clone(), operation.clone()) {
                let text = operation.target.conflict(&other.target);
                if !conflicts.contains(&text) {
                    conflicts.push(text);
                }
            }
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        Ok(RestDoor { config, operations, listed, bindings: Mutex::default(), pages: Pages::default() })
    }

    /// Serves a function under a route of the manifest. The document shows it from now on.
    ///
    /// # Errors
    /// What is wrong with the route, and what to write instead.
    pub fn bind(&self, spec: BindingSpec) -> Result<Arc<dyn HttpService>, String> {
        let bound = Arc::new(binding::Bound::new(&self.listed, spec, self.config.clone())?);
        self.bindings.lock().unwrap_or_else(PoisonError::into_inner).push(bound.clone());
        self.pages.forget();
        Ok(bound)
    }

    /// The OpenAPI document of everything that is served, as `GET /openapi.json` has it.
    pub fn document(&self) -> serde_json::Value {
        let bindings = self.bindings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        openapi::document(&self.listed, &bindings, self.config.rpc)
    }

    async fn answer(
        &self,
        request: Request<Body>,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let path = request.uri().path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let operation = self.operations.get(path).filter(|_| self.config.rpc);
        let Some(operation) = operation else {
            if let Some(page) = self.pages.answer(path, &request, || self.document()) {
                return page;
            }
            return Err(self.unknown(path));
        };
        let by_query = match *request.method() {
            Method::POST => false,
            Method::GET | Method::HEAD if operation.answers_get => true,
            Method::OPTIONS => return Ok(options(operation.allow())),
            _ => return Err(method_not_allowed(operation.allow())),
        };
        let mut response = if by_query {
            let media = media(&operation.target, request.headers())?;
            let args = self.read_query(operation, &request)?;
            invocation.metadata = Metadata::of(request.into_parts().0.headers);
            self.config.call(&operation.target, args, None, media, None, invocation).await?
        } else {
            self.by_body(operation, request, invocation).await?
        };
        operation.deprecation.write(response.headers_mut());
        Ok(response)
    }

    /// The parameters out of the query.
    fn read_query(&self, operation: &Operation, request: &Request<Body>) -> Result<Vec<Value>, Failure> {
        let Target { plan, id, .. } = &operation.target;
        let names = plan.params(*id);
        let params = &operation.target.function().params;
        let mut found: Vec<Vec<String>> = vec![Vec::new(); params.len()];
        for (name, text) in query(request) {
            let at = names.position(&name, 0).ok_or_else(|| unknown_query(&name, names.iter()))?;
            found[at].push(text);
        }
        let mut args = Args::new(plan, *id, self.config.limits());
        for (at, texts) in found.iter().enumerate() {
            if !texts.is_empty() || may_be_absent(plan, &params[at].ty) {
                args.set_texts(at, names.get(at), texts)?;
            }
        }
        Ok(args.finish()?)
    }

    async fn by_body(
        &self,
        operation: &Operation,
        request: Request<Body>,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let Target { plan, id, .. } = &operation.target;
        let media = media(&operation.target, request.headers())?;
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(Failure::new(
                Kind::BadRequest,
                "Nothing is taken from the query here: put the parameters into the body.",
            ));
        }
        let limits = self.config.limits();
        let (parts, body) = request.into_parts();
        if let Some(item) = &operation.target.function().input {
            negotiate::check_type(&parts.headers, &LINES)?;
            invocation.metadata = Metadata::of(parts.headers);
            let mut lines = Lines::new(body, self.config.body_bytes_max, &self.config.memory)?;
            let first = lines.next().await?.ok_or_else(|| {
                Failure::new(Kind::BadRequest, "The body is empty: its first line has the parameters, or {}.")
            })?;
            let args = decode_args(plan, *id, &first, false, limits).map_err(|error| lines.wrong(error))?;
            let cause = Cause::default();
            let values = lines::values(lines, plan.clone(), item.clone(), limits, cause.clone());
            let called =
                self.config.call(&operation.target, args, Some(values), media, None, invocation).await;
            return cause.take().map_or(called, Err);
        }
        if !http_body::Body::is_end_stream(&body) {
            negotiate::check_type(&parts.headers, &[JSON])?;
        }
        invocation.metadata = Metadata::of(parts.headers);
        // The reservation pays for the text until it has become values.
        let (json, reservation) = collect(body, self.config.body_bytes_max, &self.config.memory).await?;
        let args = decode_args(plan, *id, &json, false, limits)?;
        drop((json, reservation));
        self.config.call(&operation.target, args, None, media, None, invocation).await
    }

    fn unknown(&self, path: &str) -> Failure {
        let near = path.rsplit_once('/').and_then(|(within, name)| {
            let siblings =
                self.operations.keys().filter_map(|path| path.strip_prefix(within)?.strip_prefix('/'));
            nearest(name, siblings).map(|near| format!("{within}/{near}"))
        });
        Failure::new(
            Kind::NotFound,
            match near {
                Some(near) => format!("There is no function at this address; did you mean {near}?"),
                None => {
                    "There is no function at this address; /openapi.json lists those that there are.".into()
                }
            },
        )
    }
}

impl Operation {
    fn allow(&self) -> &'static str {
        if self.answers_get { "GET, HEAD, POST" } else { "POST" }
    }
}

impl HttpService for RestDoor {
    fn name(&self) -> &str {
        Door::Rest.name()
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(self.answer(request, invocation))
    }
}

/// The media type of the answer that the client likes best of those that the function has.
fn media(target: &Target, headers: &http::HeaderMap) -> Result<&'static str, Failure> {
    match target.function().output {
        Output::Nothing => Ok(JSON),
        Output::Value(_) => negotiate::choose(headers, &[JSON]),
        Output::Stream(_) => negotiate::choose(headers, &[LINES[0], LINES[1], EVENTS]),
    }
}

impl DoorConfig {
    /// Calls a function, and makes a response of what it gave.
    async fn call(
        &self,
        target: &Target,
        args: Vec<Value>,
        input: Option<ValueStream>,
        media: &'static str,
        status: Option<StatusCode>,
        invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let request_id = invocation.request_id.clone();
        let metadata = invocation.metadata.clone();
        let called: Result<Reply, Failure> = target.invoke(args, input, Door::Rest, invocation).await;
        let mut response = match called {
            Ok(reply) => answer::reply(self, target, reply, media, status, request_id.as_str())?,
            Err(failure) => answer::refuse(target, failure, metadata.has_answer(), request_id.as_str())?,
        };
        metadata.write_answer(response.headers_mut());
        Ok(response)
    }
}

/// The names and texts of a query, decoded as forms are.
fn query(request: &Request<Body>) -> impl Iterator<Item = (String, String)> + '_ {
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).map(|(name, text)| (name.into_owned(), text.into_owned()))
}

fn unknown_query<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Failure {
    let name = &name[..name.floor_char_boundary(64)];
    let hint = nearest(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    Failure::new(Kind::BadRequest, format!("The query parameter {name:?} is not known here{hint}"))
}

fn method_not_allowed(allow: &str) -> Failure {
    Failure::new(Kind::MethodNotAllowed, "This address does not serve the method.").with_allow(allow)
}

fn options(allow: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allow));
    response
}

#[cfg(test)]
mod tests;
