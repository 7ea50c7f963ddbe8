//! What plugins reach outside of the host, over HTTP and over TCP of their own: the ports, what a manifest can
//! grant, and what can go wrong.
//!
//! Implemented by `wharf-upstream`, by fakes in tests. Start with [`Egress`], then [`OriginGrant`].

mod destination;
mod error;
mod grants;
mod peers;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};

pub use destination::{Destination, DestinationHost, Scheme};
pub use error::{EgressCode, EgressError};
pub use grants::{EgressGrants, GrantError, OriginGrant};
pub use peers::{PeerError, PeerGrant, PeerGrants, Peers};

use crate::{Body, BoxFuture, Deadline, LimitGuard};

/// The way out of one plugin. It knows the plugin's name, grants and limits, so that nobody can forget to
/// pass them; a reload makes a new one, and the connections of the old one are not used again.
///
/// ```toml
/// [plugin.notes.grants]
/// http = ["https://api.example.com", { origin = "http://db.internal:8000", private = true }]
/// ```
pub trait Egress: Send + Sync + 'static {
    /// Sends `request` and resolves with the head of the response; its body may go on after that.
    ///
    /// The request's absolute URI alone decides where the call goes, never a `host` field and nothing of the
    /// request that the plugin itself is answering. The URI's origin must be granted, and so must be each
    /// address that is connected to, here and at every redirect.
    ///
    /// The implementation writes `host`, `content-length` and `transfer-encoding`, and takes fields that are
    /// about one connection out of both messages (RFC 9110, section 7.6.1). A request body is polled as the
    /// peer takes it. A response body is read as it is polled; it ends well, or with a
    /// [`Failure`](crate::Failure) that [`EgressCode::of_body`] explains.
    ///
    /// **Cancellation.** Dropping the future, or the response's body before its end, closes an HTTP/1.1
    /// connection and resets an HTTP/2 stream. A body that was read to its end returns the connection.
    ///
    /// # Errors
    /// See [`EgressCode`]. A call that was refused has reached nobody.
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        options: EgressOptions,
    ) -> BoxFuture<'a, Result<Response<Body>, EgressError>>;
}

/// Where plugins get their ways out from. Implemented by `wharf-upstream`.
pub trait Outbound: Send + Sync + 'static {
    /// The way out for one generation of the plugin `name`, with connections of its own.
    ///
    /// What exceeds `limits` is asked of `guard`. It may read files, so it is called while a generation is prepared, and not on the executor.
    ///
    /// # Errors
    /// What this machine lacks, and what to do about it.
    fn open(
        &self,
        name: &str,
        grants: &EgressGrants,
        limits: EgressLimits,
        guard: Arc<dyn LimitGuard>,
    ) -> Result<Arc<dyn Egress>, String>;

    /// The peers of one generation of the plugin `name`.
    fn peers(&self, name: &str, grants: &PeerGrants) -> Arc<dyn Peers>;
}

/// How long a call may take, and whether it follows redirects: wasi:http's `request-options`, and more.
///
/// Timeouts of more than a day count as a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressOptions {
    /// Until a connection is ready: a place among the plugin's connections, name lookup, TCP and TLS
    /// together. Default 5 s.
    pub connect_timeout: Duration,
    /// From the last byte of the request that the peer took to the head of the response. Default 30 s.
    pub first_byte_timeout: Duration,
    /// The longest silence of the peer within the response's body, while somebody waits for it. Default 30 s.
    pub between_bytes_timeout: Duration,
    /// When the head of the response is due, redirects included. Default none.
    pub deadline: Deadline,
    /// How many redirects are followed; the one after them is returned as it is. Default 0.
    ///
    /// A redirect that would need a streamed body once more is returned as well. `authorization` and
    /// `cookie` do not go to another origin; other fields do, a key in a field of its own name included.
    pub follow: u8,
}

impl Default for EgressOptions {
    fn default() -> Self {
        EgressOptions {
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            between_bytes_timeout: Duration::from_secs(30),
            deadline: Deadline::NONE,
            follow: 0,
        }
    }
}

/// What one plugin may use up with its outbound calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// Calls at once, from `send` to the last byte of the response; one more fails at once. Default 256.
    pub calls_max: usize,
    /// Connections at once, idle ones included. A call that needs one more closes the one that is idle
    /// longest, or waits for `connect_timeout`. Default 64.
    pub connections_max: usize,
    /// The head of a response, in bytes. Default 64 KiB; at least 8 KiB.
    pub response_header_bytes_max: usize,
    /// How many header fields a response may have. Default 100.
    pub response_header_count_max: usize,
    /// The body of a request, in bytes. Default 1 GiB.
    pub request_body_bytes_max: u64,
    /// The body of a response, in bytes. Default 1 GiB.
    pub response_body_bytes_max: u64,
    /// How long a connection may stay without a call. Default 30 s.
    pub idle_timeout: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        EgressLimits {
            calls_max: 256,
            connections_max: 64,
            response_header_bytes_max: 64 << 10,
            response_header_count_max: 100,
            request_body_bytes_max: 1 << 30,
            response_body_bytes_max: 1 << 30,
            idle_timeout: Duration::from_secs(30),
        }
    }
}
