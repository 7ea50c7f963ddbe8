//! Sees what hyper's parser hides: the framing fields of each HTTP/1 request head, as they were sent.
//!
//! hyper resolves `Content-Length` beside `Transfer-Encoding` by dropping the length, merges repeated equal
//! lengths and takes a bare LF for a line end. All three are how requests are smuggled past a proxy that
//! reads them differently (RFC 9112, sections 2.2, 6.3 and 11.2), so a strict server refuses them. This
//! scanner runs over the bytes on their way to hyper. It knows lines, two field names and how far a body
//! reaches, which is what it takes to know where the next head begins, and nothing else.
//!
//! Invariant: it follows the framing that hyper follows for everything that hyper accepts. Where it cannot,
//! it reports a flaw for the next request instead of guessing, so that losing track refuses and never admits.

/// What is wrong with the framing of a request, though hyper lets it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flaw {
    /// `Content-Length` and `Transfer-Encoding` in one head.
    LengthAndCoding = 1,
    /// More than one `Content-Length`, be they equal.
    RepeatedLength = 2,
    /// A line that ends with LF alone.
    BareLf = 3,
    /// A `Content-Length` that is padded beyond what anyone sends, so that it was not read.
    LengthUnread = 4,
    /// The chunks or trailers before this request were not framed exactly.
    Desync = 5,
}

impl Flaw {
    pub(crate) fn from_code(code: u8) -> Option<Flaw> {
        [Flaw::LengthAndCoding, Flaw::RepeatedLength, Flaw::BareLf, Flaw::LengthUnread, Flaw::Desync]
            .into_iter()
            .find(|flaw| *flaw as u8 == code)
    }
}

/// Enough for `content-length`, its colon, some padding and the 20 digits of the largest u64.
const LINE_KEPT: usize = 64;

#[derive(Debug)]
enum State {
    /// Within a head, or before its first byte.
    Head,
    /// So many bytes of a body with a length are left.
    Body(u64),
    /// In the line that has a chunk's size.
    ChunkSize,
    /// So many bytes of a chunk and its line end are left.
    Chunk(u64),
    /// After the last chunk, up to the empty line.
    Trailers,
    /// A flaw was found: the connection ends with the answer to it, and nothing after it is a request.
    Done,
}

/// The scanner of one connection. Bytes may arrive in any split.
#[derive(Debug)]
pub(crate) struct HeadScan {
    state: State,
    /// The beginning of the current line, without its end.
    line: [u8; LINE_KEPT],
    /// The length of the current line, which may exceed what is kept of it.
    line_len: usize,
    last_byte: u8,
    /// Whether the current head has had a line.
    begun: bool,
    length: Option<u64>,
    coded: bool,
    /// Found in the current head, reported when it is complete.
    flaw: Option<Flaw>,
    /// Heads that were complete.
    heads: u64,
}

impl HeadScan {
    pub(crate) fn new() -> Self {
        HeadScan {
            state: State::Head,
            line: [0; LINE_KEPT],
            line_len: 0,
            last_byte: 0,
            begun: false,
            length: None,
            coded: false,
            flaw: None,
            heads: 0,
        }
    }

    /// Whether a head has begun and is not complete.
    pub(crate) fn within_head(&self) -> bool {
        matches!(self.state, State::Head) && (self.begun || self.line_len > 0)
    }

    /// Whether the last request is complete and no other has begun.
    pub(crate) fn between_requests(&self) -> bool {
        matches!(self.state, State::Head) && !self.within_head()
    }

    /// Takes the next bytes of the connection. The first flaw is returned with the number of the request
    /// that has it, counted from 0; there is no second one.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Option<(u64, Flaw)> {
        while !bytes.is_empty() {
            match self.state {
                State::Body(left) | State::Chunk(left) => {
                    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - skipped as u64;
                    bytes = &bytes[skipped..];
                    self.state = match (left, &self.state) {
                        (0, State::Body(_)) => State::Head,
                        (0, _) => State::ChunkSize,
                        (left, State::Body(_)) => State::Body(left),
                        (left, _) => State::Chunk(left),
                    };
                }
                State::Head | State::ChunkSize | State::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        return None;
                    };
                    self.keep(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    if let Some(flaw) = self.line_ended() {
                        self.state = State::Done;
                        return Some((self.heads, flaw));
                    }
                    self.line_len = 0;
                    self.last_byte = 0;
                }
                State::Done => return None,
            }
        }
        None
    }

    fn keep(&mut self, part: &[u8]) {
        let Some(last) = part.last() else { return };
        self.last_byte = *last;
        if let Some(room) = self.line.get_mut(self.line_len..) {
            let kept = part.len().min(room.len());
            room[..kept].copy_from_slice(&part[..kept]);
        }
        self.line_len += part.len();
    }

    /// A line is complete. Returns the flaw that ends the scan.
    fn line_ended(&mut self) -> Option<Flaw> {
        let bare_lf = self.last_byte != b'\r';
        let len = if bare_lf { self.line_len } else { self.line_len - 1 };
        match self.state {
            State::Head if len == 0 && !self.begun => {} // empty lines before a head, RFC 9112, section 2.2
            State::Head => {
                if bare_lf {
                    self.flaw.get_or_insert(Flaw::BareLf);
                }
                if len == 0 {
                    return self.head_ended();
                }
                if self.begun {
                    self.field(len);
                }
                self.begun = true;
            }
            State::ChunkSize => {
                let digits = &self.line[..len.min(LINE_KEPT)];
                let digits = digits.split(|byte| !byte.is_ascii_hexdigit()).next().unwrap_or_default();
                let size = std::str::from_utf8(digits).ok().and_then(|hex| u64::from_str_radix(hex, 16).ok());
                self.state = match size {
                    _ if bare_lf || digits.len() == LINE_KEPT => return Some(Flaw::Desync),
                    Some(0) => State::Trailers,
                    Some(size) => State::Chunk(size.saturating_add(2)),
                    None => return Some(Flaw::Desync),
                };
            }
            State::Trailers if bare_lf => return Some(Flaw::Desync),
            State::Trailers if len == 0 => self.state = State::Head,
            State::Trailers | State::Body(_) | State::Chunk(_) | State::Done => {}
        }
        None
    }

    fn field(&mut self, len: usize) {
        let line = &self.line[..len.min(LINE_KEPT)];
        // Only two names matter; their first letters send every other line away at once.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                self.flaw.get_or_insert(Flaw::RepeatedLength);
            } else if len > LINE_KEPT {
                self.flaw.get_or_insert(Flaw::LengthUnread);
            }
            // What is not a number is refused by hyper, together with the rest of the connection.
            let digits = value[1..].trim_ascii();
            self.length = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).or(Some(0));
        }
    }

    fn head_ended(&mut self) -> Option<Flaw> {
        if self.coded && self.length.is_some() {
            self.flaw = Some(Flaw::LengthAndCoding);
        }
        if self.flaw.is_some() {
            return self.flaw;
        }
        self.state = match (self.coded, self.length) {
            (true, _) => State::ChunkSize,
            (false, None | Some(0)) => State::Head,
            (false, Some(length)) => State::Body(length),
        };
        self.heads += 1;
        (self.begun, self.coded, self.length) = (false, false, None);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans `bytes` in every split into two, and byte by byte; all must agree.
    fn scan(bytes: &[u8]) -> Option<(u64, Flaw)> {
        let whole = HeadScan::new().feed(bytes);
        for at in 0..bytes.len() {
            let mut scan = HeadScan::new();
            let found = scan.feed(&bytes[..at]).or_else(|| scan.feed(&bytes[at..]));
            assert_eq!(found, whole, "split at {at}");
        }
        let mut scan = HeadScan::new();
        let single = bytes.iter().find_map(|byte| scan.feed(std::slice::from_ref(byte)));
        assert_eq!(single, whole, "byte by byte");
        whole
    }

    #[test]
    fn a_length_beside_a_coding_is_found_in_either_order_and_any_case() {
        let te_first =
            b"POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-encoding: chunked\r\ncontent-LENGTH:5\r\n\r\n0\r\n\r\n";
        assert_eq!(scan(te_first), Some((0, Flaw::LengthAndCoding)));
        let cl_first = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(scan(cl_first), Some((0, Flaw::LengthAndCoding)));
    }

    #[test]
    fn a_body_that_looks_like_a_head_is_not_read_as_one() {
        let body = "Content-Length: 1\r\nTransfer-Encoding: chunked\n\r\n\r\n";
        let plain =
            format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}GET / HTTP/1.1\r\n\r\n", body.len());
        assert_eq!(scan(plain.as_bytes()), None);
        let chunked = format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:X};a=b\r\n{body}\r\n0\r\nContent-Length: 3\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            body.len()
        );
        assert_eq!(scan(chunked.as_bytes()), None);
    }

    #[test]
    fn pipelined_requests_are_counted_up_to_the_one_with_the_flaw() {
        let pipeline = b"GET / HTTP/1.1\r\n\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
            POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx: y\r\n\r\n\
            POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(scan(pipeline), Some((3, Flaw::RepeatedLength)));
    }

    #[test]
    fn a_bare_line_feed_in_a_head_is_found() {
        assert_eq!(scan(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), Some((0, Flaw::BareLf)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nHost: a\n\r\n"), Some((0, Flaw::BareLf)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), Some((0, Flaw::BareLf)));
    }

    #[test]
    fn losing_track_in_chunks_refuses_the_next_request() {
        let sloppy =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\n\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(scan(sloppy), Some((1, Flaw::Desync)));
    }

    #[test]
    fn a_padded_length_is_a_flaw_and_does_not_hide_the_body() {
        let padded = format!("POST / HTTP/1.1\r\nContent-Length:{}5\r\n\r\nabcde", " ".repeat(80));
        assert_eq!(scan(padded.as_bytes()), Some((0, Flaw::LengthUnread)));
    }

    #[test]
    fn it_knows_when_a_head_has_begun() {
        let mut scan = HeadScan::new();
        assert!(!scan.within_head());
        scan.feed(b"GET");
        assert!(scan.within_head());
        scan.feed(b" / HTTP/1.1\r\n\r");
        assert!(scan.within_head());
        scan.feed(b"\n");
        assert!(!scan.within_head());
    }
}
