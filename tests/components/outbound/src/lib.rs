//! Requests through `wasi:http/client` 0.3, as the header fields of a guest's own request ask for. Not a guest
//! itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use futures_util::future::join_all;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::StreamReader;
use wasip3::wit_future;

/// What the request of a test asks a guest to send.
#[derive(Clone, Debug)]
pub struct Order {
    /// `x-target`: the URL, sent as it stands.
    target: String,
    /// `x-method`: GET without it.
    method: String,
    /// `x-connect-ms`, `x-first-byte-ms`, `x-between-bytes-ms`: timeouts.
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    between_bytes: Option<Duration>,
    /// `x-follow`: how many redirects the guest itself follows.
    follow: u32,
    /// `x-calls`: how many calls at once.
    calls: usize,
}

impl Order {
    /// Reads what `field` finds by name.
    pub fn read(field: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| field(name).and_then(|text| text.parse::<u64>().ok());
        let time = |name| number(name).map(Duration::from_millis);
        Order {
            target: field("x-target").unwrap_or_default(),
            method: field("x-method").unwrap_or_else(|| "GET".into()),
            connect: time("x-connect-ms"),
            first_byte: time("x-first-byte-ms"),
            between_bytes: time("x-between-bytes-ms"),
            follow: number("x-follow").unwrap_or(0) as u32,
            calls: number("x-calls").unwrap_or(1) as usize,
        }
    }

    /// Sends it; redirects only without a body.
    pub async fn send(&self, body: Option<StreamReader<u8>>) -> Result<Response, ErrorCode> {
        let mut response = self.send_once(&self.target, body).await?;
        let mut target = self.target.clone();
        for _ in 0..self.follow {
            let locations = response.get_headers().get("location");
            let Some(location) = locations.into_iter().next() else { break };
            let location = String::from_utf8_lossy(&location).into_owned();
            target =
                if location.starts_with('/') { origin(&target).to_owned() + &location } else { location };
            response = self.send_once(&target, None).await?;
        }
        Ok(response)
    }

    async fn send_once(&self, target: &str, body: Option<StreamReader<u8>>) -> Result<Response, ErrorCode> {
        let invalid = |()| ErrorCode::HttpRequestUriInvalid;
        let (scheme, rest) = target.split_once("://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        };
        let method = match &*self.method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            other => Method::Other(other.to_owned()),
        };
        let headers = Fields::new();
        let _ = headers.append("x-sent-by", b"guest");
        let (end, trailers) = wit_future::new(|| Ok(None));
        drop(end);
        let (request, _sent) = Request::new(headers, body, trailers, Some(self.options()));
        request.set_method(&method).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
        request.set_scheme(Some(&scheme)).map_err(invalid)?;
        request.set_authority(Some(authority)).map_err(invalid)?;
        let path = if path.is_empty() { "/" } else { path };
        request.set_path_with_query(Some(path)).map_err(invalid)?;
        client::send(request).await
    }

    fn options(&self) -> RequestOptions {
        let nanoseconds = |time: Option<Duration>| time.map(|time| time.as_nanos() as u64);
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(nanoseconds(self.connect));
        let _ = options.set_first_byte_timeout(nanoseconds(self.first_byte));
        let _ = options.set_between_bytes_timeout(nanoseconds(self.between_bytes));
        options
    }

    /// Sends all calls at once and reads no body before every call has a head or an error. A line for each
    /// outcome: how often, and the status or the code.
    pub async fn flood(&self) -> String {
        let answers = join_all((0..self.calls).map(|_| self.send(None))).await;
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for answer in &answers {
            let outcome = match answer {
                Ok(response) => response.get_status_code().to_string(),
                Err(code) => name(code),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes.iter().fold(String::new(), |mut lines, (outcome, count)| {
            let _ = writeln!(lines, "{count} {outcome}");
            lines
        })
    }

    /// Sends without end, as many calls at once as it was told.
    pub async fn endless(&self) {
        loop {
            self.flood().await;
        }
    }
}

/// The name of the case: `HttpRequestDenied`.
pub fn name(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    let name = text.strip_prefix("ErrorCode::").unwrap_or(&text);
    name.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

fn origin(target: &str) -> &str {
    let host = target.find("://").map_or(0, |at| at + 3);
    let end = target[host..].find('/').map_or(target.len(), |at| host + at);
    &target[..end]
}
