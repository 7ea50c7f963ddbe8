//! A request's body for a door that needs all of it.

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
