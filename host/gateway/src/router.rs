//! Which plugin a request goes to.
//!
//! Routes are found by host, then path, then method. The most specific one wins, whatever their order in the
//! manifest:
//! - an exact host beats `*.example.com`, a longer wildcard a shorter one, and any host beats none;
//! - paths are compared segment by segment from the left: a fixed segment beats `{param}`, which beats `{*rest}`;
//! - a route is only considered for the methods that it has; HEAD is also served by a GET route.

mod pattern;
mod table;

pub use pattern::{HostPattern, PatternError, RoutePattern};
pub use table::{Ambiguity, RouteSpec, RouteTable};
pub(crate) use table::{Found, Route};

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The routes in force. Clones share them; a swap is seen by the next request of every connection.
#[derive(Clone)]
pub struct Routes(Arc<ArcSwap<RouteTable>>);

impl Routes {
    /// Starts with `table`.
    pub fn new(table: RouteTable) -> Self {
        Routes(Arc::new(ArcSwap::from_pointee(table)))
    }

    /// Puts `table` in force. Requests that have their route already keep it.
    pub fn swap(&self, table: RouteTable) {
        self.0.store(Arc::new(table));
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<RouteTable>> {
        self.0.load()
    }
}
