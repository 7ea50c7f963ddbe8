//! What a call gave, as a response.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use wharf_call::{Body, Failure, Kind, Output, Refused, Reply, Type, ValueStream, problem};

use super::negotiate::EVENTS;
use crate::body::pay;
use crate::events::{self, Next};
use crate::json::encode;
use crate::served::{DoorConfig, Target};

/// The response to a call that went well. `media` is one that was chosen for the function.
///
/// # Errors
/// [`Kind::Overloaded`] when the host has no memory for it.
pub(super) fn reply(
    config: &DoorConfig,
    target: &Target,
    reply: Reply,
    media: &'static str,
    status: Option<StatusCode>,
    request_id: &str,
) -> Result<Response<Body>, Failure> {
    let (body, default) = match (&target.function().output, reply) {
        (Output::Nothing, _) | (_, Reply::Value(None)) => {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = status.unwrap_or(StatusCode::NO_CONTENT);
            return Ok(response);
        }
        (Output::Value(ty), Reply::Value(Some(value))) => {
            let mut json = Vec::with_capacity(256);
            encode(&target.plan, ty, &value, &mut json);
            (Body::Whole(pay(json, &config.memory)?), StatusCode::OK)
        }
        (Output::Stream(ty), Reply::Stream(values)) => {
            (streamed(config, target.clone(), ty.clone(), values, media, request_id), StatusCode::OK)
        }
        _ => {
            let failure = Failure::new(Kind::Internal, "The answer could not be written.");
            return Err(failure.with_private("the reply is not of the kind that the function has"));
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status.unwrap_or(default);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    if media == EVENTS {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// The response to a call that failed with the error that the contract declares, or with metadata beside it; of any other
/// failure the gateway tells.
pub(super) fn refuse(
    target: &Target,
    failure: Failure,
    has_metadata: bool,
    request_id: &str,
) -> Result<Response<Body>, Failure> {
    let error = target.declared(&failure);
    if error.is_none() && !has_metadata {
        return Err(failure);
    }
    let mut response = problem::response(&failure, request_id, error.as_deref());
    response.extensions_mut().insert(Refused(failure));
    Ok(response)
}

enum Rest {
    Values(ValueStream),
    /// The client has been told; the body ends as one that is incomplete.
    Cut(Failure),
    Over,
}

/// A line or an event for each value.
fn streamed(
    config: &DoorConfig,
    target: Target,
    ty: Type,
    values: ValueStream,
    media: &'static str,
    request_id: &str,
) -> Body {
    let memory = config.memory.clone();
    let request_id: Arc<str> = request_id.into();
    let frames = stream::unfold(Rest::Values(values), move |rest| {
        let (target, ty, request_id) = (target.clone(), ty.clone(), request_id.clone());
        let memory = memory.clone();
        async move {
            let mut values = match rest {
                Rest::Values(values) => values,
                Rest::Cut(failure) => return Some((Err(failure), Rest::Over)),
                Rest::Over => return None,
            };
            let is_event = media == EVENTS;
            let next = if is_event {
                events::next(&mut values).await
            } else {
                // Lines have no comments, and their readers no browser's habits.
                values.next().await.map_or(Next::End, Next::Item)
            };
            let mut out = Vec::with_capacity(256);
            let rest = match next {
                Next::Item(Ok(value)) => {
                    out.extend_from_slice(if is_event { b"data: " } else { b"" });
                    encode(&target.plan, &ty, &value, &mut out);
                    out.extend_from_slice(if is_event { b"\n\n" } else { b"\n" });
                    Rest::Values(values)
                }
                Next::Item(Err(failure)) => {
                    let error = target.declared(&failure);
                    let document = problem::document(&failure, &request_id, error.as_deref());
                    let (before, after): (&[u8], &[u8]) =
                        if is_event { (b"event: error\ndata: ", b"\n\n") } else { (b"{\"error\":", b"}\n") };
                    out.extend_from_slice(before);
                    out.extend_from_slice(&document);
                    out.extend_from_slice(after);
                    Rest::Cut(failure)
                }
                Next::Silent => {
                    out.extend_from_slice(events::COMMENT);
                    Rest::Values(values)
                }
                Next::End if is_event => {
                    out.extend_from_slice(events::COMPLETE);
                    Rest::Over
                }
                Next::End => return None,
            };
            Some((pay(out, &memory).map(Frame::data), rest))
        }
    });
    Body::stream(StreamBody::new(frames))
}
