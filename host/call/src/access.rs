//! What is said of each request when it has ended.

use std::time::Duration;

use crate::TraceContext;

/// Where it is said how requests ended: the port behind access lines.
pub trait AccessLog: Send + Sync {
    /// One request has ended, with its response or without. Called once for each, on the thread that ended it: it must
    /// not wait.
    fn ended(&self, request: &AccessRecord<'_>);
}

/// One request and how it ended. What the client sent is as it came: nothing in it can be trusted.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// The id that every line about it has; none when its head was refused before it had one.
    pub request_id: Option<&'a str>,
    /// The host's span in the caller's trace; none likewise.
    pub trace: Option<TraceContext>,
    /// The address that it came from, without the port.
    pub client: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The pattern of its route; empty without one.
    pub route: &'a str,
    /// The plugin or the door of that route; empty without one.
    pub plugin: &'a str,
    /// The host that it was for, with the port.
    pub host: &'a str,
    /// Path and query, of which the end may be cut off.
    pub path: &'a str,
    /// The status of the response; 0 when there was none.
    pub status: u16,
    /// The kind of its failure, if it failed.
    pub kind: Option<&'a str>,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// From its head to the last byte of the response.
    pub took: Duration,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: &'static str,
    /// Whether the client did not get all of the response.
    pub cut: bool,
}
