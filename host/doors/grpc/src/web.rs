//! gRPC-Web: the same messages for clients that see no trailers, such as browsers (gRPC, `doc/PROTOCOL-WEB.md`). The trailers
//! are the last frame of the body; in its text form all of the body is base64.

use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Frame;
use wharf_call::{Body, Failure, Kind};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, over any version.
    Web,
    /// gRPC-Web in base64.
    WebText,
}

impl Protocol {
    /// By the content type; nothing if it is none of them, or gRPC over a version that has no streams.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        const GRPC: &str = "application/grpc";
        let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        let media = value.split(';').next().unwrap_or_default().trim();
        let (prefix, rest) = media.split_at_checked(GRPC.len())?;
        let is = |names: &[&str]| names.iter().any(|name| rest.eq_ignore_ascii_case(name));
        if !prefix.eq_ignore_ascii_case(GRPC) {
            return None;
        }
        if is(&["", "+proto"]) {
            return (request.version() >= Version::HTTP_2).then_some(Protocol::Grpc);
        }
        if is(&["-web", "-web+proto"]) {
            return Some(Protocol::Web);
        }
        is(&["-web-text", "-web-text+proto"]).then_some(Protocol::WebText)
    }
}

/// The request as gRPC.
pub(crate) fn open(request: Request<Body>, protocol: Protocol) -> Request<Body> {
    if protocol != Protocol::WebText {
        return request;
    }
    request.map(|body| Body::stream(Decoded { body, rest: Vec::new() }))
}

/// A response of gRPC for the client. One that has nothing but trailers keeps them as its header fields.
pub(crate) fn close(response: Response<Body>, protocol: Protocol) -> Response<Body> {
    let content_type = match protocol {
        Protocol::Grpc => return response,
        Protocol::Web => HeaderValue::from_static("application/grpc-web+proto"),
        Protocol::WebText => HeaderValue::from_static("application/grpc-web-text+proto"),
    };
    let text = protocol == Protocol::WebText;
    let mut response = response
        .map(|body| if matches!(body, Body::Empty) { body } else { Body::stream(Framed { body, text }) });
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A body from base64. It comes in any chunks, and padding may stand wherever the client has flushed.
struct Decoded {
    body: Body,
    /// Up to three characters that are not yet four.
    rest: Vec<u8>,
}

impl http_body::Body for Decoded {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let data = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(Err(failure))),
                Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Poll::Ready(None) if self.rest.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => {
                    self.rest.clear();
                    return Poll::Ready(Some(Err(not_base64())));
                }
            };
            let mut text = std::mem::take(&mut self.rest);
            text.extend(data.iter().filter(|byte| !byte.is_ascii_whitespace()));
            self.rest = text.split_off(text.len() / 4 * 4);
            let decoded = decoded(&text)?;
            if !decoded.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(decoded.into()))));
            }
        }
    }
}

/// Whole groups of four characters, padded wherever it may be.
fn decoded(mut text: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    while !text.is_empty() {
        let end = text.iter().position(|byte| *byte == b'=').map_or(text.len(), |at| at / 4 * 4 + 4);
        let (part, after) = text.split_at_checked(end).ok_or_else(not_base64)?;
        STANDARD.decode_vec(part, &mut out).map_err(|_| not_base64())?;
        text = after;
    }
    Ok(out)
}

fn not_base64() -> Failure {
    Failure::new(Kind::BadRequest, "The body is not valid base64, which application/grpc-web-text is.")
}

/// A body with its trailers as a frame, all of it in base64 if that is wanted.
struct Framed {
    body: Body,
    text: bool,
}

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let text = self.text;
        Pin::new(&mut self.body).poll_frame(cx).map_ok(|frame| {
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    frame.into_trailers().map(|trailers| trailer_frame(&trailers)).unwrap_or_default()
                }
            };
            Frame::data(if text { STANDARD.encode(&data).into() } else { data })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

fn trailer_frame(trailers: &HeaderMap) -> Bytes {
    let mut lines = Vec::new();
    for (name, value) in trailers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    let mut frame = vec![0x80];
    frame.extend_from_slice(&u32::try_from(lines.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.append(&mut lines);
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_may_stand_between_parts() {
        let text = [STANDARD.encode("a"), STANDARD.encode("bcd"), STANDARD.encode("ef")].concat();
        assert_eq!(decoded(text.as_bytes()).expect("valid"), b"abcdef");
        assert!(decoded(b"=abc").is_err());
        assert!(decoded(b"ab=c").is_err());
    }
}
