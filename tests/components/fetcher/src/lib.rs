//! Calls other services through `wasi:http/client`, as the fields of the request ask for: see `outbound`.

use outbound::{Order, name};
use wasip3::http::types::{ErrorCode, Response as Received};
use wasip3::wit_bindgen::StreamResult;
use wasip3::{wit_future, wit_stream};
use wharf::{Body, Failure, IntoResponse, Request, Response, Result, StatusCode};

#[wharf::handler]
async fn fetch(request: Request) -> Result<Response> {
    let field = |name: &str| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let order = Order::read(field);
    match request.uri().path() {
        "/fetch" => answer(order.send(None).await),
        "/upload" => {
            let (mut writer, reader) = wit_stream::new();
            let mut body = request.into_body();
            // By the runtime whose task this is: that of `wasip3` would never run it.
            wharf::background(async move {
                while let Ok(Some(chunk)) = body.chunk().await {
                    if !writer.write_all(chunk.to_vec()).await.is_empty() {
                        break;
                    }
                }
            });
            answer(order.send(Some(reader)).await)
        }
        "/flood" => order.flood().await.into_response(),
        "/endless" => {
            order.endless().await;
            ().into_response()
        }
        "/events" => events(order),
        _ => Err(Failure::not_found("try /fetch, /upload, /flood, /endless or /events")),
    }
}

/// Hands the response on as it comes.
fn answer(response: Result<Received, ErrorCode>) -> Result<Response> {
    let response = match response {
        Ok(response) => response,
        Err(code) => return (StatusCode::BAD_GATEWAY, format!("{}\n", name(&code))).into_response(),
    };
    let mut head = Response::builder().status(response.get_status_code());
    for (name, value) in response.get_headers().copy_all() {
        head = head.header(name, value);
    }
    let (_received, outcome) = wit_future::new(|| Ok(()));
    let (mut body, trailers) = Received::consume_body(response, outcome);
    let body = Body::stream(move |mut writer| async move {
        let mut buffer = Vec::with_capacity(64 << 10);
        loop {
            let (status, chunk) = body.read(buffer).await;
            if !chunk.is_empty() {
                writer.write(&*chunk).await?;
            }
            if status == StreamResult::Dropped {
                break;
            }
            buffer = chunk;
            buffer.clear();
        }
        let cut = |code| Failure::new("upstream_cut", "the response was cut").with_details(name(&code));
        trailers.await.map_err(cut)?;
        Ok(())
    });
    Ok(head.body(body)?)
}

/// A stream of events, each a call that is made when the one before it has been sent: three of them.
fn events(order: Order) -> Result<Response> {
    let body = Body::stream(move |mut writer| async move {
        for _ in 0..3 {
            let outcome = match order.send(None).await {
                Ok(response) => response.get_status_code().to_string(),
                Err(code) => name(&code),
            };
            writer.write(format!("data: {outcome}\n\n")).await?;
        }
        Ok(())
    });
    Ok(Response::builder().header("content-type", "text/event-stream").body(body)?)
}
