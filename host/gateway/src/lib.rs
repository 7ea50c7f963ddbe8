//! The HTTP front: it accepts connections, refuses what a strict server must refuse, finds the route, and
//! hands the request to a plugin that it knows only as an [`HttpService`](wharf_call::HttpService).
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge share one port. Everything a client may ask of it is bounded by
//! [`Config`]; everything it starts ends when the [`Gateway`] is dropped, or in an orderly way with
//! [`Gateway::drain`].
//!
//! It deliberately does not: know how plugins run, buffer responses, interpret `x-forwarded-*` fields, or
//! trust anything about a request that it has not checked itself.
//!
//! Start with `chain.rs`, the life of a request as one list; then `router.rs`, and `connection.rs` for what
//! surrounds the requests of one client.

mod config;

mod gateway;
mod listener;

mod connection;
mod head_scan;
mod io;
mod pulse;
mod streams;

mod chain;
mod exchange;
mod failure_response;
mod fields;
mod identity;
mod path;
mod request_body;
mod response;
mod router;
mod strict;
mod upgrade;

mod metrics;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use gateway::{Drained, Gateway};
pub use listener::Listener;
pub use router::{Ambiguity, HostPattern, PatternError, RoutePattern, RouteSpec, RouteTable, Routes};
