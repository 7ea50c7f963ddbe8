//! The mixed load: good requests at fixed rates, big bodies, clients that go away, attacks, and swaps.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use wharf_harness::components::{VERSION_ONE, VERSION_TWO};
use wharf_harness::{Admin, Client, Host, Load, Protocol, body, empty, request};

use crate::Result;

/// Good requests per second, by path.
const STEADY: &[(&str, u32)] = &[("/hello", 400), ("/version", 100), ("/", 50), ("/traceparent", 50)];
/// Paths of the guest `rogue`.
pub(super) const ATTACKS: &[&str] = &[
    "/trap",
    "/panic",
    "/spin",
    "/alloc",
    "/never",
    "/deadlock",
    "/huge-headers",
    "/spin-in-stream",
    "/trap-in-stream",
    "/silent-stream",
];
/// Between two of the same kind.
const PAUSE: Duration = Duration::from_millis(50);
const SWAP: Duration = Duration::from_secs(1);

/// The load, until it is stopped or dropped.
pub(crate) struct Traffic {
    steady: Vec<(&'static str, Load)>,
    others: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    stop: AtomicBool,
    counts: [AtomicU64; KINDS.len()],
}

/// What is counted beside the steady load.
const KINDS: [(Kind, &str); 6] = [
    (Kind::Echo, "bodies echoed"),
    (Kind::EchoBroken, "bodies not echoed"),
    (Kind::Abandoned, "requests abandoned"),
    (Kind::Attack, "attacks refused or cut"),
    (Kind::AttackServed, "attacks that were served"),
    (Kind::Swap, "swaps"),
];

#[derive(Clone, Copy)]
enum Kind {
    Echo,
    EchoBroken,
    Abandoned,
    Attack,
    AttackServed,
    Swap,
}

/// What there was.
pub(crate) struct Seen {
    answered: u64,
    failed: BTreeMap<String, u64>,
    counts: [u64; KINDS.len()],
}

impl Traffic {
    pub(crate) fn start(host: &Host) -> Traffic {
        let addr = host.http();
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), counts: Default::default() });
        let mut others = JoinSet::new();
        others.spawn(echoes(addr, shared.clone()));
        others.spawn(abandoned(addr, shared.clone()));
        others.spawn(swaps(host.admin(), shared.clone()));
        for path in ATTACKS {
            others.spawn(attacks(path, addr, shared.clone()));
        }
        let steady = STEADY.iter().map(|(path, rate)| (*path, Load::start(addr, path, *rate, 16)));
        Traffic { steady: steady.collect(), others, shared }
    }

    /// Lets what is under way end.
    pub(crate) async fn stop(mut self) -> Result<Seen> {
        self.shared.stop.store(true, Relaxed);
        let (mut answered, mut failed) = (0, BTreeMap::new());
        for (path, load) in self.steady {
            let report = load.stop().await;
            for (reason, count) in report.failures {
                *failed.entry(format!("{path}: {reason}")).or_default() += count;
            }
            for ((status, ..), count) in report.answers {
                match status {
                    200 => answered += count,
                    _ => *failed.entry(format!("{path}: {status}")).or_default() += count,
                }
            }
        }
        while let Some(ended) = self.others.join_next().await {
            ended?;
        }
        let counts = self.shared.counts.each_ref().map(|count| count.load(Relaxed));
        Ok(Seen { answered, failed, counts })
    }
}

impl Seen {
    /// What must not have been: a good request that failed, an attack that succeeded, or nothing at all.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> =
            self.failed.iter().map(|(what, count)| format!("{count} x {what}")).collect();
        for (kind, what) in KINDS {
            let count = self.counts[kind as usize];
            let must_not_be = matches!(kind, Kind::EchoBroken | Kind::AttackServed);
            if must_not_be != (count == 0) {
                wrong.push(format!("{count} {what}"));
            }
        }
        wrong
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests answered", self.answered)?;
        KINDS.iter().try_for_each(|(kind, what)| write!(f, ", {} {what}", self.counts[*kind as usize]))
    }
}

impl Shared {
    fn count(&self, kind: Kind) {
        self.counts[kind as usize].fetch_add(1, Relaxed);
    }

    /// Waits between two requests; false when it is time to end.
    async fn again(&self, pause: Duration) -> bool {
        tokio::time::sleep(pause).await;
        !self.stop.load(Relaxed)
    }
}

async fn connect(addr: SocketAddr) -> std::result::Result<Client, String> {
    Client::try_connect(addr, Protocol::Http1).await
}

/// Bodies of every size up to 1 MiB, whole and in streams.
async fn echoes(addr: SocketAddr, shared: Arc<Shared>) {
    let mut length = 1;
    while shared.again(PAUSE).await {
        length = if length > 1 << 20 { 1 } else { length * 3 };
        let sent = vec![b'x'; length];
        let echoed = async {
            let path = if length % 2 == 0 { "/echo?copy" } else { "/echo" };
            let request = request("POST", path, body(sent.clone()));
            connect(addr).await.ok()?.try_answer(request).await.ok()
        };
        let whole = echoed.await.is_some_and(|answer| answer.status == 200 && answer.body == sent);
        shared.count(if whole { Kind::Echo } else { Kind::EchoBroken });
    }
}

/// Clients that go away: before there is an answer, and in the middle of one.
async fn abandoned(addr: SocketAddr, shared: Arc<Shared>) {
    let get = |path| request("GET", path, empty());
    while shared.again(PAUSE).await {
        if let Ok(mut client) = connect(addr).await {
            let _ = tokio::time::timeout(PAUSE, client.try_answer(get("/wait?ms=2000"))).await;
            shared.count(Kind::Abandoned);
        }
        if let Ok(mut client) = connect(addr).await {
            // The head has come, the stream goes on.
            let _ = client.send(get("/sse?forever")).await;
            shared.count(Kind::Abandoned);
        }
    }
}

async fn attacks(path: &'static str, addr: SocketAddr, shared: Arc<Shared>) {
    while shared.again(PAUSE).await {
        let Ok(mut client) = connect(addr).await else { continue };
        let served = client.try_answer(request("GET", path, empty())).await;
        let served = served.is_ok_and(|answer| answer.status < 500 && answer.cut.is_none());
        shared.count(if served { Kind::AttackServed } else { Kind::Attack });
    }
}

/// A component that is replaced, and sometimes brought back, while it serves.
async fn swaps(admin: Admin, shared: Arc<Shared>) {
    let mut turn = 0_u32;
    while shared.again(SWAP).await {
        turn += 1;
        let answer = match turn % 3 {
            0 => admin.rollback("version").await,
            1 => admin.put_file("version", VERSION_TWO).await,
            _ => admin.put_file("version", VERSION_ONE).await,
        };
        // A new manifest may have come first: then there is nothing to go back to.
        if answer.status == 200 {
            shared.count(Kind::Swap);
        }
    }
}
