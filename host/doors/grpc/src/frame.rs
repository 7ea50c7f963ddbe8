//! Messages on the wire: a byte of flags, four of length, the message (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use wharf_call::units::show_size;
use wharf_call::{Body, Failure, Kind, Memory, MemoryUse, Reservation};

/// The bytes before a message.
pub(crate) const HEAD_LEN: usize = 5;

/// The messages of a request, one after the other. Nothing is buffered beyond the largest message and what came with its end.
pub(crate) struct Frames {
    body: Body,
    /// What came last; messages that are whole in it are parts of it.
    chunk: Bytes,
    /// A message that came in several chunks, and what came with its end.
    buffer: BytesMut,
    gzip: bool,
    bytes_max: usize,
    memory: Arc<dyn Memory>,
    /// What the buffer is paid with.
    paid: Option<Reservation>,
}

impl Frames {
    /// The messages in `body`, each of at most `bytes_max` bytes; compressed ones are only taken when the client has announced
    /// `gzip`.
    pub(crate) fn new(body: Body, gzip: bool, bytes_max: usize, memory: Arc<dyn Memory>) -> Self {
        Frames { body, chunk: Bytes::new(), buffer: BytesMut::new(), gzip, bytes_max, memory, paid: None }
    }

    /// The next message, or `None` when the client has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// A message that is too large, at its first five bytes; one that does not end, or is not what its head says; what cut the
    /// body short.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let buffered = !self.buffer.is_empty();
            let bytes = if buffered { &self.buffer[..] } else { &self.chunk[..] };
            if let Some(head) = Head::read(bytes, self.gzip, self.bytes_max)?
                && bytes.len() >= HEAD_LEN + head.length
            {
                let message = if buffered {
                    self.buffer.advance(HEAD_LEN);
                    self.buffer.split_to(head.length).freeze()
                } else {
                    self.chunk.advance(HEAD_LEN);
                    self.chunk.split_to(head.length)
                };
                return self.open(head, message).map(Some);
            }
            let Some(frame) = self.body.frame().await else {
                return if self.buffer.is_empty() && self.chunk.is_empty() {
                    Ok(None)
                } else {
                    Err(cut_short())
                };
            };
            let Ok(data) = frame?.into_data() else { continue };
            if self.buffer.is_empty() && self.chunk.is_empty() {
                self.chunk = data;
                continue;
            }
            self.pay(self.buffer.len() + self.chunk.len() + data.len())?;
            self.buffer.extend_from_slice(&std::mem::take(&mut self.chunk));
            self.buffer.extend_from_slice(&data);
        }
    }

    fn open(&mut self, head: Head, message: Bytes) -> Result<Bytes, Failure> {
        if !head.compressed {
            return Ok(message);
        }
        let mut opened = Vec::new();
        // One byte more than is allowed tells that it is too large, however much a bomb would unfold to.
        let mut reader = MultiGzDecoder::new(&message[..]).take(self.bytes_max as u64 + 1);
        let mut chunk = [0; 4096];
        loop {
            let read = reader.read(&mut chunk).map_err(|error| {
                Failure::new(Kind::BadRequest, "The message is not valid gzip.")
                    .with_private(error.to_string())
            })?;
            if read == 0 {
                return Ok(opened.into());
            }
            if opened.len() + read > self.bytes_max {
                return Err(too_large(None, self.bytes_max));
            }
            self.pay(message.len() + opened.len() + read)?;
            opened.extend_from_slice(&chunk[..read]);
        }
    }

    /// Pays for a buffer of `bytes`, and for as much again, which a buffer that grows may have in reserve.
    fn pay(&mut self, bytes: usize) -> Result<(), Failure> {
        let needed = 2 * bytes as u64;
        let granted = match &mut self.paid {
            Some(paid) => needed <= paid.bytes() || paid.grow(needed - paid.bytes()),
            None => {
                self.paid = self.memory.reserve(MemoryUse::Bodies, needed);
                self.paid.is_some()
            }
        };
        if granted {
            return Ok(());
        }
        Err(Failure::new(Kind::Overloaded, "The host has no memory for this message now.")
            .with_retry_after_s(1))
    }
}

struct Head {
    compressed: bool,
    length: usize,
}

impl Head {
    /// The head that `bytes` begin with, once there are enough of them.
    fn read(bytes: &[u8], gzip: bool, bytes_max: usize) -> Result<Option<Self>, Failure> {
        let Some(([flags, a, b, c, d], _)) = bytes.split_first_chunk() else { return Ok(None) };
        let compressed = match flags {
            0 => false,
            1 if gzip => true,
            1 => {
                let said = "The message is compressed, and the request has no grpc-encoding that says how.";
                return Err(Failure::new(Kind::Internal, said).with_origin(wharf_call::Origin::Client));
            }
            _ => return Err(Failure::new(Kind::BadRequest, "The body is not a sequence of gRPC messages.")),
        };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if length > bytes_max {
            return Err(too_large(Some(length), bytes_max));
        }
        Ok(Some(Head { compressed, length }))
    }
}

/// Appends one message, which `write` appends to what it is handed; compressed if it is so large and `gzip` is wanted.
///
/// # Errors
/// Those of `write`; then nothing has been appended.
pub(crate) fn append(
    out: &mut Vec<u8>,
    gzip_from: Option<usize>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let at = out.len();
    out.extend_from_slice(&[0; HEAD_LEN]);
    if let Err(failure) = write(out) {
        out.truncate(at);
        return Err(failure);
    }
    let body = at + HEAD_LEN;
    if gzip_from.is_some_and(|from| out.len() - body >= from) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to a vector does not fail.
        if let Ok(packed) = encoder.write_all(&out[body..]).and_then(|()| encoder.finish())
            && packed.len() < out.len() - body
        {
            out.truncate(body);
            out.extend_from_slice(&packed);
            out[at] = 1;
        }
    }
    // Within the limit of messages, which is a length of four bytes.
    let length = u32::try_from(out.len() - body).unwrap_or(u32::MAX);
    out[at + 1..body].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn too_large(length: Option<usize>, bytes_max: usize) -> Failure {
    let is = length
        .map_or_else(|| "unfolds to more than".to_owned(), |length| format!("has {length} bytes, more than"));
    let most = show_size(bytes_max as u64);
    Failure::new(Kind::PayloadTooLarge, format!("The message {is} the {most} that are taken here."))
}

fn cut_short() -> Failure {
    Failure::new(Kind::BadRequest, "The body ends within a message.")
}
