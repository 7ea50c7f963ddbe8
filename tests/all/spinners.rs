//! Guests that never return: the neighbours hardly notice, and each is ended when its time is up.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wharf_harness::{Client, Load, Protocol, empty, process, request, run_alone};

use crate::host;

/// How many spin at once, each of them for as long as it may.
const SPINNERS: usize = 8;

/// How long that is. Their CPU budget is far from it: only the wall ends them.
const WALL: Duration = Duration::from_secs(2);

/// What is promised for a release build; a debug build of the host, on a machine that builds something else, is
/// slower by an order of magnitude.
const NEIGHBOUR_P99: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });
const LATE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 100 });

#[test]
fn neighbours_are_served_while_eight_guests_spin() {
    run_alone(Duration::from_secs(150), eight_guests_spin(false));
}

#[test]
fn neighbours_are_served_while_eight_guests_spin_on_one_core() {
    run_alone(Duration::from_secs(150), eight_guests_spin(true));
}

async fn eight_guests_spin(one_core: bool) {
    let builder = host(&format!(
        r#"
        [plugin.rogue]
        component = "{{{{rogue}}}}"
        [plugin.rogue.limits]
        cpu = "10m"
        wall = "{}ms"

        [plugin.neighbour]
        component = "{{{{version-one}}}}"

        [[route]]
        path = "/{{*rest}}"
        plugin = "rogue"

        [[route]]
        path = "/neighbour"
        plugin = "neighbour"
        "#,
        WALL.as_millis()
    ));
    let host = if one_core { builder.one_core() } else { builder }.start().await;
    assert!(!one_core || process::cores(host.pid()) == 1);
    host.get("/neighbour").await.expect(200);

    let mut spinning = JoinSet::new();
    for _ in 0..SPINNERS {
        let mut client = host.connect(Protocol::Http1).await;
        spinning.spawn(async move {
            let asked = Instant::now();
            client.answer(request("GET", "/spin", empty())).await.expect_problem(504, "timeout");
            asked.elapsed()
        });
    }
    host.admin().wait("rogue", "all spin", |status| status["serving"]["in_flight"] == SPINNERS).await;
    let neighbour = Load::start(host.http(), "/neighbour", 100, 4);
    let mut admin = Client::connect(host.admin_addr(), Protocol::Http1).await;
    let (mut checks, mut slowest_check) = (0, Duration::ZERO);
    let mut ended = Vec::new();
    while ended.len() < SPINNERS {
        tokio::select! {
            Some(took) = spinning.join_next() => ended.push(took.unwrap()),
            () = neighbour.more(10) => {
                let asked = Instant::now();
                admin.answer(request("GET", "/healthz", empty())).await.expect(200);
                slowest_check = slowest_check.max(asked.elapsed());
                checks += 1;
            }
        }
    }
    let served = neighbour.stop().await.expect_no_failures();
    let p99 = served.percentile(99);
    let last = ended.iter().max().unwrap();
    println!(
        "{} requests to a neighbour: p99 {p99:?}, longest {:?}; {checks} health checks, longest {slowest_check:?}; \
         the last of {SPINNERS} guests was ended after {last:?} of {WALL:?}",
        served.sent, served.latency_max,
    );
    assert!(checks >= 5, "only {checks} health checks");
    assert!(p99 < NEIGHBOUR_P99, "the neighbour's p99 was {p99:?}");
    assert!(*last < WALL + LATE, "a guest was ended after {last:?}");
    host.get("/hello").await.expect(200);
}
