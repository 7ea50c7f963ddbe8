use std::cell::{Cell, OnceCell};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::time::SystemTime;

use bytes::Bytes;
use http::Method;

use super::grants::{Grants, LogLine, within};
use super::request::RequestBuilder;
use crate::endpoint::Endpoint;
use crate::handler::Instance;
use crate::router::{IntoRouter, Routes};
use crate::{Call, Context, Failure, Handler, IntoResponse, Request, Response, Result};

type Pinned<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
type Start = Box<dyn Fn() -> Pinned<'static, Result<Rc<dyn AnyInstance>>>>;

/// A plugin under test, with what the manifest would grant it. Without a grant it has nothing.
///
/// It starts with its first request, and serves one after the other in the same instance.
pub struct Plugin {
    grants: Rc<Grants>,
    start: Start,
    instance: OnceCell<Rc<dyn AnyInstance>>,
    route: String,
    requests: Cell<u64>,
}

/// An instance without its type.
pub(super) trait AnyInstance {
    fn answer(&self, request: Request, context: Context) -> Pinned<'_, Result<Response>>;
    fn health(&self) -> Pinned<'_, Result<()>>;
    fn stop(&self) -> Pinned<'_, ()>;
}

impl Plugin {
    /// A plugin that is a function: one that `#[wharf::handler]` or `#[wharf::router]` is on, or any other
    /// that a router could be given.
    pub fn new<Of>(target: impl Target<Of>) -> Self {
        let target = Rc::new(target);
        Plugin::started_by(Box::new(move || Target::start(target.clone())))
    }

    /// A plugin that is a type: one with `#[wharf::handler] impl Handler for T`, or with `#[wharf::router]`
    /// on its `impl`.
    pub fn of<T: Handler>() -> Self {
        Plugin::started_by(Box::new(|| {
            Box::pin(async { Ok(Rc::new(Instance::<T>::start().await?) as Rc<dyn AnyInstance>) })
        }))
    }

    /// A plugin that handles no requests, for the grants of what is called in [`Plugin::run`].
    pub fn without_handler() -> Self {
        Plugin::started_by(Box::new(|| {
            Box::pin(async { Err(Failure::internal("this plugin has no handler")) })
        }))
    }

    fn started_by(start: Start) -> Self {
        crate::log::install();
        Plugin {
            grants: Rc::new(Grants::none()),
            start,
            instance: OnceCell::new(),
            route: "/{*rest}".to_owned(),
            requests: Cell::new(0),
        }
    }

    fn grant(mut self, grant: impl FnOnce(&mut Grants)) -> Self {
        grant(Rc::get_mut(&mut self.grants).expect("grants come before the first request"));
        self
    }

    /// A value of the plugin's configuration: [`config`](crate::config).
    #[must_use]
    pub fn config(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.grant(|grants| {
            grants.config.get_or_insert_default().insert(key.into(), value.into());
        })
    }

    /// An environment variable: [`env`](crate::env).
    #[must_use]
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.grant(|grants| {
            grants.env.insert(name.into(), value.into());
        })
    }

    /// An empty bucket: [`kv`](crate::kv).
    #[must_use]
    pub fn bucket(self, name: impl Into<String>) -> Self {
        self.grant(|grants| {
            grants.buckets.get_mut().entry(name.into()).or_default();
        })
    }

    /// A bucket in which a key has a value. [`Plugin::stored`] reads it later.
    #[must_use]
    pub fn value(self, bucket: impl Into<String>, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.grant(|grants| {
            grants.buckets.get_mut().entry(bucket.into()).or_default().insert(key.into(), value.into());
        })
    }

    /// An origin that the plugin may call, `https://api.example.com` or `https://*.example.com`, and who
    /// answers there: [`client`](crate::client). A failure is a connection that does not come about.
    #[must_use]
    pub fn http<T: IntoResponse>(
        self,
        origin: impl Into<String>,
        answer: impl Fn(http::Request<Bytes>) -> T + 'static,
    ) -> Self {
        self.grant(|grants| {
            grants.http.push((origin.into(), Rc::new(move |request| answer(request).into_response())));
        })
    }

    /// A field that comes with every call of a service in [`Plugin::run`]:
    /// [`service::call::metadata`](crate::service::call::metadata).
    #[cfg(feature = "service")]
    #[must_use]
    pub fn metadata(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.grant(|grants| grants.metadata.push((name.into(), value.into())))
    }

    /// The time of day when the plugin is made: [`time::now`](crate::time::now). The real one without.
    #[must_use]
    pub fn clock(self, time: SystemTime) -> Self {
        self.grant(|grants| grants.clock = (time, super::now()))
    }

    /// The route of the manifest that requests come by; `/{*rest}` without. Its parameters are what the
    /// request's path has in their places.
    #[must_use]
    pub fn route(mut self, pattern: impl Into<String>) -> Self {
        self.route = pattern.into();
        self
    }

    /// A GET request, to be completed and awaited.
    pub fn get(&self, path: impl Into<String>) -> RequestBuilder<'_> {
        self.request(Method::GET, path)
    }

    /// A POST request, to be completed and awaited.
    pub fn post(&self, path: impl Into<String>) -> RequestBuilder<'_> {
        self.request(Method::POST, path)
    }

    /// A PUT request, to be completed and awaited.
    pub fn put(&self, path: impl Into<String>) -> RequestBuilder<'_> {
        self.request(Method::PUT, path)
    }

    /// A PATCH request, to be completed and awaited.
    pub fn patch(&self, path: impl Into<String>) -> RequestBuilder<'_> {
        self.request(Method::PATCH, path)
    }

    /// A DELETE request, to be completed and awaited.
    pub fn delete(&self, path: impl Into<String>) -> RequestBuilder<'_> {
        self.request(Method::DELETE, path)
    }

    /// A request of any method, to be completed and awaited. The path may have a query.
    pub fn request(&self, method: Method, path: impl Into<String>) -> RequestBuilder<'_> {
        let number = self.requests.get() + 1;
        self.requests.set(number);
        RequestBuilder::new(self, method, path.into(), number)
    }

    /// Starts the instance, if it has not started yet.
    ///
    /// # Errors
    /// What its `start` says, or what is wrong with its routes.
    pub async fn start(&self) -> Result<()> {
        self.instance().await.map(drop)
    }

    /// Asks the instance for its health.
    ///
    /// # Errors
    /// What it says.
    pub async fn health(&self) -> Result<()> {
        let instance = self.instance().await?;
        within(self.grants.clone(), instance.health()).await
    }

    /// Runs the plugin's own code with what it was granted: the functions of a service, or parts of a handler.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// use wharf::{kv::Bucket, testing::Plugin};
    ///
    /// # wharf::testing::block_on(async {
    /// let plugin = Plugin::without_handler().value("notes", "7", "buy milk");
    /// let note = plugin.run(async { Bucket::open("notes")?.get_text("7") }).await;
    /// assert_eq!(note.unwrap().as_deref(), Some("buy milk"));
    /// # });
    /// ```
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        within(self.grants.clone(), work).await
    }

    /// Ends the instance. The next request starts another.
    pub async fn stop(&mut self) {
        if let Some(instance) = self.instance.take() {
            within(self.grants.clone(), instance.stop()).await;
        }
    }

    /// Waits until all work in the [background](crate::background) is done.
    pub async fn idle(&self) {
        self.grants.idle().await;
    }

    /// The value of a key in a bucket, now.
    pub fn stored(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.grants.buckets.borrow().get(bucket)?.get(key).cloned()
    }

    /// The value of a field that has gone with an answer, the last one:
    /// [`service::call::set_metadata`](crate::service::call::set_metadata).
    #[cfg(feature = "service")]
    pub fn answered_metadata(&self, name: &str) -> Option<Vec<u8>> {
        let answered = self.grants.answered.borrow();
        answered.iter().rfind(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    /// The lines that were logged with `tracing` so far.
    pub fn logs(&self) -> Vec<LogLine> {
        self.grants.logs.borrow().clone()
    }

    /// Whether a line was logged that has this text in it.
    pub fn logged(&self, text: &str) -> bool {
        self.grants.logs.borrow().iter().any(|line| line.message.contains(text))
    }

    pub(super) fn grants(&self) -> Rc<Grants> {
        self.grants.clone()
    }

    pub(super) fn manifest_route(&self) -> &str {
        &self.route
    }

    pub(super) async fn instance(&self) -> Result<Rc<dyn AnyInstance>> {
        if let Some(instance) = self.instance.get() {
            return Ok(instance.clone());
        }
        let instance = within(self.grants.clone(), (self.start)()).await?;
        Ok(self.instance.get_or_init(|| instance).clone())
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("route", &self.route).finish_non_exhaustive()
    }
}

/// What [`Plugin::new`] takes: a handler function, or a function that makes a router.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin",
    label = "neither a handler function nor one that returns a `Router`",
    note = "a type with `impl Handler` or `#[wharf::router]` goes into `Plugin::of::<T>()`"
)]
pub trait Target<Of>: 'static {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "nobody else calls it")]
    fn start(this: Rc<Self>) -> Pinned<'static, Result<Rc<dyn AnyInstance>>>;
}

/// A function that answers calls.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfFunction<Arguments>(PhantomData<fn() -> Arguments>);

struct FunctionInstance<F, Arguments>(Rc<F>, PhantomData<fn() -> Arguments>);

impl<F: Endpoint<Arguments>, Arguments: 'static> Target<OfFunction<Arguments>> for F {
    #[allow(private_interfaces, reason = "nobody else calls it")]
    fn start(this: Rc<Self>) -> Pinned<'static, Result<Rc<dyn AnyInstance>>> {
        Box::pin(async { Ok(Rc::new(FunctionInstance(this, PhantomData)) as Rc<dyn AnyInstance>) })
    }
}

impl<F: Endpoint<Arguments>, Arguments: 'static> AnyInstance for FunctionInstance<F, Arguments> {
    fn answer(&self, request: Request, context: Context) -> Pinned<'_, Result<Response>> {
        Box::pin(self.0.call(Call::new(request, context)))
    }

    fn health(&self) -> Pinned<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn stop(&self) -> Pinned<'_, ()> {
        Box::pin(async {})
    }
}

/// A function that makes a router.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfRouter;

/// An asynchronous function that makes a router.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfAsyncRouter;

impl<F: Fn() -> R + 'static, R: IntoRouter> Target<OfRouter> for F {
    #[allow(private_interfaces, reason = "nobody else calls it")]
    fn start(this: Rc<Self>) -> Pinned<'static, Result<Rc<dyn AnyInstance>>> {
        Box::pin(async move { Ok(Rc::new(this().into_router()?.build()?) as Rc<dyn AnyInstance>) })
    }
}

impl<F, R> Target<OfAsyncRouter> for F
where
    F: Fn() -> R + 'static,
    R: Future<Output: IntoRouter>,
{
    #[allow(private_interfaces, reason = "nobody else calls it")]
    fn start(this: Rc<Self>) -> Pinned<'static, Result<Rc<dyn AnyInstance>>> {
        Box::pin(async move { Ok(Rc::new(this().await.into_router()?.build()?) as Rc<dyn AnyInstance>) })
    }
}

impl AnyInstance for Routes {
    fn answer(&self, request: Request, context: Context) -> Pinned<'_, Result<Response>> {
        Box::pin(Routes::answer(self, request, context))
    }

    fn health(&self) -> Pinned<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn stop(&self) -> Pinned<'_, ()> {
        Box::pin(async {})
    }
}

impl<T: Handler> AnyInstance for Instance<T> {
    fn answer(&self, request: Request, context: Context) -> Pinned<'_, Result<Response>> {
        Box::pin(Instance::answer(self, request, context))
    }

    fn health(&self) -> Pinned<'_, Result<()>> {
        Box::pin(self.handler.health())
    }

    fn stop(&self) -> Pinned<'_, ()> {
        Box::pin(self.handler.stop())
    }
}
