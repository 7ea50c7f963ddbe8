//! From a plugin's WIT to what a client speaks: what the doors share, and the two that speak JSON.
//!
//! A door takes a request of its protocol, makes a typed [`Call`](wharf_call::Call) of it, and writes what comes back. It knows
//! plugins as [`Service`](wharf_call::Service)s, each of one generation; a swap makes new doors, so that a schema and the code behind it
//! never disagree. What a door deliberately does not do: routing, authentication, limits of the connection (the gateway's), running
//! plugins (the engine's).
//!
//! The mapping is `MAPPING.md`. Start with [`names`], then [`errors`].

pub mod body;
pub mod call;
pub mod compat;
pub mod errors;
pub mod events;
pub mod json;
pub mod jsonrpc;
pub mod names;
pub mod openapi;
pub mod rest;
mod served;
pub mod socket;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests_demo;
pub mod websocket;

pub use served::DoorConfig;
