//! A client that costs little beside the server: raw requests on kept-alive connections.

pub(crate) mod answer;
pub(crate) mod closed;
pub(crate) mod grpc;
pub(crate) mod idle;
pub(crate) mod open;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// The request that a contender is sent again and again.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) path: &'static str,
    /// How many bytes a POST sends, to get as many back; without, it is a GET.
    pub(crate) echo: Option<usize>,
    /// What a POST sends as JSON instead.
    pub(crate) json: Option<&'static str>,
}

impl Request {
    pub(crate) const fn get(path: &'static str) -> Self {
        Request { path, echo: None, json: None }
    }

    pub(crate) const fn json(path: &'static str, json: &'static str) -> Self {
        Request { path, echo: None, json: Some(json) }
    }

    /// The whole request, and how many bytes the body of its answer must have, where that is known.
    pub(crate) fn message(self, addr: SocketAddr) -> Message {
        let Request { path, echo, json } = self;
        if let Some(json) = json {
            let length = json.len();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            return Message { bytes: (head + json).into_bytes(), answer_bytes: None };
        }
        match echo {
            None => {
                let bytes = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n").into_bytes();
                Message { bytes, answer_bytes: None }
            }
            Some(length) => {
                let head =
                    format!("POST {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {length}\r\n\r\n");
                let mut bytes = head.into_bytes();
                bytes.extend((0..length).map(|n| (n % 251) as u8));
                Message { bytes, answer_bytes: Some(length as u64) }
            }
        }
    }
}

/// `hello` of `greeter-service` through the doors. They all answer with the same text.
pub(crate) const JSON_RPC_HELLO: Request =
    Request::json("/jsonrpc", r#"{"jsonrpc":"2.0","id":1,"method":"greetings.hello","params":{}}"#);
pub(crate) const GRAPHQL_HELLO: Request = Request::json("/graphql", r#"{"query":"{ hello }"}"#);
/// The path is all of it.
pub(crate) const GRPC_HELLO: Request = Request::get("/test.greeter.v1.Greetings/Hello");

/// A request as it is sent.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) answer_bytes: Option<u64>,
}

impl Message {
    /// Whether an answer with so many bytes of body is the right one.
    fn check(&self, answered: u64) -> io::Result<()> {
        match self.answer_bytes {
            Some(expected) if expected != answered => {
                Err(io::Error::other(format!("an answer has {answered} bytes of body, not {expected}")))
            }
            _ => Ok(()),
        }
    }
}

/// What one measurement has seen.
pub(crate) struct Driven {
    /// The time of every request, in nanoseconds, sorted.
    latencies_ns: Vec<u64>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Requests that got no answer, or another one than a complete 200.
    pub(crate) errors: usize,
}

impl Driven {
    fn new(mut latencies_ns: Vec<u64>, took: Duration, errors: usize) -> crate::Result<Self> {
        if latencies_ns.is_empty() {
            return Err("no request was answered".into());
        }
        latencies_ns.sort_unstable();
        Ok(Driven { latencies_ns, took, errors })
    }

    pub(crate) fn requests(&self) -> usize {
        self.latencies_ns.len()
    }

    /// The latency that `percent` of the requests did not exceed, in microseconds.
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.latencies_ns.len() as f64).ceil() as usize;
        let ns = self.latencies_ns.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        ns as f64 / 1e3
    }
}

/// What the client of a closed loop does while every connection waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It leaves its core to the server, as load generators do: for requests per second and latencies.
    Asleep,
    /// It polls: for the server's CPU time. The kernel bills waking a client to the server, and the more the slower
    /// the server is, but a client that polls also takes a core that the server could use.
    Awake,
}

/// Waits for the callers of a closed loop that began then, each of which gives the latencies of its requests.
async fn all(
    begun: Instant,
    waiting: Waiting,
    mut callers: JoinSet<io::Result<Vec<u64>>>,
) -> crate::Result<Driven> {
    let awake = (waiting == Waiting::Awake).then(|| {
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        })
    });
    let mut latencies_ns = Vec::new();
    while let Some(ended) = callers.join_next().await {
        latencies_ns.extend(ended??);
    }
    let took = begun.elapsed();
    if let Some(awake) = awake {
        awake.abort();
    }
    Driven::new(latencies_ns, took, 0)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
