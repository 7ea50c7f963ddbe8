//! Subscriptions as server-sent events: graphql-sse's mode of distinct connections.
//!
//! Each response is an event `next`, and the end is an event `complete`. Dropping the body abandons the call.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::timeout;
use wharf_call::{Body, Failure};

use crate::errors::Outcome;
use crate::negotiate::Media;

/// A comment goes out after this much silence, so that nobody on the way takes the connection for dead.
const SILENCE: Duration = Duration::from_secs(15);

/// A response that tells of `outcomes` as they come.
pub(crate) fn respond(outcomes: BoxStream<'static, Outcome>) -> Response<Body> {
    let frames = stream::unfold(Some(outcomes), |outcomes| async {
        let mut outcomes = outcomes?;
        let (text, outcomes) = match timeout(SILENCE, outcomes.next()).await {
            Ok(Some(outcome)) => (event(&outcome), Some(outcomes)),
            Ok(None) => (b"event: complete\ndata:\n\n".to_vec(), None),
            Err(_) => (b":\n\n".to_vec(), Some(outcomes)),
        };
        Some((Ok::<_, Failure>(Frame::data(Bytes::from(text))), outcomes))
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
