//! A `wasi:http` 0.2 component as the `wstd` crate makes them: nothing in it knows of Wharf.

use futures_lite::stream::{self, StreamExt};
use wstd::http::body::{Body, Bytes, util::BodyExt};
use wstd::http::{Error, Request, Response, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    match request.uri().path() {
        "/" => Ok(Response::new("hello from wstd\n".into())),
        "/traceparent" => {
            let value = request.headers().get("traceparent").map(|value| value.as_bytes().to_vec());
            Ok(Response::new(value.unwrap_or_default().into()))
        }
        "/echo" => Ok(Response::new(request.into_body())),
        "/upload" => upload(request).await,
        "/download" => Ok(Response::new(download(request.uri().query()))),
        "/cut" => Ok(Response::new(cut())),
        "/trap" => panic!("the wstd guest panics"),
        _ => Ok(Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty())?),
    }
}

async fn upload(request: Request<Body>) -> Result<Response<Body>, Error> {
    let mut body = request.into_body().into_boxed_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(Response::new(format!("{bytes} bytes\n").into()))
}

/// `?bytes=N`, 1 MiB without; byte number `n` is `n % 251`.
fn download(query: Option<&str>) -> Body {
    const PERIOD: usize = 251;
    const CHUNK: usize = PERIOD * 256;
    let bytes: usize = query
        .and_then(|query| query.strip_prefix("bytes="))
        .and_then(|text| text.parse().ok())
        .unwrap_or(1 << 20);
    // A chunk is a whole number of periods, so every one of them starts the same.
    let chunk = Bytes::from_iter((0..CHUNK).map(|n| (n % PERIOD) as u8));
    Body::from_stream(stream::unfold(bytes, move |left| {
        let chunk = chunk.slice(..left.min(CHUNK));
        async move { (left > 0).then(|| (chunk.clone(), left - chunk.len())) }
    }))
}

/// Three chunks and then an error, which `wstd` turns into a trap after the head was sent.
fn cut() -> Body {
    let chunks = stream::iter((0..3).map(|n| Ok(Bytes::from(format!("chunk {n}\n")))));
    Body::from_try_stream(chunks.chain(stream::once(Err(std::io::Error::other("the source ran dry")))))
}
