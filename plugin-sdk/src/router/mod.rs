//! A plugin with many routes.

mod pattern;
mod tree;

use std::any::Any;
use std::fmt::{self, Write};
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use crate::call::{Call, States};
use crate::context::Matched;
use crate::endpoint::{AnyEndpoint, Endpoint, Erased};
use crate::{Body, Context, Failure, Handler, IntoResponse, Request, Response, Result};
use tree::{Entry, Node};

/// Sends calls to functions by method and path.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Json, OrFail, Path, Result, Router, StatusCode};
///
/// async fn list() -> Json<Vec<u64>> {
///     Json(vec![1, 2, 3])
/// }
///
/// async fn read(Path(id): Path<u64>) -> Result<String> {
///     (id < 4).then(|| format!("note {id}\n")).or_not_found("no such note")
/// }
///
/// async fn delete(Path(_id): Path<u64>) -> StatusCode {
///     StatusCode::NO_CONTENT
/// }
///
/// #[wharf::router]
/// fn routes() -> Router {
///     Router::new()
///         .get("/notes", list)
///         .get("/notes/{id}", read)
///         .delete("/notes/{id}", delete)
/// }
/// ```
///
/// ```toml
/// [[route]]
/// path   = "/notes/{*rest}"       # the router sees the whole path, not the rest
/// plugin = "notes"
/// ```
///
/// **Patterns** are written as in the manifest: `{id}` is one segment, `{*rest}` all that are left, also
/// none; both are percent-decoded. A slash at the end says nothing. The most specific pattern wins, whatever
/// the order: a fixed segment beats `{id}`, which beats `{*rest}`.
///
/// **Methods.** GET also answers HEAD. A path that has functions for other methods only is answered with
/// 405 and `allow`, an OPTIONS that nobody answers with 204 and `allow`, and everything else with 404.
///
/// A wrong pattern, two functions for one method and path, or a function that asks for a [`State`](crate::State)
/// that is not there fail when the instance starts: such a version never serves, and `wharf plugin list`
/// says why.
#[derive(Default)]
pub struct Router {
    routes: Vec<Route>,
    fallback: Option<Rc<dyn AnyEndpoint>>,
    states: Vec<&'static dyn Any>,
    errors: Vec<String>,
}

struct Route {
    method: Option<Method>,
    pattern: String,
    endpoint: Rc<dyn AnyEndpoint>,
    /// Of the routers that this one was nested in, from the inside out.
    states: Vec<&'static dyn Any>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {
        $(
            #[doc = concat!("`endpoint` answers ", stringify!($method), " at `pattern`.")]
            #[must_use]
            pub fn $name<A: 'static>(self, pattern: &str, endpoint: impl Endpoint<A>) -> Self {
                self.on(Method::$method, pattern, endpoint)
            }
        )*
    };
}

impl Router {
    /// Without routes.
    pub fn new() -> Self {
        Router::default()
    }

    methods! {
        get GET;
        post POST;
        put PUT;
        patch PATCH;
        delete DELETE;
        head HEAD;
        options OPTIONS;
    }

    /// `endpoint` answers `method` at `pattern`.
    #[must_use]
    pub fn on<A: 'static>(mut self, method: Method, pattern: &str, endpoint: impl Endpoint<A>) -> Self {
        self.add(Some(method), pattern, endpoint);
        self
    }

    /// `endpoint` answers every method at `pattern` that nothing else answers.
    #[must_use]
    pub fn any<A: 'static>(mut self, pattern: &str, endpoint: impl Endpoint<A>) -> Self {
        self.add(None, pattern, endpoint);
        self
    }

    /// All routes of another router, below `prefix`, which may have parameters. They keep their own states,
    /// and see those of this router too. Its fallback is not taken over.
    ///
    /// ```
    /// use wharf_sdk::Router;
    ///
    /// async fn health() -> &'static str {
    ///     "well\n"
    /// }
    ///
    /// let api = Router::new().get("/health", health);
    /// let all = Router::new().nest("/api/v1", api);       // GET /api/v1/health
    /// # drop(all);
    /// ```
    #[must_use]
    pub fn nest(mut self, prefix: &str, router: Router) -> Self {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        self.errors.extend(router.errors);
        for mut route in router.routes {
            if !prefix.is_empty() {
                let pattern = if route.pattern == "/" { "" } else { &*route.pattern };
                route.pattern = format!("{prefix}{pattern}");
            }
            route.states.extend(&router.states);
            self.routes.push(route);
        }
        self
    }

    /// All routes of another router, as they are.
    #[must_use]
    pub fn merge(self, router: Router) -> Self {
        self.nest("", router)
    }

    /// `endpoint` answers what no pattern matches, instead of 404.
    #[must_use]
    pub fn fallback<A: 'static>(mut self, endpoint: impl Endpoint<A>) -> Self {
        self.fallback = Some(Rc::new(Erased::new(endpoint)));
        self
    }

    /// Gives all functions of this router something to share: [`State<&T>`](crate::State). One of each type.
    ///
    /// It is kept until the instance ends.
    #[must_use]
    pub fn with_state<T: 'static>(mut self, state: T) -> Self {
        self.states.push(Box::leak(Box::new(state)));
        self
    }

    /// What `#[wharf::router]` on an `impl` writes.
    #[doc(hidden)]
    #[must_use]
    pub fn __call<F, Fut>(mut self, method: Option<Method>, pattern: &str, answer: F) -> Self
    where
        F: Fn(Call) -> Fut + 'static,
        Fut: Future<Output = Result<Response>> + 'static,
    {
        struct Method<F>(F);

        impl<F, Fut> AnyEndpoint for Method<F>
        where
            F: Fn(Call) -> Fut + 'static,
            Fut: Future<Output = Result<Response>> + 'static,
        {
            fn call<'a>(&'a self, call: Call) -> Pin<Box<dyn Future<Output = Result<Response>> + 'a>> {
                Box::pin((self.0)(call))
            }

            fn missing(&self, _: &[&'static dyn Any]) -> Option<&'static str> {
                None
            }
        }

        self.routes.push(Route {
            method,
            pattern: pattern.to_owned(),
            endpoint: Rc::new(Method(answer)),
            states: Vec::new(),
        });
        self
    }

    fn add<A: 'static>(&mut self, method: Option<Method>, pattern: &str, endpoint: impl Endpoint<A>) {
        self.routes.push(Route {
            method,
            pattern: pattern.to_owned(),
            endpoint: Rc::new(Erased::new(endpoint)),
            states: Vec::new(),
        });
    }

    /// Checks it all, and makes the table that answers calls.
    pub(crate) fn build(self) -> Result<Routes> {
        let mut errors = self.errors;
        let mut root = Node::default();
        for mut route in self.routes {
            let method = route.method.as_ref().map_or("any", Method::as_str).to_owned();
            route.states.extend(&self.states);
            if let Some(state) = route.endpoint.missing(&route.states) {
                let pattern = &route.pattern;
                errors.push(format!(
                    "{method} {pattern} takes State<&{state}>, which is not there: add `.with_state(...)` to its router"
                ));
            }
            let segments = match pattern::parse(&route.pattern) {
                Ok(segments) => segments,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let entry = Entry {
                method: route.method,
                pattern: (&*route.pattern).into(),
                names: pattern::names(&segments),
                endpoint: route.endpoint,
                states: route.states.into(),
            };
            if let Err(other) = root.add(&segments, entry) {
                let pattern = &route.pattern;
                errors.push(format!(
                    "{method} {pattern} and {method} {other} are the same: remove one of them"
                ));
            }
        }
        let states: States = self.states.into();
        if let Some(state) = self.fallback.as_ref().and_then(|fallback| fallback.missing(&states)) {
            errors.push(format!(
                "the fallback takes State<&{state}>, which is not there: add `.with_state(...)`"
            ));
        }
        if errors.is_empty() {
            Ok(Routes { root, fallback: self.fallback, states })
        } else {
            Err(Failure::internal("the routes of this plugin are wrong").with_details(errors.join("; ")))
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.routes.iter().map(|route| (route.method.as_ref(), &route.pattern));
        f.debug_map().entries(routes).finish()
    }
}

/// A router that is ready.
pub(crate) struct Routes {
    root: Node,
    fallback: Option<Rc<dyn AnyEndpoint>>,
    states: States,
}

impl Routes {
    pub(crate) async fn answer(&self, request: Request, context: Context) -> Result<Response> {
        let mut allowed = Vec::new();
        let Some(found) = self.root.find(request.uri().path(), request.method(), &mut allowed) else {
            return self.unmatched(request, context, allowed).await;
        };
        let entry = found.entry;
        let mut call = Call::new(request, context).with_states(entry.states.clone());
        call.context_mut().set_matched(Matched {
            pattern: entry.pattern.clone(),
            names: entry.names.clone(),
            values: found.values,
        });
        entry.endpoint.call(call).await
    }

    async fn unmatched(&self, request: Request, context: Context, allowed: Vec<&Method>) -> Result<Response> {
        if !allowed.is_empty() {
            let allow = allow(allowed);
            return if request.method() == Method::OPTIONS {
                (StatusCode::NO_CONTENT, [(ALLOW, allow)], Body::empty()).into_response()
            } else {
                method_not_allowed(request.method(), allow, &context)
            };
        }
        match &self.fallback {
            Some(fallback) => {
                fallback.call(Call::new(request, context).with_states(self.states.clone())).await
            }
            None => Err(Failure::not_found("there is nothing at this address")),
        }
    }
}

/// The field's value: sorted, each once, with what is answered without a function of its own.
fn allow(allowed: Vec<&Method>) -> String {
    let mut names: Vec<_> = allowed.into_iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// A failure has no header fields, so this is the host's problem document, made here.
fn method_not_allowed(method: &Method, allow: String, context: &Context) -> Result<Response> {
    let mut request_id = String::new();
    for c in context.request_id().chars() {
        if matches!(c, '"' | '\\') {
            request_id.push('\\');
        }
        request_id.push(c);
    }
    let mut document = String::with_capacity(256);
    // Methods and patterns of methods are tokens (RFC 9110, section 9.1): nothing in them needs escaping.
    let _ = write!(
        document,
        r#"{{"type":"urn:wharf:failure:method_not_allowed","title":"Method Not Allowed","status":405,"detail":"this address takes {allow}, and not {method}","kind":"method_not_allowed","request_id":"{request_id}"}}"#,
    );
    let problem = HeaderValue::from_static("application/problem+json");
    let allow = HeaderValue::try_from(allow)?;
    let mut response = Response::new(Body::from(Bytes::from(document)));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(CONTENT_TYPE, problem);
    response.headers_mut().insert(ALLOW, allow);
    Ok(response)
}

/// The parameters that a path has in a pattern, as the host finds them; `None` when it does not match.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn match_pattern(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let endpoint = Rc::new(Erased::new(async || {}));
    let segments = pattern::parse(pattern).unwrap_or_else(|error| panic!("{error}"));
    let names = pattern::names(&segments);
    let entry =
        Entry { method: None, pattern: pattern.into(), names: names.clone(), endpoint, states: Rc::new([]) };
    let mut root = Node::default();
    root.add(&segments, entry).ok()?;
    let found = root.find(path, &Method::GET, &mut Vec::new())?;
    Some(names.iter().map(|name| name.to_string()).zip(found.values).collect())
}

/// What a function with `#[wharf::router]` may return.
#[diagnostic::on_unimplemented(
    message = "`#[wharf::router]` needs a function that returns a `Router`",
    label = "not a `Router`",
    note = "return a `wharf::Router`, or a `wharf::Result` of one"
)]
pub trait IntoRouter {
    /// The router, or why there is none.
    fn into_router(self) -> Result<Router>;
}

impl IntoRouter for Router {
    fn into_router(self) -> Result<Router> {
        Ok(self)
    }
}

impl IntoRouter for Result<Router> {
    fn into_router(self) -> Result<Router> {
        self
    }
}

/// A plugin that is a router: what `#[wharf::router]` exports.
#[doc(hidden)]
pub struct Routed<T> {
    routes: Routes,
    source: std::marker::PhantomData<fn() -> T>,
}

/// Where the router of a plugin comes from.
#[doc(hidden)]
pub trait RouterSource: 'static {
    fn router() -> impl Future<Output = Result<Router>>;
}

impl<T: RouterSource> Handler for Routed<T> {
    async fn start() -> Result<Self> {
        Ok(Routed { routes: T::router().await?.build()?, source: std::marker::PhantomData })
    }

    #[allow(refining_impl_trait, reason = "as the attribute macro allows it for plugins")]
    async fn handle(&self, request: Request, context: Context) -> Result<Response> {
        self.routes.answer(request, context).await
    }
}

#[cfg(test)]
mod tests;
