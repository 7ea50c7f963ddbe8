use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use crate::client::{self, Answer, Client, Protocol, RequestBody};
use crate::eventually;

/// The admin API of a running host.
#[derive(Clone, Debug)]
pub struct Admin {
    addr: SocketAddr,
    token: String,
}

impl Admin {
    pub(crate) fn new(addr: SocketAddr, token: String) -> Self {
        Admin { addr, token }
    }

    /// Answers any request, with nothing added to it.
    pub async fn send(&self, request: Request<RequestBody>) -> Answer {
        Client::connect(self.addr, Protocol::Http1).await.answer(request).await
    }

    /// Answers a GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(client::request("GET", path, client::empty())).await
    }

    /// `GET /plugins`: every plugin.
    pub async fn plugins(&self) -> Vec<Value> {
        let answer = self.get("/plugins").await.expect(200).json();
        answer["plugins"].as_array().cloned().unwrap_or_else(|| panic!("no list of plugins: {answer}"))
    }

    /// The status of one plugin.
    pub async fn plugin(&self, name: &str) -> Value {
        self.find(name).await.unwrap_or_else(|| panic!("there is no plugin {name:?}"))
    }

    async fn find(&self, name: &str) -> Option<Value> {
        self.plugins().await.into_iter().find(|plugin| plugin["name"] == name)
    }

    /// Waits until the status of `name` (null where there is no such plugin) is as `expected`.
    pub async fn wait(&self, name: &str, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("plugin {name}: {what}"), async || {
            Some(self.find(name).await.unwrap_or_default()).filter(&expected)
        })
        .await
    }

    /// `PUT /plugins/{name}` with the bytes of a component.
    pub async fn put(&self, name: &str, component: impl Into<Bytes>) -> Answer {
        self.write("PUT", &format!("/plugins/{name}"), client::body(component)).await
    }

    /// `PUT /plugins/{name}` with the component in a file.
    pub async fn put_file(&self, name: &str, path: &str) -> Answer {
        self.put(name, std::fs::read(path).unwrap()).await
    }

    /// `POST /plugins/{name}/rollback`.
    pub async fn rollback(&self, name: &str) -> Answer {
        self.write("POST", &format!("/plugins/{name}/rollback"), client::empty()).await
    }

    /// `POST /plugins/{name}/profile?seconds=N`.
    pub async fn profile(&self, name: &str, seconds: u32) -> Answer {
        self.write("POST", &format!("/plugins/{name}/profile?seconds={seconds}"), client::empty()).await
    }

    /// `GET /metrics`.
    pub async fn metrics(&self) -> Metrics {
        Metrics(self.get("/metrics").await.expect(200).text().to_owned())
    }

    async fn write(&self, method: &str, path: &str, body: RequestBody) -> Answer {
        let mut request = client::request(method, path, body);
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        self.send(request).await
    }
}

/// The metrics of a host at one moment, in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of all series of `name` whose labels hold every `label="value"` of `labels`; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name)
            .filter(|(found, _)| labels.iter().all(|label| found.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// The labels (as written, without braces) and values of all series of `name`.
    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.trim().parse().ok()?))
        })
    }
}
