//! What the host writes down: one access line for each request, the guests' own lines, and nothing forged.

use serde_json::Value;
use wharf_harness::{Host, Protocol, Raw, components, empty, eventually, request, run};

use crate::{everything, host};

const ACCESS: &str = "wharf::access";

#[test]
fn each_request_writes_one_access_line() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for (number, (method, path, status)) in [
            ("GET", "/hello", 200),
            ("POST", "/upload", 200),
            ("GET", "/fail/conflict", 409),
            ("GET", "/none", 404),
        ]
        .into_iter()
        .enumerate()
        {
            let protocol = Protocol::ALL[number % 2];
            let mut sent = request(method, &format!("{path}?n={number}"), wharf_harness::body("12345"));
            sent.headers_mut().insert("x-request-id", format!("request-{number}").parse().unwrap());
            sent.headers_mut()
                .insert("traceparent", format!("00-{trace}-b7ad6b7169203331-01").parse().unwrap());
            let answer = host.connect(protocol).await.answer(sent).await.expect(status);

            let id = format!("request-{number}");
            let ours = |line: &Value| line["target"] == ACCESS && line["request_id"] == id.as_str();
            let line = host.log().wait_json(0, "the access line", ours).await;
            assert_eq!(line["trace_id"], trace, "{line}");
            assert_eq!(line["method"], method, "{line}");
            assert_eq!(line["path"], format!("{path}?n={number}"), "{line}");
            assert_eq!(line["status"], status, "{line}");
            assert_eq!(line["plugin"], "guest", "{line}");
            assert_eq!(line["route"], "/{*rest}", "{line}");
            assert_eq!(line["request_bytes"], 5, "{line}");
            assert_eq!(line["response_bytes"], answer.body.len(), "{line}");
            assert!(line["duration_us"].as_u64().is_some_and(|us| us > 0), "{line}");
        }
        // Lines are written in their order: a second line of one of these would have come before this one.
        host.get("/hello?last").await.expect(200);
        host.log().wait("/hello?last").await;
        let lines = host.log().since(0).into_iter().filter(|line| line.contains(ACCESS)).count();
        assert_eq!(lines, 5, "{}", host.log().text());
    });
}

#[test]
fn a_request_that_was_refused_has_its_access_line_too() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let mut raw = Raw::connect(host.http()).await;
        raw.send("GET /no-host HTTP/1.1\r\n\r\n").await;
        raw.read_to_end().await;
        let ours = |line: &Value| line["target"] == ACCESS && line["path"] == "/no-host";
        let line = host.log().wait_json(0, "the access line", ours).await;
        assert_eq!(line["status"], 400, "{line}");
    });
}

#[test]
fn what_a_guest_prints_is_a_log_line_with_the_plugins_name() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let answer = host.get("/log").await.expect(200);
        let id = answer.header("x-request-id").unwrap();
        for stream in ["stdout", "stderr"] {
            let printed = |line: &Value| line["message"] == format!("a line on {stream}");
            let line = host.log().wait_json(0, "the guest's line", printed).await;
            assert_eq!(line["target"], "wharf::guest", "{line}");
            assert_eq!(line["plugin"], "guest", "{line}");
            assert_eq!(line["generation"], 1, "{line}");
            assert_eq!(line["stream"], stream, "{line}");
            assert_eq!(line["request_id"], id, "{line}");
        }
    });
}

#[test]
fn no_client_can_write_a_line_of_its_own() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let mut forged = request("GET", "/hello?%0A%7B%22target%22:%22forged%22%7D", empty());
        forged.headers_mut().insert("user-agent", "x\"}{\"target\":\"forged".parse().unwrap());
        forged.headers_mut().insert("x-request-id", "\"},{\"target\":\"forged\"".parse().unwrap());
        host.send(forged).await.expect(200);
        host.get("/hello?last").await.expect(200);
        host.log().wait("/hello?last").await;
        for line in host.log().since(0) {
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_ne!(line["target"], "forged");
        }
    });
}

#[test]
fn access_lines_do_not_depend_on_the_level() {
    run(async {
        let host = host(&format!("[log]\nlevel = \"error\"\n{}", everything("{{kitchen}}"))).start().await;
        host.get("/hello").await.expect(200);
        let ours = |line: &Value| line["target"] == ACCESS && line["path"] == "/hello";
        host.log().wait_json(0, "the access line", ours).await;
        assert!(!host.log().has("plugin loaded"), "{}", host.log().text());
    });
}

#[test]
fn access_lines_can_be_switched_off() {
    run(async {
        let host = host(&format!("[log]\naccess = false\n{}", everything("{{kitchen}}"))).start().await;
        host.get("/hello").await.expect(200);
        host.admin().put_file("guest", components::VERSION_ONE).await.expect(200);
        host.log().wait("generation swapped in").await;
        assert!(!host.log().has(ACCESS), "{}", host.log().text());
    });
}

/// Guests that do the same in our own world, as wasi:http 0.3 and as wasi:http 0.2.
const WORLDS: [&str; 3] = ["{{state-handler}}", "{{state-wasip3}}", "{{state-wstd}}"];

/// One of them with what it needs to load, and more lines.
fn talkative(component: &str, more: &str) -> String {
    let grants = "\n[plugin.guest.config]\n[plugin.guest.grants]\nkeyvalue = [\"notes\"]\n";
    everything(component) + grants + more
}

#[test]
fn a_guest_logs_with_a_level_and_a_context_in_every_world() {
    run(async {
        for component in WORLDS {
            let host =
                host(&talkative(component, "[log]\nlevel = \"info,wharf::guest=debug\"\n")).start().await;
            for (level, shown) in [
                ("trace", None),
                ("debug", Some("DEBUG")),
                ("info", Some("INFO")),
                ("warn", Some("WARN")),
                ("error", Some("ERROR")),
                ("critical", Some("ERROR")),
            ] {
                let message = format!("told at {level}");
                let said =
                    host.post(&format!("/say/{level}?context=cellar"), message.clone()).await.expect(204);
                let Some(shown) = shown else { continue };
                let line =
                    host.log().wait_json(0, &message, |line| line["message"] == message.as_str()).await;
                assert_eq!(line["target"], "wharf::guest", "{component}: {line}");
                assert_eq!((&line["level"], &line["context"]), (&shown.into(), &"cellar".into()), "{line}");
                assert_eq!((&line["plugin"], &line["generation"]), (&"guest".into(), &1.into()), "{line}");
                assert_eq!(line["request_id"], said.header("x-request-id").unwrap(), "{line}");
            }
            assert!(!host.log().has("told at trace"), "{}", host.log().text());
        }
    });
}

#[test]
fn no_guest_can_write_a_line_of_its_own() {
    run(async {
        for component in WORLDS {
            let host = host(&talkative(component, "")).start().await;
            let forged = "one\n{\"target\":\"forged\"}\n\u{1b}[2J\u{202e}\"}{\"target\":\"forged\"";
            for path in ["/say/info?context=\"}{\"target\":\"forged", "/print/stdout", "/print/stderr"] {
                host.post(&path.replace('"', "%22").replace('{', "%7B").replace('}', "%7D"), forged)
                    .await
                    .expect(204);
            }
            host.post("/say/info", "the last").await.expect(204);
            host.log().wait("the last").await;
            for line in host.log().since(0) {
                let line: Value =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert_ne!(line["target"], "forged", "{component}");
            }
        }
    });
}

/// The messages of the guest's own lines so far.
fn lines(host: &Host, message: &str) -> Vec<String> {
    let lines = host.log().since(0).into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let lines = lines.filter(|line| line["target"] == "wharf::guest" && line["plugin"] == "guest");
    lines
        .filter_map(|line| line["message"].as_str().map(str::to_owned))
        .filter(|line| line.contains(message))
        .collect()
}

#[test]
fn a_long_line_goes_on_in_the_next() {
    run(async {
        for component in WORLDS {
            let host =
                host(&talkative(component, "[plugin.guest.limits]\nlog_line = \"64B\"\n")).start().await;
            for (before, how) in ["stdout", "stderr", "logging"].into_iter().enumerate() {
                // Three bytes each: 64 bytes end within one.
                let whole = format!("{} {how}", "€".repeat(50));
                host.post(&format!("/print/{how}"), whole.clone()).await.expect(204);
                host.log().wait(&format!("€ {how}")).await;
                let seen = lines(&host, "€").split_off(3 * before);
                assert_eq!((seen.len(), seen.concat()), (3, whole), "{component}: {seen:?}");
                assert!(seen.iter().all(|line| line.len() <= 64), "{component}: {seen:?}");
            }
        }
    });
}

#[test]
fn a_plugin_has_a_rate_of_lines_and_what_is_beyond_is_counted_and_said() {
    const LINES: u64 = 200;
    run(async {
        for component in WORLDS {
            let limits =
                "[plugin.guest.limits]\nlog_lines = 2\ncpu = \"10s\"\n[plugin.guest.pool]\nreuse = 1\n";
            let host = host(&talkative(component, limits)).start().await;
            // Through all three ways, each time in a fresh instance: they share one allowance.
            for how in ["stdout", "stderr", "logging"] {
                host.post(&format!("/print/{how}?lines={LINES}"), "chatter").await.expect(204);
            }
            let dropped = host
                .admin()
                .metrics()
                .await
                .sum("wharf_plugin_log_lines_dropped_total", &["plugin=\"guest\""]);
            let passed = 3 * LINES - dropped as u64;
            assert!((20..LINES).contains(&passed), "{component}: {passed} lines passed");
            // One report, or several of a second each, add up to what was dropped.
            let said = || -> u64 {
                let said = lines(&host, " lines dropped; limits.log_lines is 2 a second");
                said.iter().map(|line| line.split_once(' ').unwrap().0.parse::<u64>().unwrap()).sum()
            };
            eventually("the reports", async || (said() == dropped as u64).then_some(())).await;
            assert_eq!(lines(&host, "chatter").len() as u64, passed, "{component}");
        }
    });
}

#[test]
fn a_plugin_has_a_rate_of_bytes_too() {
    run(async {
        let limits = "[plugin.guest.limits]\nlog_bytes = \"8KiB\"\nlog_lines = 1000000\n";
        let host = host(&talkative("{{state-wstd}}", limits)).start().await;
        host.post("/print/logging?lines=100", "y".repeat(4_000)).await.expect(204);
        host.log().wait("lines dropped; limits.log_bytes is 8192 a second").await;
        let passed = lines(&host, "yyyy").len();
        // Ten seconds of it at once, and what the seconds since then have earned.
        assert!((20..90).contains(&passed), "{passed} lines of 4,000 bytes passed");
    });
}

#[test]
fn a_guest_that_logs_without_end_is_held_and_its_neighbour_is_heard() {
    run(async {
        for how in ["stdout", "stderr", "logging"] {
            let limits = "[plugin.guest.limits]\ncpu = \"1s\"\nwall = \"20s\"\n";
            let neighbour = "
                [plugin.neighbour]
                component = \"{{state-handler}}\"
                config = {}
                grants = { keyvalue = [\"other\"] }
                [[route]]
                host = \"neighbour\"
                path = \"/{*rest}\"
                plugin = \"neighbour\"
            ";
            let host = host(&(talkative("{{state-wasip3}}", limits) + neighbour)).start().await;
            let mut floods = tokio::task::JoinSet::new();
            for _ in 0..4 {
                let mut client = host.connect(Protocol::Http1).await;
                floods.spawn(async move {
                    let flood =
                        request("POST", &format!("/write-forever/{how}"), wharf_harness::body("noise"));
                    client.answer(flood).await.expect_problem(504, "cpu_exceeded");
                });
            }
            host.admin().wait("guest", "all write", |status| status["serving"]["in_flight"] == 4).await;
            let mut client = host.connect(Protocol::Http1).await;
            let mut said = 0;
            let first = loop {
                if let Some(ended) = floods.try_join_next() {
                    break ended;
                }
                if said == 50 {
                    // Its own allowance is for a hundred a second.
                    break floods.join_next().await.unwrap();
                }
                let message = format!("sense {said}");
                let mut say = request("POST", "/say/info", wharf_harness::body(message.clone()));
                say.headers_mut().insert("host", "neighbour".parse().unwrap());
                client.answer(say).await.expect(204);
                host.log().wait_json(0, &message, |line| line["message"] == message.as_str()).await;
                said += 1;
            };
            first.unwrap();
            floods.join_all().await;
            assert!(said > 0, "{how}: the neighbour was not heard");
            host.log().wait("lines dropped; limits.log_lines is 100 a second").await;
            let noise = lines(&host, "noise").len();
            let dropped = host
                .admin()
                .metrics()
                .await
                .sum("wharf_plugin_log_lines_dropped_total", &["plugin=\"guest\""]);
            assert!(
                noise >= 1_000 && dropped > noise as f64,
                "{how}: {noise} lines passed, {dropped} were dropped"
            );
        }
    });
}
