//! A plugin that misbehaves costs its own request an error in bounded time, and nobody else anything.

use std::time::Duration;

use serde_json::Value;
use wharf_harness::{Answer, Host, Protocol, chunked, empty, request, run, within};

use crate::{everything, host};

/// Limits that a rogue reaches soon, and that its good path is far from.
const LIMITS: &str = r#"
    [plugin.guest.limits]
    memory = "16MiB"
    cpu = "100ms"
    wall = "1s"
    stream_idle = "500ms"
    request_body = "100KiB"
    response_body = "1MiB"
    response_headers = "64KiB"
"#;

/// More than any of the limits above.
const BOUND: Duration = Duration::from_secs(6);

async fn rogue() -> Host {
    host(&(everything("{{rogue}}") + LIMITS)).start().await
}

async fn get(host: &Host, protocol: Protocol, path: &str) -> Answer {
    within(BOUND, path, async { host.connect(protocol).await.answer(request("GET", path, empty())).await })
        .await
}

#[test]
fn whatever_a_plugin_does_its_request_gets_an_error_and_the_next_is_served() {
    run(async {
        let host = rogue().await;
        for (path, status, kinds) in [
            ("/trap", 500, &["guest_trapped"][..]),
            ("/panic", 500, &["guest_trapped"]),
            ("/alloc", 500, &["memory_exceeded", "guest_trapped"]),
            ("/spin", 504, &["cpu_exceeded"]),
            ("/never", 504, &["timeout"]),
            ("/bad-status", 502, &["invalid_response"]),
            ("/bad-header-name", 502, &["invalid_response"]),
            ("/bad-header-value", 502, &["invalid_response"]),
            ("/length-lies", 502, &["invalid_response"]),
            ("/huge-headers", 502, &["response_too_large"]),
            ("/huge-body?bytes=2000000", 502, &["response_too_large"]),
            ("/no-such-path", 404, &["not_found"]),
        ] {
            for protocol in Protocol::ALL {
                let answer = get(&host, protocol, path).await;
                let kind = answer.json()["kind"].as_str().unwrap().to_owned();
                assert!(kinds.contains(&kind.as_str()), "{path}: {answer:?}");
                answer.expect_problem(status, &kind);
                assert_eq!(
                    get(&host, protocol, "/hello").await.expect(200).text(),
                    "hello\n",
                    "after {path}"
                );
            }
        }
    });
}

#[test]
fn a_task_that_waits_for_itself_is_ended() {
    run(async {
        let host = rogue().await;
        for protocol in Protocol::ALL {
            let answer = get(&host, protocol, "/deadlock").await;
            assert!([500, 504].contains(&answer.status), "{answer:?}");
            get(&host, protocol, "/hello").await.expect(200);
        }
    });
}

#[test]
fn a_stream_that_goes_wrong_is_seen_as_cut() {
    run(async {
        let host = rogue().await;
        for path in ["/spin-in-stream", "/trap-in-stream", "/silent-stream", "/length-lies-in-stream"] {
            for protocol in Protocol::ALL {
                let mut client = host.connect(protocol).await;
                // HTTP/1 may break before the head has been read, which is a cut as well.
                let answer = within(BOUND, path, client.try_answer(request("GET", path, empty()))).await;
                if let Ok(answer) = answer {
                    let refused = answer.status >= 500 && answer.cut.is_none();
                    let cut = answer.status == 200 && answer.cut.is_some();
                    assert!(cut || refused, "{path}, {protocol:?}: {answer:?}");
                    assert!(!answer.body.ends_with(b"eleven byte"), "{path}: more than was declared");
                }
                assert_eq!(
                    get(&host, protocol, "/hello").await.expect(200).text(),
                    "hello\n",
                    "after {path}"
                );
            }
        }
    });
}

#[test]
fn a_trap_is_logged_with_the_guests_own_function_names() {
    run(async {
        let host = rogue().await;
        let answer = host.get("/trap").await.expect_problem(500, "guest_trapped");
        assert!(!answer.text().contains("detonate"), "{answer:?}");
        let id = answer.header("x-request-id").unwrap();
        let logged = |line: &Value| line["request_id"] == id && line.to_string().contains("detonate");
        host.log().wait_json(0, "the backtrace", logged).await;
    });
}

#[test]
fn waiting_costs_no_cpu_budget() {
    run(async {
        let limits = "\n[plugin.guest.limits]\ncpu = \"20ms\"\nwall = \"5s\"\n";
        let host = host(&(everything("{{kitchen}}") + limits)).start().await;
        for path in ["/wait?ms=300", "/sleep?ms=300"] {
            host.get(path).await.expect(200);
        }
        host.get("/wait?ms=60000").await.expect_problem(504, "timeout");
    });
}

#[test]
fn a_client_that_hangs_up_frees_the_instance() {
    run(async {
        let patient = "\n[plugin.guest.limits]\nwall = \"60s\"\n[plugin.guest.pool]\nmax = 1\n";
        for (component, path, after) in [
            ("{{rogue}}", "/never", "/hello"),
            ("{{kitchen}}", "/wait?ms=60000", "/hello"),
            ("{{kitchen}}", "/sse?forever", "/hello"),
        ] {
            let host = host(&(everything(component) + patient)).start().await;
            for protocol in Protocol::ALL {
                let mut client = host.connect(protocol).await;
                let call = tokio::spawn(async move {
                    let response = client.send(request("GET", path, empty())).await;
                    // A stream is held, neither read nor dropped, until this task is aborted.
                    std::future::pending::<()>().await;
                    drop((response, client));
                });
                host.admin().wait("guest", "the call", |status| status["serving"]["in_flight"] == 1).await;
                call.abort();
                get(&host, protocol, after).await.expect(200);
            }
        }
    });
}

#[test]
fn calls_beyond_the_queue_are_refused_at_once() {
    run(async {
        let pool = "\n[plugin.guest.limits]\nwall = \"60s\"\n[plugin.guest.pool]\nmax = 1\nqueue = 0\n";
        let host = host(&(everything("{{kitchen}}") + pool)).start().await;
        let mut busy = host.connect(Protocol::Http1).await;
        let response = busy.send(request("GET", "/sse?forever", empty())).await.unwrap();
        let refused = get(&host, Protocol::Http1, "/hello").await.expect_problem(503, "overloaded");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        drop((response, busy));
        host.admin()
            .wait("guest", "the stream has ended", |status| status["serving"]["in_flight"] == 0)
            .await;
        host.get("/hello").await.expect(200);
    });
}

#[test]
fn a_body_over_the_plugins_limit_is_refused() {
    run(async {
        let host = host(&(everything("{{kitchen}}") + LIMITS)).start().await;
        for protocol in Protocol::ALL {
            let mut client = host.connect(protocol).await;
            // Said before: nothing of it is read.
            let declared = request("POST", "/upload", wharf_harness::body(vec![0; 200_000]));
            client.answer(declared).await.expect_problem(413, "payload_too_large");
            // Found out on the way, while the guest is already reading.
            let mut client = host.connect(protocol).await;
            let undeclared = request("POST", "/upload", chunked(vec![0; 1_000].into(), 200));
            client.answer(undeclared).await.expect_problem(413, "payload_too_large");
            // Just under the limit.
            let fits = request("POST", "/upload", chunked(vec![0; 1_000].into(), 100));
            host.connect(protocol).await.answer(fits).await.expect(200);
        }
    });
}

#[test]
fn a_streamed_response_over_its_limit_is_cut() {
    run(async {
        let host = host(&(everything("{{kitchen}}") + LIMITS)).start().await;
        for protocol in Protocol::ALL {
            get(&host, protocol, "/download?bytes=1048576").await.expect(200);
            let answer = get(&host, protocol, "/download?bytes=2000000").await;
            assert!(answer.cut.is_some() && answer.body.len() <= 1 << 20, "{} bytes", answer.body.len());
        }
    });
}
