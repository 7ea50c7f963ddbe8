//! Several calls at once in one instance, and what they cost each other.

use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use wharf_harness::{Answer, Host, HostBuilder, Protocol, components, empty, request, run};

use crate::{everything, host};

fn crowded(component: &str, pool: &str, limits: &str) -> HostBuilder {
    let pool = format!("[plugin.guest.pool]\nconcurrency = 16\n{pool}\n");
    host(&format!("{}\n{pool}[plugin.guest.limits]\n{limits}\n", everything(component)))
}

/// Sends a request on a connection of its own, and waits until it is in flight.
async fn begin(host: &Host, method: &str, path: &str) -> JoinHandle<Answer> {
    let in_flight = host.admin().plugin("guest").await["serving"]["in_flight"].as_u64().unwrap();
    let mut client = host.connect(Protocol::Http1).await;
    let order = request(method, path, empty());
    let call = tokio::spawn(async move { client.answer(order).await });
    host.admin().wait("guest", path, |status| status["serving"]["in_flight"] == in_flight + 1).await;
    call
}

async fn called_again(host: &Host) -> f64 {
    host.admin().metrics().await.sum("wharf_plugin_called_again_total", &["guest"])
}

#[test]
fn calls_wait_beside_each_other_in_one_instance() {
    run(async {
        for (component, path) in [("{{kitchen}}", "/wait?ms=1000"), ("{{rogue}}", "/wait?1000")] {
            let host = crowded(component, "max = 1", "").start().await;
            let begun = Instant::now();
            let mut calls = JoinSet::new();
            for _ in 0..16 {
                let mut client = host.connect(Protocol::Http1).await;
                calls.spawn(async move { client.answer(request("GET", path, empty())).await });
            }
            while let Some(answer) = calls.join_next().await {
                assert_eq!(answer.unwrap().expect(200).text(), "waited\n");
            }
            // One after the other they would take 16 seconds.
            assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
            assert_eq!(host.admin().plugin("guest").await["serving"]["instances"], 1);
        }
    });
}

#[test]
fn bodies_stream_beside_each_other_and_a_client_that_hangs_up_disturbs_nobody() {
    run(async {
        for component in ["{{kitchen}}", "{{wasip3-http}}"] {
            let host = crowded(component, "max = 1", "").start().await;
            let mut calls = JoinSet::new();
            for number in 0..12 {
                let mut client = host.connect(Protocol::Http1).await;
                calls.spawn(async move {
                    let download =
                        client.send(request("GET", "/download?bytes=3000000", empty())).await.unwrap();
                    if number % 3 == 0 {
                        return; // in the middle of its body
                    }
                    let answer = Answer::read(download).await.expect(200);
                    assert_eq!(answer.body.len(), 3_000_000);
                    assert!(answer.body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
                });
            }
            while let Some(done) = calls.join_next().await {
                done.unwrap();
            }
            let uploaded = host.post("/upload", vec![7; 300_000]).await.expect(200);
            assert!(uploaded.text().starts_with("300000 bytes"), "{uploaded:?}");
            host.admin().wait("guest", "no call", |status| status["serving"]["in_flight"] == 0).await;
            assert_eq!(host.admin().plugin("guest").await["serving"]["instances"], 1);
        }
    });
}

#[test]
fn a_trap_ends_the_calls_beside_it_and_those_that_nobody_can_tell_are_made_again() {
    run(async {
        for (path, status, kind) in [("/trap", 500, "guest_trapped"), ("/spin", 504, "cpu_exceeded")] {
            let host = crowded("{{rogue}}", "max = 1", "cpu = \"100ms\"").start().await;
            let (safe, unsafe_) =
                (begin(&host, "GET", "/wait?700").await, begin(&host, "POST", "/wait?700").await);
            host.get(path).await.expect_problem(status, kind);
            assert_eq!(safe.await.unwrap().expect(200).text(), "waited\n");
            unsafe_.await.unwrap().expect_problem(503, "unavailable");
            assert_eq!(called_again(&host).await, 1.0);
            assert_eq!(host.get("/hello").await.expect(200).text(), "hello\n");
        }
    });
}

#[test]
fn a_route_can_say_that_its_calls_may_be_made_again() {
    run(async {
        let manifest = "[plugin.guest]\ncomponent = \"{{rogue}}\"\n[plugin.guest.pool]\nconcurrency = 4\nmax = 1\n\
                        [[route]]\npath = \"/{*rest}\"\nplugin = \"guest\"\nidempotent = true\n";
        let host = host(manifest).start().await;
        let call = begin(&host, "POST", "/wait?700").await;
        host.get("/trap").await.expect_problem(500, "guest_trapped");
        assert_eq!(call.await.unwrap().expect(200).text(), "waited\n");
        assert_eq!(called_again(&host).await, 1.0);
    });
}

#[test]
fn a_call_that_changed_something_is_not_made_again() {
    run(async {
        let manifest = "[plugin.guest]\ncomponent = \"{{state-handler}}\"\nconfig = {}\n[plugin.guest.grants]\n\
                        keyvalue = [\"notes\"]\n[plugin.guest.pool]\nconcurrency = 4\nmax = 1\n\
                        [[route]]\npath = \"/{*rest}\"\nplugin = \"guest\"\nidempotent = true\n";
        let host = host(manifest).start().await;
        let (reads, writes) = (
            begin(&host, "GET", "/keys?then=wait").await,
            begin(&host, "POST", "/increment/n?then=wait").await,
        );
        host.get("/hello?then=trap").await.expect_problem(500, "guest_trapped");
        // Both were in the instance when it wrote, so neither is made again.
        reads.await.unwrap().expect_problem(503, "unavailable");
        writes.await.unwrap().expect_problem(503, "unavailable");
        assert_eq!(called_again(&host).await, 0.0);
        // Where nothing was written, it is.
        let reads = begin(&host, "GET", "/keys?then=wait").await;
        host.get("/hello?then=trap").await.expect_problem(500, "guest_trapped");
        reads.await.unwrap().expect(200);
        assert_eq!(called_again(&host).await, 1.0);
    });
}

#[test]
fn a_timeout_ends_its_own_call_and_later_the_instance_but_no_other_call() {
    run(async {
        let host = crowded("{{rogue}}", "max = 2\nmin = 0", "wall = \"1s\"").start().await;
        let never = begin(&host, "GET", "/never").await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let beside = begin(&host, "POST", "/wait?600").await;
        never.await.unwrap().expect_problem(504, "timeout");
        beside.await.unwrap().expect(200);
        // The instance gets no new calls; this one gets another.
        host.get("/hello").await.expect(200);
        host.admin().wait("guest", "one of them to end", |status| status["serving"]["instances"] == 1).await;
        assert_eq!(called_again(&host).await, 0.0);
    });
}

#[test]
fn an_instance_serves_as_often_as_its_pool_says_and_is_stopped_then() {
    run(async {
        let host = crowded("{{lifecycle-counter}}", "max = 2\nreuse = 5", "").start().await;
        for _ in 0..20 {
            assert_eq!(host.get("/started").await.expect(200).text(), "1\n");
        }
        let stopped =
            |host: &Host| host.log().since(0).iter().filter(|line| line.contains("\"stopping\"")).count();
        host.log().wait("\"stopping\"").await;
        host.admin()
            .wait("guest", "few instances", |status| status["serving"]["instances"].as_u64() <= Some(2))
            .await;
        assert!(stopped(&host) >= 1);
    });
}

#[test]
fn calls_end_on_the_generation_that_they_began_on() {
    run(async {
        let host = crowded("{{rogue}}", "max = 1", "").start().await;
        let old = begin(&host, "GET", "/wait?1000").await;
        host.admin().put_file("guest", components::KITCHEN).await.expect(200);
        assert_eq!(host.get("/count").await.expect(200).text(), "1\n");
        assert_eq!(old.await.unwrap().expect(200).text(), "waited\n");
        host.admin()
            .wait("guest", "the old one to go", |status| status["draining"].as_array().unwrap().is_empty())
            .await;
    });
}

#[test]
fn a_component_that_blocks_is_refused_with_the_line_to_write() {
    run(async {
        let app = crowded("{{wstd-http}}", "", "").write();
        let started = app.wharf(&["up", ".", "--log", "json"]).await;
        assert_eq!(started.code, Some(1), "{started:?}");
        assert!(started.stderr.contains("concurrency = 1"), "{started:?}");
    });
}
