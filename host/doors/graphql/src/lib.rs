//! WIT interfaces as GraphQL: one schema of all plugins, over HTTP, WebSocket and server-sent events.
//!
//! A function is a mutation unless its WIT says `@query` or the manifest lists it; one that returns a stream is a subscription.
//! One that takes a stream is not served. What becomes of types and names is in `host/doors/MAPPING.md`. A function that
//! declares an error gives a nullable field, so that its failure leaves the fields beside it.
//!
//! Parsing, validation and introspection are async-graphql's. Execution is this crate's: each function is called once for each
//! field at the root, linked values are loaded together step by step (see [`LinkSpec`]), and values are written straight
//! as JSON. Pages, filters and search are parameters and records like all others: `users(first, after) -> user-page { items,
//! next-cursor }` is a field with two arguments and an object with two fields.
//!
//! What this crate deliberately does not do: routing, authentication, limits of the connection (the gateway's), running plugins
//! (the engine's). Start with [`GraphqlDoor`], then `model`, `document`, `execute`.

mod alike;
mod cache;
mod config;
mod document;
mod door;
mod errors;
mod events;
mod execute;
mod graphiql;
mod input;
mod limits;
mod links;
mod loader;
mod model;
mod naming;
mod negotiate;
mod output;
mod overlap;
mod plan;
mod positions;
mod request;
mod schema;
mod socket;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod types;
mod unique;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::Mutex;
use wharf_call::Memory;

pub use config::{GraphqlConfig, LinkSpec, LoadSpec, PersistedConfig, PluginOptions, SocketConfig};
pub use door::GraphqlDoor;

/// What every request works with.
pub(crate) struct Core {
    pub(crate) model: model::Model,
    pub(crate) schemas: schema::Schemas,
    pub(crate) config: GraphqlConfig,
    /// Valid documents by their text.
    pub(crate) documents: Mutex<cache::Cache<Arc<document::Document>>>,
    /// Texts of documents by their hash.
    pub(crate) registered: Mutex<cache::Cache<Arc<str>>>,
    pub(crate) memory: Arc<dyn Memory>,
}
