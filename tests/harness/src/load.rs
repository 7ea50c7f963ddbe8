use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{self, Answer, Client, Protocol};

/// Requests at a constant rate, whatever the host does: an open loop.
///
/// Request number `n` is due `n / rate` after the start. It is sent by the next connection that is free;
/// when all are busy it is late, and it is still sent. It stops on drop.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

/// One kind of answer: status, `x-version` and body.
pub type Seen = (u16, Option<String>, String);

/// What a load has seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that got no complete answer, by the reason.
    pub failures: BTreeMap<String, u64>,
    /// How often each answer came.
    pub answers: BTreeMap<Seen, u64>,
    /// The longest time from the moment that a request was due to the end of its answer.
    pub latency_max: Duration,
    /// These times, of all requests that got a complete answer.
    latencies: Vec<Duration>,
}

#[derive(Debug)]
struct Shared {
    addr: SocketAddr,
    path: String,
    start: Instant,
    interval: Duration,
    next: AtomicU64,
    stop: AtomicBool,
    report: Mutex<Report>,
    /// Requests that have ended, well or not.
    ended: watch::Sender<u64>,
}

impl Load {
    /// Starts to send `rate` GET requests per second over `connections` HTTP/1.1 connections.
    pub fn start(addr: SocketAddr, path: &str, rate: u32, connections: usize) -> Load {
        let shared = Arc::new(Shared {
            addr,
            path: path.to_owned(),
            start: Instant::now(),
            interval: Duration::from_secs(1) / rate,
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            report: Mutex::default(),
            ended: watch::Sender::new(0),
        });
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            workers.spawn(work(shared.clone()));
        }
        Load { shared, workers }
    }

    /// What has been seen so far.
    pub fn report(&self) -> Report {
        self.shared.report().clone()
    }

    /// Resolves when `count` more requests than now have ended, well or not.
    pub async fn more(&self, count: u64) {
        let mut ended = self.shared.ended.subscribe();
        let enough = *ended.borrow() + count;
        let _ = ended.wait_for(|ended| *ended >= enough).await;
    }

    /// Lets the requests under way finish and returns what was seen.
    pub async fn stop(mut self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
        self.report()
    }
}

impl Report {
    /// The report, which must be one without failures.
    #[track_caller]
    pub fn expect_no_failures(self) -> Report {
        assert!(
            self.failures.is_empty(),
            "{} of {} failed: {:#?}",
            self.failures.values().sum::<u64>(),
            self.sent,
            self.failures
        );
        self
    }

    /// Within which time this share of the answers was complete, in percent, counted as in
    /// [`Report::latency_max`]; zero when there was none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let rank = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
        latencies.get(rank).copied().unwrap_or_default()
    }
}

impl Shared {
    fn due(&self, number: u64) -> Instant {
        self.start + self.interval * u32::try_from(number).expect("a test sends fewer requests")
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(shared: Arc<Shared>) {
    let mut client = None;
    loop {
        let due = shared.due(shared.next.fetch_add(1, Ordering::Relaxed));
        tokio::time::sleep_until(due).await;
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let outcome = exchange(&shared, &mut client).await;
        let mut report = shared.report();
        report.sent += 1;
        report.latency_max = report.latency_max.max(due.elapsed());
        match outcome {
            Ok(seen) => {
                report.latencies.push(due.elapsed());
                *report.answers.entry(seen).or_default() += 1;
            }
            Err(reason) => {
                client = None;
                *report.failures.entry(reason).or_default() += 1;
            }
        }
        drop(report);
        shared.ended.send_modify(|ended| *ended += 1);
    }
}

async fn exchange(shared: &Shared, client: &mut Option<Client>) -> Result<Seen, String> {
    // A connection that the host has announced to close is not an error; one that breaks under a request is.
    if client.as_ref().is_none_or(Client::is_closed) {
        *client = Some(Client::try_connect(shared.addr, Protocol::Http1).await?);
    }
    let client = client.as_mut().ok_or("no connection")?;
    let exchange = async {
        let response = client.send(client::request("GET", &shared.path, client::empty())).await;
        Ok::<_, String>(Answer::read(response.map_err(|error| format!("{error:?}"))?).await)
    };
    let answer = match tokio::time::timeout(Duration::from_secs(10), exchange).await {
        Ok(answer) => answer?,
        Err(_) => return Err("no answer within 10 s".to_owned()),
    };
    if let Some(cut) = answer.cut {
        return Err(format!("the body was cut: {cut}"));
    }
    let version =
        answer.headers.get("x-version").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok((answer.status, version, String::from_utf8_lossy(&answer.body).into_owned()))
}
