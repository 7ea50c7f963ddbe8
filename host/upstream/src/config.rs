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
