use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::{EgressCode, EgressError};

/// Where a request goes: the origin of its URI (RFC 6454), in one spelling.
///
/// Reading is strict. A host that programs read differently (`127.1`, `0x7f000001`, `localhost.`,
/// `%6cocalhost`, a user name before it) is an error, not a riddle: what was checked is what is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Whom to speak to.
    pub host: DestinationHost,
    /// The port, 1 to 65535: the scheme's default where the URI names none.
    pub port: u16,
}

/// The scheme of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS; port 80 by default.
    Http,
    /// With TLS; port 443 by default.
    Https,
}

/// The host of an origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DestinationHost {
    /// A DNS name in lower case, without a dot at its end.
    Name(String),
    /// An address that was written as such.
    Ip(IpAddr),
}

impl Destination {
    /// The destination of an absolute URI.
    ///
    /// # Errors
    /// [`EgressCode::HttpRequestUriInvalid`] with what is wrong.
    pub fn of(uri: &Uri) -> Result<Self, EgressError> {
        let invalid = |why: &str| {
            // Not the URI itself: it may hold a password, and this goes to the log.
            let host = uri.host().unwrap_or_default();
            EgressError::new(EgressCode::HttpRequestUriInvalid, format!("a request to {host:?}: {why}"))
        };
        let scheme = uri.scheme_str().and_then(Scheme::parse);
        let scheme = scheme.ok_or_else(|| invalid("the scheme is neither http nor https"))?;
        let authority = uri.authority().ok_or_else(|| invalid("there is no host"))?;
        let (host, port) = split_authority(authority.as_str()).map_err(|why| invalid(&why))?;
        let host = DestinationHost::parse(host).map_err(|why| invalid(&why))?;
        Ok(Destination { scheme, host, port: port.unwrap_or(scheme.default_port()) })
    }

    /// Host and port as a `host` field has them: without the port where it is the scheme's default.
    pub fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The origin's only spelling: `https://api.example.com`, `http://[::1]:8080`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

impl Scheme {
    /// `http` or `https`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Scheme::Http, Scheme::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.name()))
    }

    /// The scheme as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port where none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl DestinationHost {
    /// Reads a name, four decimal numbers, or an IPv6 address in brackets.
    ///
    /// # Errors
    /// What is wrong, as half a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(literal) = text.strip_prefix('[') {
            let address = literal.strip_suffix(']').and_then(|literal| literal.parse::<Ipv6Addr>().ok());
            return address.map(|ip| DestinationHost::Ip(ip.into())).ok_or("it is no IPv6 address".into());
        }
        let name = text.to_ascii_lowercase();
        if name.is_empty() {
            return Err("there is no host".into());
        }
        if let Some(other) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.')) {
            return Err(format!("{other:?} cannot be in a host; write the name in ASCII (`xn--…`)"));
        }
        if name.len() > 253 || name.split('.').any(|label| !(1..=63).contains(&label.len())) {
            return Err(
                "a part between dots has 1 to 63 characters, a host at most 253, and no dot at its end"
                    .into(),
            );
        }
        // RFC 3986 knows one form of IPv4; what else resolvers take for an address must not pass as a name.
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if number(last) || last.strip_prefix("0x").is_some_and(hex) {
            return match name.parse::<Ipv4Addr>() {
                Ok(ip) => Ok(DestinationHost::Ip(ip.into())),
                Err(_) => Err("an IPv4 address is four decimal numbers without leading zeros".into()),
            };
        }
        Ok(DestinationHost::Name(name))
    }

    /// Whether it is `localhost` or below it, which never leaves the machine (RFC 6761, section 6.3).
    pub fn is_localhost(&self) -> bool {
        match self {
            DestinationHost::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            DestinationHost::Ip(_) => false,
        }
    }
}

/// As in a URI: IPv6 in brackets.
impl fmt::Display for DestinationHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DestinationHost::Name(name) => f.write_str(name),
            DestinationHost::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            DestinationHost::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Host and port of an authority, the host still as it was written.
pub(crate) fn split_authority(text: &str) -> Result<(&str, Option<u16>), String> {
    if text.contains('@') {
        return Err(
            "a user name or password before the host is not sent; use an `authorization` field".into()
        );
    }
    let host_ends = match text.find(']') {
        Some(bracket) if text.starts_with('[') => bracket + 1,
        _ => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(host_ends);
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        None => Err("something follows the host that is no port".into()),
        Some("") => Ok((host, None)),
        Some(port) => match port.parse() {
            Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok((host, Some(number)))
            }
            _ => Err("the port is no number from 1 to 65535".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

    use super::*;

    fn read(uri: &str) -> Result<String, String> {
        let uri: Uri = uri.parse().map_err(|error| format!("{error}"))?;
        Destination::of(&uri).map(|destination| destination.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_origin_has_one_spelling() {
        for (uri, origin) in [
            ("https://api.example.com/a?b", "https://api.example.com"),
            ("HTTPS://API.Example.COM:443/", "https://api.example.com"),
            ("http://a_b.example:8080", "http://a_b.example:8080"),
            ("http://a.example:080/", "http://a.example"),
            ("http://10.0.0.1:/", "http://10.0.0.1"),
            ("http://[0:0::1]:81/", "http://[::1]:81"),
            ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example"),
        ] {
            assert_eq!(read(uri), Ok(origin.to_owned()), "{uri}");
        }
    }

    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        for uri in [
            "http://2130706433/",
            "http://127.1/",
            "http://0/",
            "http://0177.0.0.1/",
            "http://127.0.0.01/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://1.2.3.4.5/",
            "http://999.1.1.1/",
            "http://a.0x/",
            "http://127.0.0.1./",
            "http://localhost./",
            "http://a..b/",
            "http://.a/",
            "http://%6cocalhost/",
            "http://user@127.0.0.1/",
            "http://api.example.com@127.0.0.1/",
            "http://api.example.com:80@127.0.0.1/",
            "http://[::1%25lo]/",
            "http://[127.0.0.1]/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+80/",
            "ftp://a/",
            "/only/a/path",
            "a.example:80",
        ] {
            assert!(read(uri).is_err(), "{uri}: {:?}", read(uri));
        }
    }
}
