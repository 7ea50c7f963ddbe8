use std::io;

/// Reads one answer after the other (RFC 9112) as their bytes arrive: a 200 with its length, or in chunks.
pub(crate) struct Answer {
    status: &'static str,
    state: State,
    /// The head, or the line between two chunks, as far as it has come.
    text: Vec<u8>,
    body_bytes: u64,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    /// So many bytes are left to the end of the answer.
    Length(u64),
    ChunkSize,
    /// So many bytes are left of the chunk, the line end behind it included.
    Chunk(u64),
    Trailer,
}

impl Default for Answer {
    fn default() -> Self {
        Answer::of_status("200")
    }
}

impl Answer {
    /// Reads answers with another status.
    pub(crate) fn of_status(status: &'static str) -> Self {
        Answer { status, state: State::Head, text: Vec::new(), body_bytes: 0 }
    }

    /// Takes what has been read; the size of the body when the answer is complete with it.
    ///
    /// # Errors
    /// When it is not a complete answer with that status, or when something follows it: nobody has asked for more yet.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> io::Result<Option<u64>> {
        let mut rest = bytes;
        loop {
            match self.state {
                State::Head => {
                    // The end of the head may be split over two reads: look again at the last three bytes.
                    let known = self.text.len();
                    self.text.extend_from_slice(rest);
                    let from = known.saturating_sub(3);
                    let Some(end) = self.text[from..].windows(4).position(|end| end == b"\r\n\r\n") else {
                        return Ok(None);
                    };
                    let head_bytes = from + end + 4;
                    self.state = framing(self.status, &self.text[..head_bytes])?;
                    rest = &rest[head_bytes - known..];
                    self.text.clear();
                    self.body_bytes = 0;
                }
                State::Length(left) => {
                    let taken = left.min(rest.len() as u64);
                    self.body_bytes += taken;
                    if taken < left {
                        self.state = State::Length(left - taken);
                        return Ok(None);
                    }
                    return self.end(&rest[taken as usize..]);
                }
                State::ChunkSize => {
                    let Some(line) = self.line(&mut rest) else { return Ok(None) };
                    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(digits).ok().map(str::trim);
                    let size = size.and_then(|size| u64::from_str_radix(size, 16).ok());
                    match size {
                        Some(0) => self.state = State::Trailer,
                        Some(size) => {
                            self.body_bytes += size;
                            self.state = State::Chunk(size + 2);
                        }
                        None => return Err(bad(&line, "has no size of a chunk")),
                    }
                }
                State::Chunk(left) => {
                    let taken = left.min(rest.len() as u64);
                    rest = &rest[taken as usize..];
                    if taken < left {
                        self.state = State::Chunk(left - taken);
                        return Ok(None);
                    }
                    self.state = State::ChunkSize;
                }
                State::Trailer => {
                    let Some(line) = self.line(&mut rest) else { return Ok(None) };
                    if line.is_empty() {
                        return self.end(rest);
                    }
                }
            }
        }
    }

    /// A line without its end, taken from `rest`; `None` when it is not complete.
    fn line(&mut self, rest: &mut &[u8]) -> Option<Vec<u8>> {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.text.extend_from_slice(rest);
            *rest = &[];
            return None;
        };
        self.text.extend_from_slice(&rest[..end]);
        *rest = &rest[end + 1..];
        let mut line = std::mem::take(&mut self.text);
        line.pop_if(|last| *last == b'\r');
        Some(line)
    }

    fn end(&mut self, rest: &[u8]) -> io::Result<Option<u64>> {
        if !rest.is_empty() {
            return Err(bad(rest, "goes on behind its end"));
        }
        self.state = State::Head;
        Ok(Some(self.body_bytes))
    }
}

/// How the body behind a head is framed.
fn framing(status: &str, head: &[u8]) -> io::Result<State> {
    if head.split(|byte| *byte == b' ').nth(1) != Some(status.as_bytes()) {
        return Err(bad(head, "has another status"));
    }
    let text = std::str::from_utf8(head).map_err(|_| bad(head, "is not text"))?;
    for line in text.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse().map_err(|_| bad(head, "has no valid length"))?;
            return Ok(State::Length(length));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked") {
            return Ok(State::ChunkSize);
        }
    }
    Err(bad(head, "says nothing of its length"))
}

fn bad(bytes: &[u8], what: &str) -> io::Error {
    let shown = &bytes[..bytes.len().min(400)];
    io::Error::other(format!("an answer {what}: {:?}", String::from_utf8_lossy(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` in pieces of every size; the body's size, which must be the same for all.
    fn read(bytes: impl AsRef<[u8]>) -> io::Result<u64> {
        let bytes = bytes.as_ref();
        let mut sizes = Vec::new();
        for piece in 1..=bytes.len() {
            let mut answer = Answer::default();
            // Twice: what one answer leaves behind must not reach the next.
            for _ in 0..2 {
                let mut done = None;
                for part in bytes.chunks(piece) {
                    assert_eq!(done, None, "complete before its last byte");
                    done = answer.read(part)?;
                }
                sizes.push(done.expect("complete with its last byte"));
            }
        }
        sizes.dedup();
        assert_eq!(sizes.len(), 1);
        Ok(sizes[0])
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte_however_it_arrives() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for (bytes, length) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx: y\r\n\r\nhello\n".to_owned(), 6),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), 0),
            (format!("{chunked}6\r\nhello\n\r\nA;x\r\n0123456789\r\n0\r\n\r\n"), 16),
            (format!("{chunked}0\r\nx-checksum: 1\r\n\r\n"), 0),
        ] {
            assert_eq!(read(&bytes).ok(), Some(length), "{bytes}");
        }
    }

    #[test]
    fn what_is_not_one_whole_200_is_an_error() {
        for bytes in [
            &b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        ] {
            assert!(Answer::default().read(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
