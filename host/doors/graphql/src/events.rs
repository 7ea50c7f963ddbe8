//! Subscriptions as server-sent events: graphql-sse's mode of distinct connections.
//!
//! Each response is an event `next`, and the end is an event `complete`. Dropping the body abandons the call.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use wharf_call::{Body, Memory};
use wharf_doors::body::pay;
use wharf_doors::events::{COMMENT, COMPLETE, Next, next};

use crate::errors::Outcome;
use crate::negotiate::Media;

/// A response that tells of `outcomes` as they come. It is cut where there is no memory for one.
pub(crate) fn respond(outcomes: BoxStream<'static, Outcome>, memory: &Arc<dyn Memory>) -> Response<Body> {
    let memory = memory.clone();
    let frames = stream::unfold(Some(outcomes), move |outcomes| {
        let memory = memory.clone();
        async move {
            let mut outcomes = outcomes?;
            let (text, outcomes) = match next(&mut outcomes).await {
                Next::Item(outcome) => (pay(event(&outcome), &memory), Some(outcomes)),
                Next::Silent => (Ok(Bytes::from_static(COMMENT)), Some(outcomes)),
                Next::End => (Ok(Bytes::from_static(COMPLETE)), None),
            };
            Some((text.map(Frame::data), outcomes))
        }
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
