//! How many instances a plugin has, who shares one, and what a plugin that only crashes costs.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use wharf_harness::{Answer, Client, Host, HostBuilder, Protocol, empty, request, run, run_alone, within};

use crate::{everything, host};

const SOON: Duration = Duration::from_secs(60);

fn pooled(component: &str, pool: &str) -> HostBuilder {
    host(&format!("{}\n[plugin.guest.pool]\n{pool}\n", everything(component)))
}

async fn instances(host: &Host, what: &str, expected: impl Fn(u64) -> bool) {
    let expected = |status: &Value| expected(status["serving"]["instances"].as_u64().unwrap());
    host.admin().wait("guest", what, expected).await;
}

/// A client at an address of its own: 127.0.0.`number`.
async fn caller(host: &Host, number: u8) -> Client {
    Client::connect_from(IpAddr::from([127, 0, 0, number]), host.http(), Protocol::Http1).await
}

async fn get(client: &mut Client, path: &str) -> Answer {
    client.answer(request("GET", path, empty())).await
}

#[test]
fn a_pool_grows_with_demand_and_shrinks_to_its_least_when_it_goes() {
    run(async {
        let host = pooled("{{kitchen}}", "min = 2\nmax = 6\nidle = \"200ms\"").start().await;
        instances(&host, "the instances that are kept warm", |count| count == 2).await;
        for _ in 0..2 {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..6 {
                let mut client = host.connect(Protocol::Http1).await;
                calls.spawn(async move { get(&mut client, "/wait?ms=1500").await.expect(200) });
            }
            instances(&host, "an instance for each call", |count| count == 6).await;
            while let Some(answer) = calls.join_next().await {
                answer.unwrap();
            }
            instances(&host, "as few as before", |count| count == 2).await;
        }
    });
}

#[test]
fn a_pool_may_go_to_zero_and_the_next_call_is_a_cold_start() {
    run(async {
        let host = pooled("{{kitchen}}", "min = 0\nidle = \"100ms\"").start().await;
        let cold_starts =
            async || host.admin().metrics().await.sum("wharf_plugin_cold_start_seconds_count", &["guest"]);
        for round in 1..=3 {
            instances(&host, "none", |count| count == 0).await;
            assert_eq!(host.get("/count").await.expect(200).text(), "1\n");
            assert_eq!(cold_starts().await, f64::from(round));
        }
    });
}

#[test]
fn what_is_to_be_warm_is_warm_again_after_a_crash() {
    run(async {
        let host = pooled("{{rogue}}", "min = 3").start().await;
        for _ in 0..2 {
            instances(&host, "the warm ones", |count| count == 3).await;
            for _ in 0..3 {
                host.get("/trap").await.expect_problem(500, "guest_trapped");
            }
        }
        instances(&host, "the warm ones", |count| count == 3).await;
    });
}

#[test]
fn with_isolation_request_each_call_has_a_fresh_instance() {
    run(async {
        let host = pooled("{{kitchen}}", "isolation = \"request\"\nmax = 2").start().await;
        let mut client = host.connect(Protocol::Http1).await;
        for _ in 0..50 {
            assert_eq!(get(&mut client, "/count").await.expect(200).text(), "1\n");
        }
    });
}

#[test]
fn with_isolation_caller_an_instance_serves_one_caller_only() {
    run(async {
        let host = pooled("{{kitchen}}", "isolation = \"caller\"\nmax = 2").start().await;
        let mut callers =
            [(caller(&host, 2).await, 0), (caller(&host, 3).await, 0), (caller(&host, 4).await, 0)];
        let mut most = 0;
        for round in 0..25 {
            // A third one comes later. There is no room for it: an idle instance of another makes it.
            let present = if round < 20 { 2 } else { 3 };
            for (client, made) in &mut callers[..present] {
                *made += 1;
                let count: u32 = get(client, "/count").await.expect(200).text().trim().parse().unwrap();
                assert!(count <= *made, "{count} calls in an instance of a caller who made {made}");
                most = most.max(count);
            }
        }
        assert!(most > 1, "no instance was used twice");
        instances(&host, "no more than its pool has", |count| count <= 2).await;
    });
}

#[test]
fn one_caller_who_waits_gets_the_place_of_another() {
    run(async {
        let host = pooled("{{kitchen}}", "isolation = \"caller\"\nmax = 1").start().await;
        let (mut ann, mut bob) = (caller(&host, 2).await, caller(&host, 3).await);
        let long = tokio::spawn(async move { get(&mut ann, "/wait?ms=500").await });
        host.admin().wait("guest", "the first call", |status| status["serving"]["in_flight"] == 1).await;
        assert_eq!(get(&mut bob, "/count").await.expect(200).text(), "1\n");
        long.await.unwrap().expect(200);
    });
}

const ROUNDS: u32 = 10_000;
/// What so many rounds may take on a busy machine.
const SECRETS: Duration = Duration::from_secs(600);

/// A host with two plugins, whose calls get the same slots in turn: each has a fresh instance.
async fn two_spies(engine: &str) -> Host {
    let plugin = |name: &str| {
        format!(
            "[plugin.{name}]\ncomponent = \"{{{{spy}}}}\"\n[plugin.{name}.pool]\nisolation = \"request\"\n\
             min = 0\n[[route]]\nhost = \"{name}.test\"\npath = \"/{{*rest}}\"\nplugin = \"{name}\"\n"
        )
    };
    host(&(plugin("ann") + &plugin("bob"))).engine(&format!("instances = 4\n{engine}")).start().await
}

async fn ask(client: &mut Client, name: &str, path: &str) -> Answer {
    let mut order = request("GET", path, empty());
    order.headers_mut().insert("host", format!("{name}.test").parse().unwrap());
    client.answer(order).await.expect(200)
}

#[test]
fn a_secret_of_one_plugin_is_never_found_by_another() {
    run_alone(SECRETS, async {
        let host = two_spies("").await;
        let mut client = host.connect(Protocol::Http1).await;
        for _ in 0..ROUNDS {
            ask(&mut client, "ann", "/keep").await;
            assert_eq!(ask(&mut client, "bob", "/search").await.text(), "0\n");
        }
    });
}

#[test]
fn nothing_is_found_however_slots_are_made_clean() {
    run_alone(SECRETS, async {
        for engine in [
            // More pages are written than the kernel is asked for at once: the rest is cleaned blindly.
            "resident_memory = \"16MiB\"\n",
            "resident_memory = \"16MiB\"\npagemap_scan = false\n",
            "pagemap_scan = false\n",
            "resident_memory = 0\nresident_table = 0\nresident_stack = 0\n",
        ] {
            let host = two_spies(engine).await;
            let mut client = host.connect(Protocol::Http1).await;
            for round in 0..ROUNDS / 20 {
                let path = if round % 2 == 0 { "/scatter" } else { "/keep" };
                ask(&mut client, "ann", path).await;
                assert_eq!(ask(&mut client, "bob", "/search").await.text(), "0\n", "{engine}, after {path}");
            }
        }
    });
}

#[test]
fn a_secret_of_one_caller_is_never_found_by_another() {
    run_alone(SECRETS, async {
        let host = pooled("{{spy}}", "isolation = \"caller\"\nmax = 1").start().await;
        let (mut ann, mut bob) = (caller(&host, 2).await, caller(&host, 3).await);
        for _ in 0..ROUNDS {
            get(&mut ann, "/keep").await.expect(200);
            assert_eq!(get(&mut bob, "/search").await.expect(200).text(), "0\n");
        }
        // What shares an instance does find it: the search works.
        get(&mut ann, "/keep").await.expect(200);
        assert_ne!(get(&mut ann, "/search").await.expect(200).text(), "0\n");
    });
}

/// A host with a plugin that does as a file says, and a neighbour.
async fn moody(pool: &str) -> Host {
    let manifest = format!(
        "[plugin.guest]\ncomponent = \"{{{{moody}}}}\"\n[plugin.guest.grants]\n\
         dirs = [{{ path = \"mood\", at = \"/mood\" }}]\ntcp = [\"127.0.0.1:9\"]\n[plugin.guest.pool]\n{pool}\n\
         [plugin.neighbour]\ncomponent = \"{{{{kitchen}}}}\"\n\
         [[route]]\npath = \"/moody/{{*rest}}\"\nplugin = \"guest\"\n[[route]]\npath = \"/hello\"\nplugin = \"neighbour\"\n"
    );
    let app = host(&manifest).write();
    std::fs::create_dir(app.path().join("mood")).unwrap();
    app.start().await
}

fn set_mood(host: &Host, mood: &str) {
    std::fs::write(host.app().path().join("mood/mood"), mood).unwrap();
}

async fn serves_again(host: &Host) {
    within(SOON, "the plugin to serve again", async {
        while host.get("/moody/hello").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn is_degraded(host: &Host) -> bool {
    let metrics = host.admin().metrics().await;
    let status = host.admin().plugin("guest").await;
    let degraded = !status["serving"]["degraded"].is_null();
    assert_eq!(metrics.sum("wharf_plugin_degraded", &["guest"]) > 0.0, degraded);
    degraded
}

#[test]
fn a_plugin_that_cannot_start_is_held_back_and_recovers_while_its_neighbour_notices_nothing() {
    run(async {
        let host = moody("min = 0\nidle = \"100ms\"").await;
        host.get("/moody/hello").await.expect(200);
        set_mood(&host, "no-start");
        instances(&host, "none", |count| count == 0).await;
        for _ in 0..3 {
            host.get("/moody/hello").await.expect_problem(500, "guest_trapped");
        }
        let refused = host.get("/moody/hello").await.expect_problem(503, "unavailable");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert!(is_degraded(&host).await);
        let listed = host.app().wharf(&["plugin", "list"]).await;
        assert!(listed.stdout.contains("degraded: it crashed"), "{listed:?}");
        host.log().wait("the plugin is degraded").await;
        host.get("/hello").await.expect(200);

        set_mood(&host, "good");
        serves_again(&host).await;
        assert!(!is_degraded(&host).await);
    });
}

#[test]
fn a_plugin_that_crashes_in_every_call_is_held_back_and_one_that_crashes_in_some_is_not() {
    run(async {
        let host = moody("min = 0").await;
        let end = tokio::time::Instant::now() + Duration::from_millis(1_500);
        while tokio::time::Instant::now() < end {
            host.get("/moody/trap").await.expect_problem(500, "guest_trapped");
            host.get("/moody/hello").await.expect(200);
        }
        assert!(!is_degraded(&host).await);

        set_mood(&host, "no-call");
        within(SOON, "the plugin to be held back", async {
            while host.get("/moody/hello").await.status != 503 {}
        })
        .await;
        assert!(is_degraded(&host).await);
        host.get("/hello").await.expect(200);

        set_mood(&host, "good");
        serves_again(&host).await;
        assert!(!is_degraded(&host).await);
    });
}

#[test]
fn a_host_without_room_for_an_instance_says_so_and_blames_no_plugin() {
    run(async {
        let plugin = |name: &str| {
            format!(
                "[plugin.{name}]\ncomponent = \"{{{{kitchen}}}}\"\n[plugin.{name}.pool]\nmin = 0\nmax = 2\n\
                 idle = \"100ms\"\n[[route]]\nhost = \"{name}.test\"\npath = \"/{{*rest}}\"\nplugin = \"{name}\"\n"
            )
        };
        let host = host(&(plugin("ann") + &plugin("bob"))).engine("instances = 2\n").start().await;
        let order = |name: &str, path: &str| {
            let mut order = request("GET", path, empty());
            order.headers_mut().insert("host", format!("{name}.test").parse().unwrap());
            order
        };
        host.admin().wait("bob", "no instance", |status| status["serving"]["instances"] == 0).await;
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut client = host.connect(Protocol::Http1).await;
            let response = client.send(order("ann", "/sse?forever")).await.unwrap();
            streams.push((response, client));
        }
        for _ in 0..5 {
            let refused = host.send(order("bob", "/hello")).await.expect_problem(503, "overloaded");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
        drop(streams);
        host.admin()
            .wait("ann", "its streams have ended", |status| status["serving"]["in_flight"] == 0)
            .await;
        host.send(order("bob", "/hello")).await.expect(200);
    });
}
