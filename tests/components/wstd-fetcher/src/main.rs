//! Calls other services through `wasi:http/outgoing-handler` 0.2, as the fields of the request ask for: those of
//! `outbound`, but redirects. Nothing in it knows of Wharf.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use wstd::http::{Body, Client, Error, Request, Response, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let field = |name: &str| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
    let mut client = Client::new();
    if let Some(ms) = number("x-connect-ms") {
        client.set_connect_timeout(Duration::from_millis(ms));
    }
    if let Some(ms) = number("x-first-byte-ms") {
        client.set_first_byte_timeout(Duration::from_millis(ms));
    }
    if let Some(ms) = number("x-between-bytes-ms") {
        client.set_between_bytes_timeout(Duration::from_millis(ms));
    }
    let target = field("x-target").unwrap_or_default();
    let method = field("x-method").unwrap_or_else(|| "GET".into());
    let calls = number("x-calls").unwrap_or(1) as usize;
    let send = |body: Body| {
        let outgoing =
            Request::builder().method(&*method).uri(&*target).header("x-sent-by", "guest").body(body);
        let client = &client;
        async move { client.send(outgoing?).await }
    };
    match request.uri().path() {
        "/fetch" => answer(send(Body::empty()).await),
        "/upload" => {
            let target = target.clone();
            let outgoing = Request::builder().method("POST").uri(&*target).body(request.into_body())?;
            answer(client.send(outgoing).await)
        }
        "/flood" => Ok(Response::new(flood(&send, calls).await.into())),
        "/endless" => loop {
            flood(&send, calls).await;
        },
        _ => Ok(Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty())?),
    }
}

/// Hands the response on as it comes.
fn answer(response: Result<Response<Body>, Error>) -> Result<Response<Body>, Error> {
    match response {
        Ok(response) => Ok(response),
        Err(error) => Ok(Response::builder()
            .status(StatusCode::BAD_GATEWAY)
            .body(format!("{}\n", name(&error)).into())?),
    }
}

/// Sends all calls at once and reads no body before every call has a head or an error. A line for each
/// outcome: how often, and the status or the code.
async fn flood<F: Future<Output = Result<Response<Body>, Error>>>(
    send: &impl Fn(Body) -> F,
    calls: usize,
) -> String {
    let answers = join_all((0..calls).map(|_| send(Body::empty()))).await;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for answer in &answers {
        let outcome = match answer {
            Ok(response) => response.status().as_u16().to_string(),
            Err(error) => name(error),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}\n")).collect()
}

/// The name of the case: `HttpRequestDenied`.
fn name(error: &Error) -> String {
    let text = error.to_string();
    let text = text.split("ErrorCode::").nth(1).unwrap_or(&text);
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}
