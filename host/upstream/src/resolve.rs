use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;
use wharf_call::BoxFuture;

/// Names that one plugin may have looked up at once: a resolver that hangs holds a thread for each.
const LOOKUPS_MAX: usize = 8;

/// Looks names up. A trait, so that tests decide what a name resolves to, and when that changes.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, in the order in which they should be tried.
    ///
    /// It is called once for each connection, never for an address or for `localhost`. It may be dropped, but
    /// runs to its end as a rule, because most resolvers cannot be stopped.
    ///
    /// # Errors
    /// When there is no such name, or the resolver did not answer.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system: `/etc/hosts`, DNS, and what else `getaddrinfo` is configured for. Its order
/// is that of RFC 6724.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let lookup =
                move || (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|a| a.ip()).collect());
            tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
        })
    }
}

/// The lookups of one plugin, a few at a time.
pub(crate) struct Lookups {
    resolver: Arc<dyn Resolve>,
    permits: Arc<Semaphore>,
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Lookups { resolver, permits: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    pub(crate) async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (resolver, owned) = (self.resolver.clone(), name.to_owned());
        // In a task: a lookup that nobody waits for any more goes on in its thread, and keeps its permit.
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            resolver.resolve(&owned).await
        });
        lookup.await.map_err(io::Error::other)?
    }
}
