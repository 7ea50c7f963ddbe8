//! Answers with what it was asked: a request without a body as text, a body as it came.

use std::fmt::Write;

use wharf::{Body, Context, IntoResponse, Request, Response, Result};

#[wharf::handler]
async fn echo(request: Request, context: Context) -> Result<Response> {
    if request.body().is_empty() { describe(&request, &context)?.into_response() } else { send_back(request) }
}

fn describe(request: &Request, context: &Context) -> Result<String> {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    writeln!(text, "\nrequest-id: {}", context.request_id())?;
    writeln!(text, "traceparent: {}", context.traceparent())?;
    writeln!(text, "route: {}", context.route())?;
    for (name, value) in context.params() {
        writeln!(text, "param {name}: {value}")?;
    }
    if let Some(caller) = context.caller() {
        writeln!(text, "caller: {} by {}", caller.subject(), caller.issuer())?;
    }
    writeln!(text, "deadline: {} ms", context.deadline().as_millis())?;
    Ok(text)
}

/// A streamed body is handed on as it is: the host moves its bytes, not the plugin.
fn send_back(request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get("content-type").cloned();
    let mut response = Response::<Body>::new(body);
    if let Some(content_type) = content_type {
        response.headers_mut().insert("content-type", content_type);
    }
    Ok(response)
}
