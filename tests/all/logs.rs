//! What the host writes down: one access line for each request, the guests' own lines, and nothing forged.

use serde_json::Value;
use wharf_harness::{Protocol, Raw, components, empty, request, run};

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
fn access_lines_can_be_switched_off() {
    run(async {
        let host = host(&format!("[log]\naccess = false\n{}", everything("{{kitchen}}"))).start().await;
        host.get("/hello").await.expect(200);
        host.admin().put_file("guest", components::VERSION_ONE).await.expect(200);
        host.log().wait("generation swapped in").await;
        assert!(!host.log().has(ACCESS), "{}", host.log().text());
    });
}
