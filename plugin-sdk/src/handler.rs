use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;

use crate::bindings::exports::wharf::plugin::{handler, lifecycle};
use crate::bindings::wharf::plugin::types as raw;
use crate::router::Routes;
use crate::{Context, Failure, IntoResponse, Request, Response, Result, Router, request};

/// A handler with state: what [`#[wharf::handler]`](macro@crate::handler) makes of an `async fn`, written out.
///
/// The host makes an instance of the plugin, calls [`start`](Handler::start) once, and then
/// [`handle`](Handler::handle) for each request, one at a time unless the manifest sets `pool.concurrency`. It keeps the instance and its memory between
/// calls, makes more instances when it needs them, and replaces them after a number of calls, so a field of
/// the handler is a cache, not a database.
///
/// ```
/// # use wharf_sdk as wharf;
/// use std::cell::Cell;
/// use wharf::{Context, Handler, Request, Result};
///
/// struct Counter {
///     served: Cell<u64>,
/// }
///
/// #[wharf::handler]
/// impl Handler for Counter {
///     async fn start() -> Result<Self> {
///         Ok(Counter { served: Cell::new(0) })
///     }
///
///     async fn handle(&self, _request: Request, _context: Context) -> Result<String> {
///         self.served.set(self.served.get() + 1);
///         Ok(format!("{} so far\n", self.served.get()))
///     }
/// }
/// ```
///
/// ```toml
/// [plugin.counter]
/// component = "target/wasm32-wasip2/release/counter.wasm"
///
/// [plugin.counter.pool]
/// reuse = 1_000               # calls before an instance is replaced
///
/// [[route]]
/// path = "/count"
/// plugin = "counter"
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is not a handler: it lacks `impl Handler for {Self}`")]
pub trait Handler: Sized + 'static {
    /// Called once for each instance, before anything else. For opening, parsing and warming up.
    ///
    /// A failure ends the instance: a new generation that fails here never serves.
    fn start() -> impl Future<Output = Result<Self>>;

    /// Called once for each request that a route sends to this plugin.
    ///
    /// It may await as long as it likes within its limits: `limits.cpu` bounds what it computes,
    /// `limits.wall` the time until it returns. It is not resumed when the client goes away.
    fn handle(&self, request: Request, context: Context) -> impl Future<Output = impl IntoResponse>;

    /// Asked of a new generation's first instance before the generation serves.
    ///
    /// A failure keeps it from serving: the generation before it goes on, and the failure is in the log and
    /// in `wharf plugin list`.
    fn health(&self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }

    /// Called before an instance that has ended well is dropped. Not called after a trap or an exceeded
    /// limit, nor when the host is killed: do not keep anything only until here.
    fn stop(&self) -> impl Future<Output = ()> {
        async {}
    }

    /// What `#[wharf::router]` on an `impl` writes: calls go there instead of to `handle`.
    #[doc(hidden)]
    fn __router(this: &'static Self) -> Option<Router> {
        let _ = this;
        None
    }
}

/// A handler that has started.
pub(crate) struct Instance<T: 'static> {
    pub(crate) handler: &'static T,
    routes: Option<Routes>,
}

impl<T: Handler> Instance<T> {
    pub(crate) async fn start() -> Result<Self> {
        crate::log::install();
        let handler: &'static T = Box::leak(Box::new(T::start().await?));
        let routes = T::__router(handler).map(Router::build).transpose()?;
        Ok(Instance { handler, routes })
    }

    pub(crate) async fn answer(&self, request: Request, context: Context) -> Result<Response> {
        match &self.routes {
            None => self.handler.handle(request, context).await.into_response(),
            Some(routes) => routes.answer(request, context).await,
        }
    }
}

thread_local! {
    /// The handler of this instance. One type per component, since a component exports one handler; the
    /// lifetime is the instance's own.
    static INSTANCE: Cell<Option<&'static dyn Any>> = const { Cell::new(None) };
}

/// The component's exports, in terms of `T`. The macro names it in the generated export macro.
#[derive(Debug)]
pub struct Export<T>(PhantomData<T>);

impl<T: Handler> lifecycle::Guest for Export<T> {
    async fn start() -> Result<(), raw::Failure> {
        let instance = Instance::<T>::start().await?;
        #[cfg(feature = "service")]
        crate::service::private::handler_started(instance.handler);
        INSTANCE.set(Some(Box::leak(Box::new(instance))));
        Ok(())
    }

    async fn health() -> Result<(), raw::Failure> {
        Ok(instance::<T>()?.handler.health().await?)
    }

    async fn stop() {
        if let Ok(instance) = instance::<T>() {
            instance.handler.stop().await;
        }
    }
}

impl<T: Handler> handler::Guest for Export<T> {
    async fn handle(request: raw::Request, context: raw::Context) -> Result<raw::Response, raw::Failure> {
        let instance = instance::<T>()?;
        let request = request::from_wit(request)?;
        let response = instance.answer(request, context.into()).await?;
        Ok(response.into())
    }
}

fn instance<T: Handler>() -> Result<&'static Instance<T>> {
    INSTANCE.get().and_then(|any| any.downcast_ref()).ok_or_else(|| {
        Failure::internal("internal error").with_details("the host has not called lifecycle.start")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::wharf::plugin::handler::Guest as _;
    use crate::bindings::exports::wharf::plugin::lifecycle::Guest as _;
    use std::task::{Poll, Waker};

    struct Greeter {
        greeting: &'static str,
    }

    impl Handler for Greeter {
        async fn start() -> Result<Self> {
            Ok(Greeter { greeting: "hello" })
        }

        #[allow(refining_impl_trait, reason = "the attribute macro allows it for plugins")]
        async fn handle(&self, request: Request, context: Context) -> Result<String> {
            match request.uri().path() {
                "/fail" => Err(Failure::not_found("nobody here")),
                _ => Ok(format!("{} {}", self.greeting, context.param("name").unwrap_or("you"))),
            }
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn call(path: &str) -> Result<raw::Response, raw::Failure> {
        let request = raw::Request {
            method: "GET".into(),
            scheme: "http".into(),
            authority: "localhost".into(),
            path_with_query: path.into(),
            headers: Vec::new(),
            body: raw::Body::Empty,
        };
        let context = raw::Context {
            request_id: "r-1".into(),
            traceparent: String::new(),
            route: "/{name}".into(),
            params: vec![("name".into(), "Ann".into())],
            caller: None,
            deadline_ms: 5_000,
            attributes: Vec::new(),
        };
        now(Export::<Greeter>::handle(request, context))
    }

    #[test]
    fn an_instance_starts_once_and_then_serves() {
        let failure = call("/").expect_err("not started");
        assert_eq!(failure.kind, "internal");
        assert_eq!(failure.details.as_deref(), Some("the host has not called lifecycle.start"));

        now(Export::<Greeter>::start()).expect("it starts");
        now(Export::<Greeter>::health()).expect("it is well");
        let response = call("/").expect("it answers");
        assert_eq!(response.status, 200);
        assert!(matches!(response.body, raw::Body::Whole(bytes) if bytes == b"hello Ann"));
        assert_eq!(call("/fail").expect_err("it fails").kind, "not_found");
        now(Export::<Greeter>::stop());
    }
}
