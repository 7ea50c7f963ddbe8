//! A request's body for a door that needs all of it, and an answer's.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use wharf_call::units::show_size;
use wharf_call::{Body, Failure, Kind, Memory, MemoryUse, Reservation};

/// All of `body`, and the memory it is paid with. A body that the gateway holds whole is paid for already.
///
/// # Errors
/// [`Kind::PayloadTooLarge`] beyond `bytes_max`, at once where the length is known; [`Kind::Overloaded`] when the host has no
/// memory for it; what cut the body short.
pub async fn collect(
    body: Body,
    bytes_max: u64,
    memory: &Arc<dyn Memory>,
) -> Result<(Bytes, Option<Reservation>), Failure> {
    let stream = match body {
        Body::Empty => return Ok((Bytes::new(), None)),
        Body::Whole(bytes) | Body::Trailed(bytes, _) => {
            let fits = bytes.len() as u64 <= bytes_max;
            return if fits { Ok((bytes, None)) } else { Err(too_large(bytes_max)) };
        }
        Body::Stream(stream) => stream,
    };
    let says = http_body::Body::size_hint(&stream).lower();
    if says > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut stream = stream;
    let mut reservation = memory.reserve(MemoryUse::Bodies, says).ok_or_else(overloaded)?;
    let mut collected = BytesMut::new();
    while let Some(frame) = stream.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let length = (collected.len() + data.len()) as u64;
        if length > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Twice the length: a buffer that grows has room for as much again.
        let needed = 2 * length;
        if needed > reservation.bytes() && !reservation.grow(needed - reservation.bytes()) {
            return Err(overloaded());
        }
        collected.extend_from_slice(&data);
    }
    Ok((collected.freeze(), Some(reservation)))
}

/// The most bytes of an answer that is not paid for.
pub(crate) const FREE: usize = 16 << 10;

/// `bytes` as an answer's body, or a part of one, that the host has memory for until it is sent. Small ones are not counted:
/// what they are made of is.
///
/// # Errors
/// [`Kind::Overloaded`] when there is no memory.
pub fn pay(bytes: Vec<u8>, memory: &Arc<dyn Memory>) -> Result<Bytes, Failure> {
    if bytes.len() <= FREE {
        return Ok(bytes.into());
    }
    let paid = memory.reserve(MemoryUse::Bodies, bytes.capacity() as u64).ok_or_else(|| {
        Failure::new(Kind::Overloaded, "The host has no memory for this answer now.").with_retry_after_s(1)
    })?;
    Ok(Bytes::from_owner(Paid(bytes, paid)))
}

/// Bytes with the memory that they are paid with.
struct Paid(Vec<u8>, #[expect(dead_code, reason = "given back with the bytes")] Reservation);

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Refuses a body with a content coding: its length would say nothing about what it unfolds to.
///
/// # Errors
/// [`Kind::UnsupportedMediaType`] for anything but `identity` (RFC 9110, section 15.5.16).
pub fn check_coding(headers: &HeaderMap) -> Result<(), Failure> {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let coded = codings.map(HeaderValue::as_bytes).find(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let Some(coding) = coded else { return Ok(()) };
    let shown: String = String::from_utf8_lossy(coding).chars().take(40).collect();
    let text = format!(
        "No body with the content coding {shown:?} is taken here: send it without `content-encoding`."
    );
    Err(Failure::new(Kind::UnsupportedMediaType, text).with_accept_encoding("identity"))
}

fn too_large(bytes_max: u64) -> Failure {
    Failure::new(
        Kind::PayloadTooLarge,
        format!("The body is larger than {}, which is the most that is taken here.", show_size(bytes_max)),
    )
}

fn overloaded() -> Failure {
    Failure::new(Kind::Overloaded, "The host has no memory for this body now.").with_retry_after_s(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::testing::Room;

    #[test]
    fn an_answer_is_paid_for_until_it_is_sent() {
        let room = Room::of(100_000);
        let memory: Arc<dyn Memory> = room.clone();
        let free = pay(vec![0; FREE], &memory).unwrap();
        assert_eq!((free.len(), room.left()), (FREE, 100_000));
        let paid = pay(vec![0; 60_000], &memory).unwrap();
        assert_eq!((paid.len(), room.left()), (60_000, 40_000));
        assert_eq!(pay(vec![0; 60_000], &memory).unwrap_err().kind(), Kind::Overloaded);
        let part = paid.slice(10..20);
        drop(paid);
        assert_eq!(room.left(), 40_000, "a part of it is still to be sent");
        drop(part);
        assert_eq!(room.left(), 100_000);
    }
}
