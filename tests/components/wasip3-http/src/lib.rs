//! A `wasi:http` 0.3 service as the `wasip3` crate makes them: nothing in it knows of Wharf.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn};
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/" => Ok(text("hello from wasip3\n".into())),
            "/traceparent" => {
                let values = request.get_headers().get("traceparent");
                Ok(text(String::from_utf8_lossy(&values.concat()).into_owned()))
            }
            "/echo" => Ok(echo(request)),
            "/upload" => upload(request).await,
            "/download" => Ok(download(query)),
            "/cut" => Ok(streamed(cut)),
            "/trap" => panic!("the wasip3 guest panics"),
            _ => {
                let response = text(String::new());
                response.set_status_code(404).map_err(|()| ErrorCode::InternalError(None))?;
                Ok(response)
            }
        }
    }
}

fn echo(request: Request) -> Response {
    let (_received, outcome) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, outcome);
    Response::new(Fields::new(), Some(body), trailers).0
}

async fn upload(request: Request) -> Result<Response, ErrorCode> {
    let (_received, outcome) = wit_future::new(|| Ok(()));
    let (mut body, trailers) = Request::consume_body(request, outcome);
    let bytes = count(&mut body).await;
    trailers.await?;
    Ok(text(format!("{bytes} bytes\n")))
}

async fn count(body: &mut StreamReader<u8>) -> usize {
    let mut bytes = 0;
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let (status, chunk) = body.read(buffer).await;
        bytes += chunk.len();
        if status == StreamResult::Dropped {
            return bytes;
        }
        buffer = chunk;
        buffer.clear();
    }
}

/// `?bytes=N`, 1 MiB without; byte number `n` is `n % 251`.
fn download(query: &str) -> Response {
    const PERIOD: usize = 251;
    const CHUNK: usize = PERIOD * 256;
    let mut left = query.strip_prefix("bytes=").and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
    streamed(async move |mut body| {
        while left > 0 {
            // A chunk is a whole number of periods, so every one of them starts the same.
            let chunk: Vec<u8> = (0..CHUNK.min(left)).map(|n| (n % PERIOD) as u8).collect();
            left -= chunk.len();
            if !body.write_all(chunk).await.is_empty() {
                break;
            }
        }
        Ok(())
    })
}

async fn cut(mut body: StreamWriter<u8>) -> Result<(), ErrorCode> {
    for n in 0..3 {
        body.write_all(format!("chunk {n}\n").into()).await;
    }
    Err(ErrorCode::InternalError(Some("the source ran dry".into())))
}

fn text(text: String) -> Response {
    streamed(async move |mut body| {
        body.write_all(text.into()).await;
        Ok(())
    })
}

/// A response whose body is written after it was returned, and which ends as `write` says.
fn streamed(write: impl AsyncFnOnce(StreamWriter<u8>) -> Result<(), ErrorCode> + 'static) -> Response {
    let (writer, body) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    spawn(async move {
        let outcome = write(writer).await;
        let _ = end.write(outcome.map(|()| None)).await;
    });
    Response::new(Fields::new(), Some(body), trailers).0
}
