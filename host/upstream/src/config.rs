use std::time::Duration;

/// What holds for the outbound calls of all plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Trust the certificate authorities of the system. Default true.
    ///
    /// They are read when the first plugin with an https grant is prepared, from the places that
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name or, without them, from those of the distribution.
    pub system_roots: bool,
    /// More authorities to trust, as PEM. Default none.
    pub roots_pem: Vec<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Config { system_roots: true, roots_pem: Vec::new() }
    }
}

/// What one plugin may use up with its outbound calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once, from `send` to the last byte of the response; one more fails at once. Default 256.
    pub calls_max: usize,
    /// Connections at once, idle ones included. A call that needs one more closes the one that is idle
    /// longest, or waits for `connect_timeout`. Default 64.
    pub connections_max: usize,
    /// The head of a response, in bytes. Default 64 KiB; at least 8 KiB.
    pub response_header_bytes_max: usize,
    /// How many header fields a response may have. Default 100. HTTP/2 bounds their bytes only.
    pub response_header_count_max: usize,
    /// The body of a response, in bytes. Default 1 GiB.
    pub response_body_bytes_max: u64,
    /// How long a connection may stay without a call. Default 30 s.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls_max: 256,
            connections_max: 64,
            response_header_bytes_max: 64 << 10,
            response_header_count_max: 100,
            response_body_bytes_max: 1 << 30,
            idle_timeout: Duration::from_secs(30),
        }
    }
}
