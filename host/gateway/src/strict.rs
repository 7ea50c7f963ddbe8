//! What hyper lets through and a strict server must not.
//!
//! Two servers in a row that read one head differently are an attack waiting to be written, so whatever the
//! RFCs call malformed is refused here, before anything in the head is used. hyper's own limits are set a little
//! wider than ours: ours answer with a problem document, hyper's are the hard stop behind them.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, Version};
use wharf_call::{Failure, Kind};

use crate::config::Config;
use crate::connection::Conn;
use crate::fields::Fields;
use crate::head_scan::Flaw;
use crate::metrics::refusal;

/// What CONNECT and TRACE are answered with: the methods that a route can have.
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// The host that a request is for.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Absent in HTTP/1.0 without a `Host`.
    authority: Option<HeaderValue>,
    name_len: usize,
}

impl Host {
    /// The host of a head that was refused, for the log.
    pub(crate) fn unchecked(head: &Parts) -> Self {
        Host { authority: head.headers.get(HOST).cloned(), name_len: 0 }
    }

    /// Adds the field to a head that does not have it: HTTP/2 says it otherwise.
    pub(crate) fn name_in(&self, headers: &mut HeaderMap) {
        if let Some(authority) = &self.authority {
            headers.insert(HOST, authority.clone());
        }
    }

    /// The name with the port, as it was sent.
    pub(crate) fn authority(&self) -> Option<&HeaderValue> {
        self.authority.as_ref()
    }

    /// The name without the port, as it was sent; empty when there is none.
    pub(crate) fn name(&self) -> &str {
        let authority = self.authority.as_ref().and_then(|value| value.to_str().ok());
        authority.and_then(|text| text.get(..self.name_len)).unwrap_or_default()
    }
}

/// Checks a head, or says what is wrong with it. Also says which fields there are.
pub(crate) fn check(head: &Parts, conn: &Conn) -> Result<(Host, Fields), Failure> {
    let http1 = head.version != Version::HTTP_2;
    if http1 && let Some(flaw) = conn.next_head_flaw() {
        return Err(framing_flaw(flaw));
    }
    let (fields, named) = sizes(head, &conn.front.config)?;
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        let failure = Failure::new(Kind::MethodNotAllowed, "CONNECT and TRACE are not served.");
        return Err(refusal("method", failure.with_allow(METHODS)));
    }
    if fields.have(Fields::TRANSFER_ENCODING) {
        coding(&head.headers)?;
    }
    if fields.have(Fields::CONTENT_LENGTH) {
        length(&head.headers)?;
    }
    Ok((host(head, named)?, fields))
}

/// The target that says what was understood, the normalised path in origin form, unless `target` says just that.
pub(crate) fn canonical(target: &Uri, path_and_query: &str) -> Option<Uri> {
    if let Some(sent) = target.path_and_query().filter(|sent| *sent == path_and_query) {
        target.authority()?;
        let normal = Uri::from(sent.clone());
        // An absolute form may have no path, which is told as "/" all the same.
        if !normal.path().is_empty() {
            return Some(normal);
        }
    }
    let normal = PathAndQuery::try_from(path_and_query).expect("the path is encoded, the query was parsed");
    Some(Uri::from(normal))
}

fn bad(reason: &'static str, text: &'static str) -> Failure {
    refusal(reason, Failure::new(Kind::BadRequest, text))
}

fn framing_flaw(flaw: Flaw) -> Failure {
    match flaw {
        Flaw::LengthAndCoding => {
            bad("length_and_coding", "The request has both Content-Length and Transfer-Encoding.")
        }
        Flaw::RepeatedLength => bad("repeated_length", "The request has more than one Content-Length."),
        Flaw::BareLf => bad("bare_lf", "A line of the request's head does not end with CRLF."),
        Flaw::LengthUnread => bad("length", "The Content-Length is not a plain number."),
        Flaw::Desync => bad("desync", "The body of the request before this one was not framed exactly."),
    }
}

/// The value of `host`, and how often there is one.
type Named<'a> = (Option<&'a HeaderValue>, u32);

/// Bounds the head, and says which fields it has, since it passes by all of them.
fn sizes<'a>(head: &'a Parts, config: &Config) -> Result<(Fields, Named<'a>), Failure> {
    let uri = &head.uri;
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len());
    // In HTTP/2 the authority is a field of its own and no part of the target.
    let target = if head.version == Version::HTTP_2 { target } else { target + authority };
    if target > config.target_bytes_max {
        let text = format!("The request target is longer than {} bytes.", config.target_bytes_max);
        return Err(refusal("target_bytes", Failure::new(Kind::UriTooLong, text)));
    }
    if head.headers.len() > config.header_count_max {
        let text = format!("The request has more than {} header fields.", config.header_count_max);
        return Err(refusal("header_count", Failure::new(Kind::HeadersTooLarge, text)));
    }
    // Each line has `: ` and CRLF; so do HTTP/2's fields here, so that both versions have one limit.
    let (mut fields, mut named) = (Fields::default(), (None, 0));
    let lines = head.headers.iter().map(|(name, value)| {
        let field = Fields::of(name);
        fields.add(field);
        if field == Fields::HOST {
            named = (Some(value), named.1 + 1);
        }
        name.as_str().len() + value.len() + 4
    });
    let total = target + head.method.as_str().len() + lines.sum::<usize>();
    if total > config.header_bytes_max {
        let text = format!("The request's head is larger than {} bytes.", config.header_bytes_max);
        return Err(refusal("header_bytes", Failure::new(Kind::HeadersTooLarge, text)));
    }
    Ok((fields, named))
}

/// `chunked`, once, is the only transfer coding that is understood (RFC 9112, section 6.1).
fn coding(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() {
        return Err(bad("repeated_coding", "The request has more than one Transfer-Encoding."));
    }
    let list = coding.as_bytes().split(|byte| *byte == b',');
    let chunked = list.filter(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
    if chunked.count() > 1 {
        return Err(bad("repeated_coding", "The request is chunked more than once."));
    }
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        let text = "The only transfer coding that is understood is chunked.";
        return Err(refusal("coding", Failure::new(Kind::NotImplemented, text)));
    }
    Ok(())
}

/// One number, in digits (RFC 9110, section 8.6). HTTP/1 has been checked for repetitions before hyper merged them.
fn length(headers: &HeaderMap) -> Result<(), Failure> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(framing_flaw(Flaw::RepeatedLength));
    }
    let digits = length.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(framing_flaw(Flaw::LengthUnread));
    }
    Ok(())
}

/// Exactly one host, well-formed, and the same wherever it is said (RFC 9112, section 3.2; RFC 9113, 8.3.1).
fn host(head: &Parts, (field, times): Named<'_>) -> Result<Host, Failure> {
    if times > 1 {
        return Err(bad("repeated_host", "The request has more than one Host."));
    }
    if let Some(scheme) = head.uri.scheme_str()
        && !matches!(scheme, "http" | "https")
    {
        return Err(bad("scheme", "The scheme of the request target is neither http nor https."));
    }
    let target = head.uri.authority().map(|authority| authority.as_str());
    let authority = match (field, target) {
        (None, None) if head.version == Version::HTTP_10 => {
            return Ok(Host { authority: None, name_len: 0 });
        }
        (None, Some(_)) if head.version == Version::HTTP_11 => {
            return Err(bad("missing_host", "The request has no Host."));
        }
        (None, None) => return Err(bad("missing_host", "The request has no Host.")),
        (Some(field), Some(target)) if !field.as_bytes().eq_ignore_ascii_case(target.as_bytes()) => {
            return Err(bad("host_mismatch", "The request target and Host name different hosts."));
        }
        (Some(field), _) => field.clone(),
        (None, Some(target)) => HeaderValue::from_str(target)
            .map_err(|_| bad("malformed_host", "The authority of the request target is malformed."))?,
    };
    match name_len(authority.as_bytes()) {
        Some(name_len) => Ok(Host { authority: Some(authority), name_len }),
        None => Err(bad("malformed_host", "The Host is malformed.")),
    }
}

/// How much of `host[:port]` is the host; `None` when it is malformed. Stricter than RFC 3986, section 3.2.2:
/// a name has letters, digits, `-`, `.`, `_` and `~`, and a colon is followed by a port.
fn name_len(authority: &[u8]) -> Option<usize> {
    const NAME_MAX: usize = 255; // RFC 1035, section 2.3.4
    let name_len = if authority.first() == Some(&b'[') {
        let close = authority.iter().position(|byte| *byte == b']')?;
        std::str::from_utf8(&authority[1..close]).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
        close + 1
    } else {
        let end = authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len());
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if end == 0 || end > NAME_MAX || !authority[..end].iter().all(letter) {
            return None;
        }
        end
    };
    match &authority[name_len..] {
        [] => Some(name_len),
        [b':', port @ ..] if (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit) => {
            let port = port.iter().fold(0u32, |port, digit| port * 10 + u32::from(digit - b'0'));
            (port <= u32::from(u16::MAX)).then_some(name_len)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_checked() {
        for (authority, name) in [
            ("a", "a"),
            ("example.com:80", "example.com"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:db8::1]:443", "[2001:db8::1]"),
            ("a:65535", "a"),
            ("x_y-z.~", "x_y-z.~"),
        ] {
            assert_eq!(name_len(authority.as_bytes()), Some(name.len()), "{authority}");
        }
        for bad in [
            "", ":80", "a:", "a:b", "a:65536", "a:123456", "a b", "user@a", "a/b", "a,b", "[::1", "[::g]",
            "[::1]x", "a:80:80", "::1", "a%41", "é", "\"a\"", "a?b", "a#b",
        ] {
            assert_eq!(name_len(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(name_len(&[b'a'; 256]), None);
    }
}
