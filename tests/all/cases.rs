//! Cases as folders: an input and the exact answer to it.
//!
//! `tests/cases/request/NAME` holds `request`, the bytes that are sent on a new connection, and `response`,
//! all bytes that come back until the host closes or has nothing more to say. In the response `<date>`
//! stands for the value of a `date` field and `<id>` for a request id that the host made up.
//!
//! `tests/cases/manifest/NAME` holds `wharf.toml` and `expected`, all that `wharf check` writes to standard
//! error before its last line, which counts the problems.

use std::path::Path;

use tokio::task::JoinSet;
use wharf_harness::{Case, Host, Raw, cases, command, run};

use crate::{ROOT, WHARF, host};

/// The host that all requests are sent to. Its limits are small, so that a case that exceeds one is short.
const MANIFEST: &str = r#"
[http]
header_count = 20
header_bytes = "4KiB"
target_bytes = "1KiB"
body_bytes = "64KiB"

[plugin.kitchen]
component = "{{kitchen}}"
# A body that breaks off must be seen before the head of the answer is out.
[plugin.kitchen.grants.env]
ECHO = "whole"

[[route]]
path = "/echo"
methods = ["GET", "POST"]
plugin = "kitchen"

[[route]]
path = "/notes/{id}"
plugin = "kitchen"

[[route]]
path = "/files/{*rest}"
plugin = "kitchen"
"#;

#[test]
fn each_malformed_request_gets_its_exact_answer() {
    run(async {
        let cases = cases(&Path::new(ROOT).join("tests/cases/request"));
        assert!(cases.len() >= 30, "there are {} cases of requests", cases.len());
        let host = host(MANIFEST).start().await;
        let mut running = JoinSet::new();
        for case in cases {
            running.spawn(exchange(case, host.http()));
        }
        report(running.join_all().await);
        still_serves(&host).await;
    });
}

async fn still_serves(host: &Host) {
    host.get("/echo").await.expect(200);
}

/// What is wrong with the answer, if anything.
async fn exchange(case: Case, addr: std::net::SocketAddr) -> Option<String> {
    let expected = String::from_utf8_lossy(&case.read("response")).into_owned();
    let mut raw = Raw::connect(addr).await;
    raw.send(case.read("request")).await;
    // What is expected has arrived, or something else and the end. Only then does the client close its
    // side, which shows whether the host has more to say.
    let _ = raw.read_until(|received| masked(received) == expected).await;
    raw.finish().await;
    let _ = raw.read_until(|_| false).await;
    let received = masked(raw.received());
    (received != expected)
        .then(|| format!("{}\n--- expected\n{expected}\n--- received\n{received}", case.name))
}

/// The text of a response without what differs each time.
fn masked(response: &[u8]) -> String {
    let text = String::from_utf8_lossy(response);
    let mut masked = String::new();
    for line in text.split_inclusive('\n') {
        match line.split_once(": ") {
            Some(("date", value)) if value.ends_with("GMT\r\n") => masked.push_str("date: <date>\r\n"),
            _ => masked.push_str(&mask_ids(line)),
        }
    }
    masked
}

/// Puts `<id>` for each run of exactly 32 hex digits.
fn mask_ids(line: &str) -> String {
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let mut masked = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_digit) {
        let digits = rest[start..].find(|c| !is_digit(c)).unwrap_or(rest.len() - start);
        let run = &rest[start..start + digits];
        masked.push_str(&rest[..start]);
        masked.push_str(if digits == 32 { "<id>" } else { run });
        rest = &rest[start + digits..];
    }
    masked + rest
}

#[test]
fn each_malformed_manifest_gets_its_exact_answer() {
    run(async {
        let cases = cases(&Path::new(ROOT).join("tests/cases/manifest"));
        assert!(cases.len() >= 30, "there are {} cases of manifests", cases.len());
        let mut wrong = Vec::new();
        for case in cases {
            let checked = command(WHARF, &case.dir, ["check", "."]).await;
            let problems = String::from_utf8(case.read("expected")).unwrap();
            let expected = problems.clone() + &summary(&problems);
            // A manifest that only gets warnings is used: what follows them is about its component.
            let used = !problems.lines().any(|line| line.starts_with("error: "));
            let same = if used { checked.stderr.starts_with(&problems) } else { checked.stderr == expected };
            if !same || checked.code != Some(1) {
                let found = format!("(exit code {:?})\n{}", checked.code, checked.stderr);
                wrong.push(Some(format!("{}\n--- expected\n{expected}\n--- found {found}", case.name)));
            }
        }
        report(wrong);
    });
}

/// The last line of `wharf check`: how many errors there were.
fn summary(problems: &str) -> String {
    match problems.lines().filter(|line| line.starts_with("error: ")).count() {
        1 => "error: 1 problem; the application would not start\n".to_owned(),
        count => format!("error: {count} problems; the application would not start\n"),
    }
}

/// All differences at once.
fn report(outcomes: Vec<Option<String>>) {
    let wrong: Vec<String> = outcomes.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} cases differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn only_dates_and_ids_are_masked() {
    let response = b"HTTP/1.1 200 OK\r\ndate: Mon, 23 Nov 2026 05:40:00 GMT\r\n\
        x-request-id: 0123456789abcdef0123456789abcdef\r\nx-short: 0123abc\r\n\r\nface\n";
    assert_eq!(
        masked(response),
        "HTTP/1.1 200 OK\r\ndate: <date>\r\nx-request-id: <id>\r\nx-short: 0123abc\r\n\r\nface\n"
    );
}
