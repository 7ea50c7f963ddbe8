use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::bindings::wharf::plugin::types as raw;
use crate::{Failure, Handler, Result};

/// The hooks around the life of a service, for one with something to open, keep or close. All but
/// [`start`](Lifecycle::start) may be left out; a service without hooks implements [`Default`] instead.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Lifecycle, Result, config};
///
/// struct Greeter {
///     greeting: String,
/// }
///
/// impl Lifecycle for Greeter {
///     async fn start() -> Result<Self> {
///         Ok(Greeter { greeting: config::require("greeting")? })
///     }
/// }
/// ```
pub trait Lifecycle: Sized + 'static {
    /// Called once for each instance, before anything else. For opening, parsing and warming up.
    ///
    /// A failure ends the instance: a new generation that fails here never serves.
    fn start() -> impl Future<Output = Result<Self>>;

    /// Asked of a new generation's first instance before the generation serves.
    ///
    /// A failure keeps it from serving: the generation before it goes on, and the failure is in the log and in
    /// `wharf plugin list`.
    fn health(&self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }

    /// Called before an instance that has ended well is dropped. Not called after a trap or an exceeded limit, nor
    /// when the host is killed: do not keep anything only until here.
    fn stop(&self) -> impl Future<Output = ()> {
        async {}
    }
}

/// Which type serves an interface: `#[wharf::service]` implements it for the interface.
#[diagnostic::on_unimplemented(
    message = "nothing in this crate serves the interface `{Self}`",
    label = "the WIT says that it is exported",
    note = "write `#[wharf::service] impl …::Service for YourType`, where … is the module of the interface, with its \
            functions"
)]
pub trait Serves: 'static {
    /// The type.
    type Service: 'static;
    /// Makes one.
    fn start() -> impl Future<Output = Result<Self::Service>>;
    /// Asks it for its health.
    fn health(service: &'static Self::Service) -> impl Future<Output = Result<()>>;
    /// Tells it that it ends.
    fn stop(service: &'static Self::Service) -> impl Future<Output = ()>;
}

type Pinned<T> = Pin<Box<dyn Future<Output = T>>>;

/// A service that has started. Its lifetime is the instance's own.
struct Started {
    of: TypeId,
    value: &'static dyn Any,
    health: Box<dyn Fn() -> Pinned<Result<()>>>,
    stop: Box<dyn Fn() -> Pinned<()>>,
}

thread_local! {
    /// The services of this instance, each type once.
    static STARTED: RefCell<Vec<Started>> = const { RefCell::new(Vec::new()) };
}

fn find(of: TypeId) -> Option<&'static dyn Any> {
    STARTED.with_borrow(|started| started.iter().find(|service| service.of == of).map(|found| found.value))
}

/// Makes what serves the interface, unless it serves another one already.
pub async fn start<I: Serves>() -> Result<(), raw::Failure> {
    let of = TypeId::of::<I::Service>();
    if find(of).is_none() {
        let value: &'static I::Service = Box::leak(Box::new(I::start().await?));
        STARTED.with_borrow_mut(|started| {
            started.push(Started {
                of,
                value,
                health: Box::new(move || Box::pin(I::health(value))),
                stop: Box::new(move || Box::pin(I::stop(value))),
            });
        });
    }
    Ok(())
}

/// A handler that has started may serve interfaces, too. Its hooks are called as a handler's.
pub(crate) fn handler_started<T: 'static>(value: &'static T) {
    STARTED.with_borrow_mut(|started| {
        started.push(Started {
            of: TypeId::of::<T>(),
            value,
            health: Box::new(|| Box::pin(async { Ok(()) })),
            stop: Box::new(|| Box::pin(async {})),
        });
    });
}

/// What serves the interface in this instance.
///
/// # Panics
/// When it has not started: the host starts an instance before it calls anything else.
pub fn instance<I: Serves>() -> &'static I::Service {
    find(TypeId::of::<I::Service>())
        .and_then(|value| value.downcast_ref())
        .expect("the host has not called lifecycle.start")
}

/// Makes the log that of the host, before anything starts.
pub fn prepare() {
    crate::log::install();
}

/// Asks each service for its health.
pub async fn health() -> Result<(), raw::Failure> {
    let all: Vec<_> = STARTED.with_borrow(|started| started.iter().map(|one| (one.health)()).collect());
    for one in all {
        one.await?;
    }
    Ok(())
}

/// Tells each service that it ends.
pub async fn stop() {
    let all: Vec<_> = STARTED.with_borrow(|started| started.iter().map(|one| (one.stop)()).collect());
    for one in all {
        one.await;
    }
}

/// How a type is started, for the code that `#[wharf::service]` writes: by its [`Lifecycle`], else by its
/// [`Default`], else as the [`Handler`] that it is. The code knows the type and not its traits, so the compiler
/// chooses, by the number of references that a method's receiver needs. The methods have other names than the hooks:
/// for a type that has none of the three, the compiler would propose those.
pub struct How<T>(PhantomData<T>);

impl<T> How<T> {
    /// For this type.
    #[allow(clippy::new_without_default, reason = "only generated code has it")]
    pub fn new() -> Self {
        How(PhantomData)
    }
}

impl<T> fmt::Debug for How<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("How")
    }
}

/// By its hooks.
#[allow(async_fn_in_trait, reason = "components have one thread")]
pub trait ByLifecycle<T> {
    /// Makes one.
    async fn make(&self) -> Result<T>;
    /// Asks it.
    async fn ask(&self, service: &'static T) -> Result<()>;
    /// Ends it.
    async fn end(&self, service: &'static T);
}

impl<T: Lifecycle> ByLifecycle<T> for &&How<T> {
    async fn make(&self) -> Result<T> {
        T::start().await
    }

    async fn ask(&self, service: &'static T) -> Result<()> {
        service.health().await
    }

    async fn end(&self, service: &'static T) {
        service.stop().await;
    }
}

/// By its default.
#[allow(async_fn_in_trait, reason = "components have one thread")]
pub trait ByDefault<T> {
    /// Makes one.
    async fn make(&self) -> Result<T>;
    /// Is well.
    async fn ask(&self, _: &'static T) -> Result<()> {
        Ok(())
    }
    /// Does nothing.
    async fn end(&self, _: &'static T) {}
}

impl<T: Default> ByDefault<T> for &How<T> {
    async fn make(&self) -> Result<T> {
        Ok(T::default())
    }
}

/// As a handler, which has been started when a service is called.
#[allow(async_fn_in_trait, reason = "components have one thread")]
pub trait ByHandler<T> {
    /// Says what is wrong.
    async fn make(&self) -> Result<T>;
    /// Is well.
    async fn ask(&self, _: &'static T) -> Result<()> {
        Ok(())
    }
    /// Does nothing.
    async fn end(&self, _: &'static T) {}
}

impl<T: Handler> ByHandler<T> for How<T> {
    async fn make(&self) -> Result<T> {
        Err(Failure::internal("internal error").with_details(
            "a service that is a handler, too, is started as one: write `wharf::wit!(…, handler)`",
        ))
    }
}
