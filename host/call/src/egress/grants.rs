use std::fmt;

use super::destination::split_authority;
use super::{Destination, DestinationHost, Scheme};

/// What one line of `[plugin.NAME.grants] http` allows: requests to an origin, or to those below a name.
///
/// Written as `scheme://host[:port]`. The host is a name, `*.` and a name (any name below it, not the name
/// itself), an IPv4 address, an IPv6 address in brackets, or `localhost`. Without a port it is the scheme's
/// default: a grant never covers more than one port.
///
/// A grant covers public addresses. A name that resolves to another kind of address is not called, unless:
/// - `private` is set: loopback, private-use (RFC 1918, RFC 4193) and shared (RFC 6598) addresses, too;
/// - the host is `localhost` or below it: the loopback addresses;
/// - the host is an address: that address, whatever its kind. It is the only way to link-local addresses and
///   to the metadata services of clouds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginGrant {
    scheme: Scheme,
    host: DestinationHost,
    below: bool,
    port: u16,
    private: bool,
}

impl OriginGrant {
    /// Reads the string form; `private` is not set.
    ///
    /// # Errors
    /// What is wrong and, where there is one, what to write instead.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let wrong =
            |what: &str, instead: Option<String>| GrantError { what: format!("{text:?} {what}"), instead };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("has no scheme", Some(format!("https://{text}"))));
        };
        let Some(scheme) = Scheme::parse(scheme) else {
            return Err(wrong("is neither http nor https, and nothing else can be granted", None));
        };
        let name = scheme.name();
        if let Some(end) = rest.find(['/', '?', '#']) {
            let origin = format!("{name}://{}", &rest[..end]);
            return Err(wrong("goes on after the host and its port, where a grant ends", Some(origin)));
        }
        if let Some((_, origin)) = rest.rsplit_once('@') {
            return Err(wrong("has a user name or a password", Some(format!("{name}://{origin}"))));
        }
        let not_a_host = |why: String| wrong(&format!("is no origin: {why}"), None);
        let (host, port) = split_authority(rest).map_err(not_a_host)?;
        let (below, host) = match host.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, host),
        };
        if host.contains('*') {
            let why = "`*.` can only stand before a name, as in \"https://*.example.com\"";
            return Err(not_a_host(why.into()));
        }
        let host = DestinationHost::parse(host).map_err(not_a_host)?;
        match &host {
            DestinationHost::Ip(_) if below => {
                return Err(not_a_host("there is nothing below an address".into()));
            }
            DestinationHost::Ip(ip) if ip.is_unspecified() || ip.is_multicast() => {
                return Err(not_a_host("it is not the address of a host".into()));
            }
            _ => {}
        }
        Ok(OriginGrant { scheme, host, below, port: port.unwrap_or(scheme.default_port()), private: false })
    }

    /// The grant of exactly `destination`: what a refusal suggests.
    pub fn of(destination: &Destination) -> Self {
        let Destination { scheme, host, port } = destination.clone();
        OriginGrant { scheme, host, below: false, port, private: false }
    }

    /// With or without private addresses: `{ origin = "http://db.internal", private = true }`.
    #[must_use]
    pub fn with_private(self, private: bool) -> Self {
        OriginGrant { private, ..self }
    }

    /// Whether a name may resolve to private addresses.
    pub fn private(&self) -> bool {
        self.private
    }

    /// Whether TLS is spoken.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host; for `*.example.com`, the `example.com`.
    pub fn host(&self) -> &DestinationHost {
        &self.host
    }

    /// Whether requests to `destination` are covered; which addresses it may resolve to is another question.
    pub fn covers(&self, destination: &Destination) -> bool {
        let host = match (&self.host, &destination.host) {
            (DestinationHost::Name(suffix), DestinationHost::Name(name)) if self.below => {
                name.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (own, asked) => own == asked,
        };
        host && self.scheme == destination.scheme && self.port == destination.port
    }
}

/// Why a grant cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantError {
    /// What is wrong, as a sentence about the text, without its final stop.
    pub what: String,
    /// What to write instead, if that is known.
    pub instead: Option<String>,
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instead {
            Some(instead) => write!(f, "{}; write {instead:?}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for GrantError {}

/// As a value in the manifest: `"https://*.example.com"`, `{ origin = "http://db.internal", private = true }`.
impl fmt::Display for OriginGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OriginGrant { scheme, host, below, port, private } = self;
        let star = if *below { "*." } else { "" };
        let mut origin = format!("{}://{star}{host}", scheme.name());
        if *port != scheme.default_port() {
            origin += &format!(":{port}");
        }
        match private {
            true => write!(f, "{{ origin = \"{origin}\", private = true }}"),
            false => write!(f, "\"{origin}\""),
        }
    }
}

/// All origins that a plugin may call; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressGrants {
    /// In the order of the manifest. Several may cover one destination: what any of them allows is allowed.
    pub origins: Vec<OriginGrant>,
}

impl EgressGrants {
    /// The grants that cover `destination`.
    pub fn covering<'a>(&'a self, destination: &'a Destination) -> impl Iterator<Item = &'a OriginGrant> {
        self.origins.iter().filter(|grant| grant.covers(destination))
    }

    /// The line of the manifest that grants `wanted` beside what is granted now.
    pub fn line_with(&self, wanted: &OriginGrant) -> String {
        let same = |grant: &&OriginGrant| (*grant).clone().with_private(wanted.private) != *wanted;
        let origins: Vec<String> =
            self.origins.iter().filter(same).chain([wanted]).map(OriginGrant::to_string).collect();
        format!("http = [{}]", origins.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

    use super::*;

    fn covers(grant: &str, uri: &str) -> bool {
        OriginGrant::parse(grant).unwrap().covers(&Destination::of(&uri.parse().unwrap()).unwrap())
    }

    #[test]
    fn a_grant_covers_its_origin_and_nothing_else() {
        let grant = "https://api.example.com";
        assert!(covers(grant, "https://api.example.com/any/path?q"));
        assert!(covers(grant, "https://API.EXAMPLE.COM:443/"));
        for other in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://x.api.example.com/",
            "https://api.example.com.evil.example/",
        ] {
            assert!(!covers(grant, other), "{other}");
        }
        assert!(covers("http://[::1]:8080", "http://[0:0:0::1]:8080/"));
        assert!(!covers("http://127.0.0.1", "http://[::ffff:127.0.0.1]/"));
        assert!(covers("http://LOCALHOST:81", "http://localhost:81/"));
    }

    #[test]
    fn a_star_covers_every_name_below_and_not_the_name_itself() {
        let grant = "https://*.example.com";
        assert!(covers(grant, "https://a.example.com/"));
        assert!(covers(grant, "https://a.b.example.com/"));
        for other in ["https://example.com/", "https://aexample.com/", "https://example.com.a/"] {
            assert!(!covers(grant, other), "{other}");
        }
    }

    #[test]
    fn a_grant_that_is_not_an_origin_is_refused_with_the_fix() {
        for (text, part) in [
            ("api.example.com", "write \"https://api.example.com\""),
            ("ftp://a.example", "neither http nor https"),
            ("https://a.example/", "write \"https://a.example\""),
            ("https://a.example/v1?x#y", "write \"https://a.example\""),
            ("https://me:secret@a.example", "write \"https://a.example\""),
            ("https://*", "`*.` can only stand before a name"),
            ("https://a.*.example", "`*.` can only stand before a name"),
            ("https://*.10.0.0.1", "nothing below an address"),
            ("https://a.example:*", "the port is no number"),
            ("https://", "there is no host"),
            ("http://127.1", "four decimal numbers"),
            ("http://0.0.0.0", "not the address of a host"),
            ("http://[ff02::1]", "not the address of a host"),
            ("http://bücher.example", "xn--"),
        ] {
            let error = OriginGrant::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_line_to_add_keeps_what_is_granted_and_replaces_what_it_widens() {
        let parse = |text| OriginGrant::parse(text).unwrap();
        let grants = EgressGrants { origins: vec![parse("https://a.example"), parse("http://b.example:81")] };
        assert_eq!(
            grants.line_with(&parse("http://b.example:81").with_private(true)),
            r#"http = ["https://a.example", { origin = "http://b.example:81", private = true }]"#
        );
    }
}
