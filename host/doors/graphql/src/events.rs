//! Subscriptions as server-sent events: graphql-sse's mode of distinct connections.
//!
//! Each response is an event `next`, and the end is an event `complete`. Dropping the body abandons the call.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use wharf_call::{Body, Failure};
use wharf_doors::events::{COMMENT, COMPLETE, Next, next};

use crate::errors::Outcome;
use crate::negotiate::Media;

/// A response that tells of `outcomes` as they come.
pub(crate) fn respond(outcomes: BoxStream<'static, Outcome>) -> Response<Body> {
    let frames = stream::unfold(Some(outcomes), |outcomes| async {
        let mut outcomes = outcomes?;
        let (text, outcomes) = match next(&mut outcomes).await {
            Next::Item(outcome) => (event(&outcome).into(), Some(outcomes)),
            Next::Silent => (Bytes::from_static(COMMENT), Some(outcomes)),
            Next::End => (Bytes::from_static(COMPLETE), None),
        };
        Some((Ok::<_, Failure>(Frame::data(text)), outcomes))
    });
    let mut response = Response::new(Body::stream(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Media::Events.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// JSON has no line breaks of its own: one line of data is enough.
fn event(outcome: &Outcome) -> Vec<u8> {
    let mut text = b"event: next\ndata: ".to_vec();
    outcome.write(&mut text);
    text.extend_from_slice(b"\n\n");
    text
}
