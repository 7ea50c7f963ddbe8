//! Just enough of HTTP/1.1 (RFC 9112) to talk to a host in a test: one request on one connection, a complete
//! answer, no more than the standard library.

use std::fmt;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// How long the host may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// Longer lines and answers are errors.
const LINE_BYTES_MAX: u64 = 1 << 20;
const BODY_BYTES_MAX: u64 = 1 << 30;

/// A complete answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The value of a header field as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The fields that came after the body.
    pub fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// The body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => panic!("the body is not text: {error}\n{self:?}"),
        }
    }

    /// The answer itself, which must have this status.
    ///
    /// # Panics
    /// When it has another one: with the whole answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert!(self.status.as_u16() == status, "the status is {} and not {status}: {self:?}", self.status);
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut answer = f.debug_struct("Answer");
        answer.field("status", &self.status.as_u16()).field("headers", &self.headers);
        if !self.trailers.is_empty() {
            answer.field("trailers", &self.trailers);
        }
        answer.field("body", &String::from_utf8_lossy(&self.body)).finish()
    }
}

/// Sends a request and reads its answer to the end.
pub(super) fn exchange(address: SocketAddr, head: &Parts, body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let target = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = format!("{} {target} HTTP/1.1\r\n", head.method).into_bytes();
    if !head.headers.contains_key("host") {
        let host = head.uri.authority().map_or_else(|| address.to_string(), ToString::to_string);
        request.extend_from_slice(format!("host: {host}\r\n").as_bytes());
    }
    for (name, value) in &head.headers {
        request.extend_from_slice(name.as_str().as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() || !matches!(head.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS") {
        request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"connection: close\r\n\r\n");
    request.extend_from_slice(body);
    // A host that refuses a body answers before it has read it, and stops reading.
    let sent = stream.write_all(&request).and_then(|()| stream.flush());
    match read(&mut BufReader::new(stream), head.method == http::Method::HEAD) {
        Err(_) if sent.is_err() => Err(sent.err().unwrap_or_else(|| ErrorKind::BrokenPipe.into())),
        answer => answer,
    }
}

fn read(stream: &mut impl BufRead, head_only: bool) -> Result<Answer> {
    let (status, headers) = loop {
        let line = line(stream)?;
        let status = line.split(' ').nth(1).and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok());
        let status = status.ok_or_else(|| invalid(&format!("not a status line: {line:?}")))?;
        let headers = fields(stream)?;
        if !status.is_informational() {
            break (status, headers);
        }
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bodiless = head_only || matches!(status.as_u16(), 204 | 304);
    let mut trailers = HeaderMap::new();
    let mut body = Vec::new();
    if bodiless {
    } else if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = line(stream)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size =
                u64::from_str_radix(size, 16).map_err(|_| invalid(&format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                trailers = fields(stream)?;
                break;
            }
            exactly(stream, size, &mut body)?;
            if !self::line(stream)?.is_empty() {
                return Err(invalid("a chunk is longer than it says"));
            }
        }
    } else if let Some(length) = header("content-length") {
        let length = length.parse().map_err(|_| invalid(&format!("not a length: {length:?}")))?;
        exactly(stream, length, &mut body)?;
    } else {
        stream.take(BODY_BYTES_MAX).read_to_end(&mut body)?;
    }
    Ok(Answer { status, headers, trailers, body: body.into() })
}

fn exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> Result<()> {
    if body.len() as u64 + length > BODY_BYTES_MAX {
        return Err(invalid("the body is too long"));
    }
    let read = stream.take(length).read_to_end(body)?;
    if read as u64 == length { Ok(()) } else { Err(invalid("the body was cut short")) }
}

/// Fields up to the empty line after them.
fn fields(stream: &mut impl BufRead) -> Result<HeaderMap> {
    let mut fields = HeaderMap::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let field = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let (name, value) = field.ok_or_else(|| invalid(&format!("not a field: {line:?}")))?;
        fields.append(name, value);
    }
}

/// A line without its end.
fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(invalid("the connection was closed before a complete answer"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn answer(bytes: &str) -> Result<Answer> {
        read(&mut bytes.as_bytes(), false)
    }

    #[test]
    fn answers_are_read_however_their_bodies_end() {
        let sized = answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx-a: 1\r\n\r\nabcd").unwrap();
        assert_eq!((sized.status().as_u16(), sized.text(), sized.header("x-a")), (200, "abc", Some("1")));

        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\
                       grpc-status: 0\r\n\r\n";
        let chunked = answer(chunked).unwrap();
        assert_eq!((chunked.text(), chunked.trailers().len()), ("abc0123456789", 1));

        let closed =
            answer("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\nall").unwrap();
        assert_eq!((closed.status().as_u16(), closed.text()), (404, "all"));

        let none = answer("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n").unwrap();
        assert_eq!(none.text(), "");
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_error() {
        let whole = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for end in 0..whole.len() {
            answer(&whole[..end]).unwrap_err();
        }
        answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").unwrap_err();
        answer("SSH-2.0-x\r\n\r\n").unwrap_err();
        answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").unwrap_err();
    }

    #[test]
    #[should_panic(expected = "the status is 404 Not Found and not 200")]
    fn another_status_than_expected_shows_the_answer() {
        answer("HTTP/1.1 404 Not Found\r\n\r\nnobody").unwrap().expect(200);
    }
}
