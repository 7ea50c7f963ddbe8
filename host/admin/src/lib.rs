//! The admin API: health, metrics, and the control of plugins, on a port of its own.
//!
//! | request                         | answer                                                        |
//! |---------------------------------|---------------------------------------------------------------|
//! | `GET /healthz`                  | 200 while the process runs                                    |
//! | `GET /readyz`                   | 200, or 503 and why requests cannot be served                 |
//! | `GET /metrics`                  | Prometheus text format 0.0.4                                  |
//! | `GET /plugins`, `/plugins/NAME` | what serves, what drains, what was refused                    |
//! | `PUT /plugins/NAME`             | loads the component in the body, swaps to it when it is good  |
//! | `POST /plugins/NAME/rollback`   | swaps back to the component before                            |
//!
//! Reading is free for whoever reaches the port, which is loopback unless the manifest says otherwise.
//! Writing needs the token in the data directory. A browser on the same machine reaches loopback too, so
//! requests with a foreign `Host` (DNS rebinding) or a foreign `Origin` are refused, whatever they ask for.
//!
//! This crate deliberately does not: know how plugins are run; it sees the host as [`Control`].
//!
//! Start with [`AdminServer`], then `api.rs`.

mod api;
mod data_dir;
mod guard;
mod problem;
mod server;

use std::sync::Arc;

pub use data_dir::{DataDirError, Token, read_address, write_address};
pub use server::AdminServer;
use wharf_call::Control;

/// Renders all metrics in the Prometheus text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the admin API needs to know beside the host that it controls.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a write has to present.
    pub token: Token,
    /// The largest component that is accepted, in bytes; the engine's own ceiling.
    pub component_bytes_max: u64,
    /// Names that the `Host` header may have beside `localhost` and IP addresses, without a port.
    pub hosts: Vec<String>,
}

/// What the handlers share.
struct Shared {
    config: Config,
    control: Arc<dyn Control>,
    metrics: RenderMetrics,
    /// One upload at a time: together they hold the memory of one component.
    upload: tokio::sync::Mutex<()>,
}

#[cfg(test)]
mod tests;
