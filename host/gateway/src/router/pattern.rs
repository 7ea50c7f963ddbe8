use std::fmt;
use std::sync::Arc;

/// The path of a route: `/notes/{id}`, `/files/{*rest}`.
///
/// - A fixed segment matches itself, after percent-decoding and in the same case. It is written decoded.
/// - `{name}` matches any one segment.
/// - `{*name}` matches all segments that are left, also none; it comes last.
/// - A slash at the end says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern {
    text: Arc<str>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Fixed(Box<str>),
    Param(Arc<str>),
    Rest(Arc<str>),
}

/// What is wrong with a pattern, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

fn refuse<T>(message: impl Into<String>) -> Result<T, PatternError> {
    Err(PatternError(message.into()))
}

impl RoutePattern {
    /// Reads a pattern. The error says how to write it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(relative) = text.strip_prefix('/') else {
            return refuse(format!("the path \"{text}\" must begin with a slash: write \"/{text}\""));
        };
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let relative =
            if relative.len() > 1 { relative.strip_suffix('/').unwrap_or(relative) } else { relative };
        let count = relative.split('/').count();
        for (at, part) in relative.split('/').enumerate() {
            if relative.is_empty() {
                break;
            }
            let segment = Segment::parse(part, text)?;
            if let Segment::Param(name) | Segment::Rest(name) = &segment {
                if names.contains(&&**name) {
                    return refuse(format!(
                        "\"{text}\" has two parameters named \"{name}\": rename one of them"
                    ));
                }
                names.push(part.trim_matches(['{', '*', '}']));
            }
            if matches!(segment, Segment::Rest(_)) && at + 1 < count {
                return refuse(format!(
                    "in \"{text}\", \"{part}\" takes all segments that are left, so it must be the last one: \
                     move it to the end, or write \"{}\" for one segment",
                    part.replacen('*', "", 1)
                ));
            }
            segments.push(segment);
        }
        Ok(RoutePattern { text: text.into(), segments })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its parameters, in its order.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Fixed(_) => None,
            Segment::Param(name) | Segment::Rest(name) => Some(&**name),
        })
    }

    pub(crate) fn text(&self) -> Arc<str> {
        self.text.clone()
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn parse(part: &str, text: &str) -> Result<Self, PatternError> {
        if part.is_empty() {
            return refuse(format!("\"{text}\" has an empty segment: write one slash where there are two"));
        }
        if let Some(inner) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            let (rest, name) = match inner.strip_prefix('*') {
                Some(name) => (true, name),
                None => (false, inner),
            };
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if name.is_empty()
                || !name.chars().all(letters)
                || name.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            {
                return refuse(format!(
                    "in \"{text}\", \"{part}\" needs a name of letters, digits, hyphens and underscores, such as {}",
                    if rest { "{*rest}" } else { "{id}" }
                ));
            }
            return Ok(if rest { Segment::Rest(name.into()) } else { Segment::Param(name.into()) });
        }
        if part.contains(['{', '}']) {
            return refuse(format!(
                "in \"{text}\", a parameter must be a whole segment, and \"{part}\" is more than that: \
                 write \"{{name}}\" alone and take it apart in the plugin"
            ));
        }
        if part.contains('*') {
            return refuse(format!(
                "in \"{text}\", write \"{{*rest}}\" instead of \"{part}\" to match all that is left"
            ));
        }
        if part.contains(['?', '#']) {
            return refuse(format!("\"{text}\" must be a path alone: leave out the query and the fragment"));
        }
        if matches!(part, "." | "..") {
            return refuse(format!(
                "in \"{text}\", \"{part}\" would never match, since paths are resolved first: leave it out"
            ));
        }
        if part.contains('%') {
            return refuse(format!(
                "in \"{text}\", write \"{part}\" decoded: paths are percent-decoded before they are matched"
            ));
        }
        if part.chars().any(char::is_control) {
            return refuse(format!(
                "{text:?} has a control character, which no request can have: leave it out"
            ));
        }
        Ok(Segment::Fixed(part.into()))
    }
}

/// The host of a route: `api.example.com`, or `*.example.com` for every name below it at any depth.
///
/// Hosts are compared without regard to case; ports take no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    wildcard: bool,
    /// In lower case; of a wildcard, what comes after `*.`.
    name: Box<str>,
}

impl HostPattern {
    /// Reads a host. The error says how to write it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if let Some((_, rest)) = text.split_once("://") {
            return refuse(format!(
                "the host \"{text}\" must be a name alone: write \"{}\"",
                rest.trim_matches('/')
            ));
        }
        if name.contains('*') {
            return refuse(format!(
                "in the host \"{text}\", a star can only stand for the whole beginning: write \"*.example.com\""
            ));
        }
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        if let Some(address) = address
            && address.parse::<std::net::Ipv6Addr>().is_ok()
            && !wildcard
        {
            return Ok(HostPattern { wildcard, name: name.to_ascii_lowercase().into() });
        }
        if let Some((host, _port)) = name.split_once(':') {
            return refuse(format!("the host \"{text}\" must be without a port: write \"{host}\""));
        }
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if name.is_empty() || !name.bytes().all(letters) || name.ends_with('.') {
            return refuse(format!(
                "\"{text}\" is not a host: write a name such as \"api.example.com\", a wildcard such as \
                 \"*.example.com\", or leave the host out to match every one"
            ));
        }
        Ok(HostPattern { wildcard, name: name.to_ascii_lowercase().into() })
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn patterns_are_read() {
        let segments = |text| RoutePattern::parse(text).unwrap().segments;
        assert_eq!(segments("/"), []);
        assert_eq!(segments("/notes/{id}"), [Segment::Fixed("notes".into()), Segment::Param("id".into())]);
        assert_eq!(
            segments("/files/{*rest}"),
            [Segment::Fixed("files".into()), Segment::Rest("rest".into())]
        );
        assert_eq!(segments("/a b/é/"), [Segment::Fixed("a b".into()), Segment::Fixed("é".into())]);
    }

    #[test]
    fn a_wrong_pattern_is_answered_with_what_to_write() {
        for (text, says) in [
            ("notes", "write \"/notes\""),
            ("", "write \"/\""),
            ("/a//b", "one slash"),
            ("//", "one slash"),
            ("/{}", "such as {id}"),
            ("/{*}", "such as {*rest}"),
            ("/{1a}", "such as {id}"),
            ("/{a.b}", "such as {id}"),
            ("/{-a}", "such as {id}"),
            ("/v{version}", "a whole segment"),
            ("/{a}.json", "a whole segment"),
            ("/*", "{*rest}"),
            ("/{*rest}/b", "write \"{rest}\" for one segment"),
            ("/{a}/{a}", "two parameters named \"a\""),
            ("/a?b=c", "leave out the query"),
            ("/a/../b", "leave it out"),
            ("/a%20b", "decoded"),
            ("/a\u{7f}", "control character"),
        ] {
            let error = RoutePattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn hosts_are_read_and_refused() {
        for text in ["example.com", "*.example.com", "localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HostPattern::parse("API.Example.com").unwrap().to_string(), "api.example.com");
        for (text, says) in [
            ("", "leave the host out"),
            ("*", "*.example.com"),
            ("a.*.com", "*.example.com"),
            ("http://example.com/", "write \"example.com\""),
            ("example.com:80", "write \"example.com\""),
            ("exa mple", "is not a host"),
            ("user@example.com", "is not a host"),
        ] {
            let error = HostPattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
