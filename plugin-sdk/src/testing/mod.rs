//! Tests of plugins, run by a plain `cargo test`.
//!
//! The functions of a plugin are tested like any others, natively. [`Host`] tests the built component in the
//! real host, as a client sees it.

mod host;
mod http1;

pub use host::{Host, HostBuilder};
pub use http1::Answer;
