use std::net::SocketAddr;
use std::time::Duration;

/// `[listen] http` and the `[http]` section of the manifest: what a client may ask of the front.
///
/// Every limit holds before anything it bounds is buffered. The defaults suit a small service on the open
/// internet; they follow the edge recommendations of Envoy where those exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen. Port 0 lets the system choose. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// Open connections; more wait in the kernel's backlog until one closes. Default 10,000.
    pub connections_max: usize,
    /// The request line and all header fields, in bytes. Default 64 KiB; 1 KiB to 1 MiB.
    pub header_bytes_max: usize,
    /// How many header fields. Default 72; 1 to 1,000.
    pub header_count_max: usize,
    /// The request target, in bytes; longer ones get a 414. Default 8 KiB.
    pub target_bytes_max: usize,
    /// The body of a request, in bytes; a plugin's own `limits.request_body` may be lower. Default 16 MiB.
    pub body_bytes_max: u64,
    /// Bodies up to this size are handed over whole, longer ones as streams. Default 64 KiB.
    pub whole_body_bytes: usize,
    /// From the first byte of a head to its last; on a new connection, from accepting it. Default 10 s.
    pub header_timeout: Duration,
    /// How long a kept-alive connection may stay silent between requests. Default 60 s.
    pub idle_timeout: Duration,
    /// The longest silence within a request body, and the longest time that a client may take to read a
    /// chunk of the response. Default 20 s.
    pub body_progress_timeout: Duration,
    /// Concurrent HTTP/2 streams of one connection. Default 100.
    pub h2_streams_max: u32,
    /// HTTP/2 streams that a peer may reset before the host has accepted them (CVE-2023-44487). Default 20.
    pub h2_pending_resets_max: usize,
    /// HTTP/2 streams that the host itself may have to reset on protocol errors of the peer, for one
    /// connection. Default 256.
    pub h2_local_resets_max: usize,
    /// How long requests in flight may go on after SIGTERM or Ctrl-C. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            connections_max: 10_000,
            header_bytes_max: 64 << 10,
            header_count_max: 72,
            target_bytes_max: 8 << 10,
            body_bytes_max: 16 << 20,
            whole_body_bytes: 64 << 10,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_progress_timeout: Duration::from_secs(20),
            h2_streams_max: 100,
            h2_pending_resets_max: 20,
            h2_local_resets_max: 256,
            drain_timeout: Duration::from_secs(10),
        }
    }
}
