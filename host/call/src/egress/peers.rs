use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::destination::split_authority;
use super::{DestinationHost, GrantError};
use crate::BoxFuture;

/// What one line of `[plugin.NAME.grants] tcp` allows: TCP connections to one peer.
///
/// Written as `host:port`. The host is a name, an IPv4 address, an IPv6 address in brackets, or `localhost`. The
/// addresses that a name may have are those of [`OriginGrant`](super::OriginGrant).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerGrant {
    host: DestinationHost,
    port: u16,
    private: bool,
}

impl PeerGrant {
    /// Reads the string form; `private` is not set.
    ///
    /// # Errors
    /// What is wrong and, where there is one, what to write instead.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let wrong = |what: &str, instead| GrantError { what: format!("{text:?} {what}"), instead };
        if let Some((_, rest)) = text.split_once("://") {
            return Err(wrong("has a scheme, and a peer is a host and a port", Some(rest.to_owned())));
        }
        if text.contains('*') {
            return Err(wrong("has a star, and each peer is granted by its own name", None));
        }
        let not_a_peer = |why: String| wrong(&format!("is no peer: {why}"), None);
        let (host, port) = split_authority(text).map_err(not_a_peer)?;
        let host = DestinationHost::parse(host).map_err(not_a_peer)?;
        if let DestinationHost::Ip(ip) = &host
            && (ip.is_unspecified() || ip.is_multicast())
        {
            return Err(not_a_peer("it is not the address of a host".into()));
        }
        let port = port.ok_or_else(|| wrong("has no port", Some(format!("{host}:5432"))))?;
        Ok(PeerGrant { host, port, private: false })
    }

    /// The grant of exactly `address`: what a refusal suggests.
    pub fn of(address: SocketAddr) -> Self {
        PeerGrant { host: DestinationHost::Ip(address.ip()), port: address.port(), private: false }
    }

    /// With or without private addresses: `{ peer = "db.internal:5432", private = true }`.
    #[must_use]
    pub fn with_private(self, private: bool) -> Self {
        PeerGrant { private, ..self }
    }

    /// The host.
    pub fn host(&self) -> &DestinationHost {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the name may resolve to private addresses.
    pub fn private(&self) -> bool {
        self.private
    }
}

/// As a value in the manifest: `"db.example.com:5432"`, `{ peer = "db.internal:5432", private = true }`.
impl fmt::Display for PeerGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PeerGrant { host, port, private } = self;
        match private {
            true => write!(f, "{{ peer = \"{host}:{port}\", private = true }}"),
            false => write!(f, "\"{host}:{port}\""),
        }
    }
}

/// All peers that a plugin may connect to; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerGrants {
    /// In the order of the manifest.
    pub peers: Vec<PeerGrant>,
}

impl PeerGrants {
    /// The line of the manifest that grants `wanted` beside what is granted now.
    pub fn line_with(&self, wanted: &PeerGrant) -> String {
        let same = |peer: &&PeerGrant| peer.host != wanted.host || peer.port != wanted.port;
        let peers: Vec<String> =
            self.peers.iter().filter(same).chain([wanted]).map(PeerGrant::to_string).collect();
        format!("tcp = [{}]", peers.join(", "))
    }
}

/// The peers of one plugin, to which its guests open TCP connections themselves. It knows the plugin's name and
/// grants, and writes the line of the log for each refusal.
///
/// ```toml
/// [plugin.notes.grants]
/// tcp = ["db.example.com:5432", { peer = "127.0.0.1:6379", private = true }]
/// ```
///
/// Invariant: a guest connects to addresses that came out of [`Peers::resolve`], or that are granted as such. Names
/// are looked up by the host only, so what a name stands for was checked.
pub trait Peers: Send + Sync + 'static {
    /// The addresses of `name` that may be connected to, in the order in which they should be tried. An address
    /// as text stands for itself.
    ///
    /// # Errors
    /// See [`PeerError`].
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, PeerError>>;

    /// Whether a guest may connect to `address` now.
    fn may_connect(&self, address: SocketAddr) -> bool;
}

/// Why a name was not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// No peer of that name is granted, or it is at addresses that may not be reached.
    Denied,
    /// It is no name of a host.
    Invalid,
    /// There is no such name.
    Unresolvable,
    /// The resolver did not answer in time.
    Timeout,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

    use super::*;

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for (text, shown) in [
            ("db.example.com:5432", "\"db.example.com:5432\""),
            ("DB.internal:80", "\"db.internal:80\""),
            ("127.0.0.1:6379", "\"127.0.0.1:6379\""),
            ("[0:0::1]:1", "\"[::1]:1\""),
            ("localhost:65535", "\"localhost:65535\""),
        ] {
            assert_eq!(PeerGrant::parse(text).unwrap().to_string(), shown);
        }
        let private = PeerGrant::parse("db.internal:5432").unwrap().with_private(true);
        assert_eq!(private.to_string(), "{ peer = \"db.internal:5432\", private = true }");
    }

    #[test]
    fn what_is_no_peer_is_refused_with_the_fix() {
        for (text, part) in [
            ("db.internal", "has no port; write \"db.internal:5432\""),
            ("tcp://db.internal:5432", "write \"db.internal:5432\""),
            ("*.internal:5432", "has a star"),
            ("db.internal:0", "the port is no number"),
            ("db.internal:5432/x", "the port is no number"),
            (":5432", "there is no host"),
            ("127.1:80", "four decimal numbers"),
            ("0.0.0.0:80", "not the address of a host"),
            ("me@db.internal:1", "user name"),
        ] {
            let error = PeerGrant::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_line_to_add_replaces_what_it_widens() {
        let parse = |text| PeerGrant::parse(text).unwrap();
        let grants = PeerGrants { peers: vec![parse("a.example:1"), parse("b.example:2")] };
        assert_eq!(
            grants.line_with(&parse("b.example:2").with_private(true)),
            "tcp = [\"a.example:1\", { peer = \"b.example:2\", private = true }]"
        );
    }
}
