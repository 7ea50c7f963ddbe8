//! The path of a request, decoded and normalised once, before anything is decided by it.
//!
//! The router matches the decoded segments; the plugin gets [`NormalPath::encoded`], which is made of the same segments.
//! So the two can never disagree about what was asked for.
//!
//! - Each segment is percent-decoded and must then be UTF-8 without control characters.
//! - `.` and `..` are resolved (RFC 3986, section 5.2.4), also when they were sent percent-encoded. A `..`
//!   that would leave the root is an error.
//! - Empty segments are dropped: `/a//b` is `/a/b`.
//! - A slash at the end says nothing to the router: `/a/` matches what `/a` matches. The plugin sees it.
//! - An encoded slash, `%2F`, is a character of its segment and separates nothing.

use std::borrow::Cow;

/// What is wrong with a path; the text is for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    NotAbsolute,
    Escape,
    Utf8,
    Control,
    AboveRoot,
}

impl PathError {
    pub(crate) fn text(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "The path does not begin with a slash.",
            PathError::Escape => "A percent sign in the path is not followed by two hex digits.",
            PathError::Utf8 => "The path is not UTF-8.",
            PathError::Control => "The path has a control character.",
            PathError::AboveRoot => "The path leads above its root.",
        }
    }
}

/// A path as every part of the host understands it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NormalPath<'a> {
    /// The decoded segments; none is empty, `.` or `..`.
    pub(crate) segments: Vec<Cow<'a, str>>,
    /// The canonical form, which decodes to the same segments: `%` only where needed, upper-case hex.
    /// Borrowed when the path was sent in this form, as nearly all are.
    pub(crate) encoded: Cow<'a, str>,
}

/// Normalises the path of a request target, without its query.
pub(crate) fn normalise(raw: &str) -> Result<NormalPath<'_>, PathError> {
    let Some(relative) = raw.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
    if raw.bytes().all(is_plain) {
        let mut segments: Vec<_> = Vec::with_capacity(8);
        let mut normal = true;
        let mut parts = relative.split('/').peekable();
        while let Some(part) = parts.next() {
            normal &= !matches!(part, "." | "..") && (!part.is_empty() || parts.peek().is_none());
            if !part.is_empty() {
                segments.push(Cow::Borrowed(part));
            }
        }
        if normal {
            return Ok(NormalPath { segments, encoded: Cow::Borrowed(raw) });
        }
    }
    resolve(relative)
}

/// The general way: decode, resolve, encode again.
fn resolve(relative: &str) -> Result<NormalPath<'_>, PathError> {
    let mut segments = Vec::with_capacity(8);
    let mut slash_at_end = false;
    for part in relative.split('/') {
        let segment = decode(part)?;
        slash_at_end = matches!(&*segment, "" | "." | "..");
        match &*segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(PathError::AboveRoot)?;
            }
            _ => segments.push(segment),
        }
    }
    let mut encoded = String::with_capacity(relative.len() + 1);
    for segment in &segments {
        encoded.push('/');
        encode(segment, &mut encoded);
    }
    if slash_at_end || segments.is_empty() {
        encoded.push('/');
    }
    Ok(NormalPath { segments, encoded: Cow::Owned(encoded) })
}

fn decode(part: &str) -> Result<Cow<'_, str>, PathError> {
    let decoded = if part.contains('%') {
        let mut bytes = Vec::with_capacity(part.len());
        let mut rest = part.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if *first == b'%' {
                let [high, low, ..] = after else { return Err(PathError::Escape) };
                let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(PathError::Escape);
                bytes.push((digit(high)? << 4 | digit(low)?) as u8);
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        Cow::Owned(String::from_utf8(bytes).map_err(|_| PathError::Utf8)?)
    } else {
        Cow::Borrowed(part)
    };
    if decoded.chars().any(char::is_control) { Err(PathError::Control) } else { Ok(decoded) }
}

fn encode(segment: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in segment.bytes() {
        if is_plain(byte) && byte != b'/' {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// The bytes that stand for themselves in a path: `pchar` of RFC 3986, section 3.3, and the slash.
fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            plain[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let marks = b"-._~!$&'()*+,;=:@/";
        let mut at = 0;
        while at < marks.len() {
            plain[marks[at] as usize] = true;
            at += 1;
        }
        plain
    };
    PLAIN[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[track_caller]
    fn check(raw: &str, segments: &[&str], encoded: &str) {
        let path = normalise(raw).unwrap();
        assert_eq!(path.segments, segments, "{raw}");
        assert_eq!(path.encoded, encoded, "{raw}");
        // Normalising is idempotent: what the plugin gets means the same to everyone who reads it again.
        let again = normalise(&path.encoded).unwrap();
        assert_eq!((again.segments, &*again.encoded), (path.segments, encoded), "{raw}");
    }

    #[test]
    fn a_canonical_path_is_borrowed_as_it_is() {
        check("/", &[], "/");
        check("/notes/7", &["notes", "7"], "/notes/7");
        check("/a/b/", &["a", "b"], "/a/b/");
        assert!(matches!(normalise("/notes/7").unwrap().encoded, Cow::Borrowed(_)));
    }

    #[test]
    fn dot_segments_are_resolved_however_they_are_written() {
        check("/a/./b/../c", &["a", "c"], "/a/c");
        check("/a/%2e%2E/c", &["c"], "/c");
        check("/a/b/..", &["a"], "/a/");
        check("/a/.", &["a"], "/a/");
        check("/a/..", &[], "/");
        check("/...", &["..."], "/...");
        for raw in ["/..", "/%2e%2e/etc", "/a/../../b", "/a//../.."] {
            assert_eq!(normalise(raw), Err(PathError::AboveRoot), "{raw}");
        }
    }

    #[test]
    fn empty_segments_are_dropped() {
        check("//a///b", &["a", "b"], "/a/b");
        check("///", &[], "/");
    }

    #[test]
    fn an_encoded_slash_stays_in_its_segment() {
        check("/files/a%2fb", &["files", "a/b"], "/files/a%2Fb");
        check("/files/..%2F..", &["files", "../.."], "/files/..%2F..");
    }

    #[test]
    fn encoding_is_canonical() {
        check("/%7Euser/%41", &["~user", "A"], "/~user/A");
        check("/a%20b/%c3%a9/%25", &["a b", "é", "%"], "/a%20b/%C3%A9/%25");
        check("/{x}|\"", &["{x}|\""], "/%7Bx%7D%7C%22");
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (raw, error) in [
            ("*", PathError::NotAbsolute),
            ("", PathError::NotAbsolute),
            ("/%", PathError::Escape),
            ("/%4", PathError::Escape),
            ("/%zz", PathError::Escape),
            ("/%+1", PathError::Escape),
            ("/%ff", PathError::Utf8),
            ("/%c0%ae", PathError::Utf8),
            ("/%00", PathError::Control),
            ("/a%0d%0ab", PathError::Control),
            ("/%7f", PathError::Control),
            ("/%c2%85", PathError::Control),
        ] {
            assert_eq!(normalise(raw), Err(error), "{raw}");
        }
    }
}
