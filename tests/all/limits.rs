//! Every limit, one row each: what exceeds it is refused, counted and said with the line to write; and where the
//! limit is observed, the very same passes and is counted. A row fails when its check is taken out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wharf_harness::process::{rss_bytes, rss_bytes_max};
use wharf_harness::{
    Answer, Client, Host, Metrics, Protocol, Raw, RequestBody, Server, body, chunked, empty, eventually,
    request, run, run_alone, within,
};

use crate::host;

/// Longer than any row takes, on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// How a limit refuses.
#[derive(Clone, Copy, Debug)]
enum Refused {
    /// With this problem instead of an answer.
    Problem(u16, &'static str),
    /// By cutting the response.
    Cut,
    /// Without the client's noticing.
    Quietly,
    /// By an error to the guest, which answers with its name.
    Told(&'static str),
}
use Refused::{Cut, Problem, Quietly, Told};

struct Row {
    limit: &'static str,
    /// A TOML value.
    value: &'static str,
    /// Other limits, so that this one is what is reached.
    more: &'static str,
    ask: &'static str,
    refused: Refused,
    /// Whether it can be observed.
    observable: bool,
}

const fn row(limit: &'static str, value: &'static str, ask: &'static str, refused: Refused) -> Row {
    Row { limit, value, more: "", ask, refused, observable: true }
}

const fn with(more: &'static str, row: Row) -> Row {
    Row { more, ..row }
}

const fn enforced(row: Row) -> Row {
    Row { observable: false, ..row }
}

/// What the `glutton` is asked for.
const ROWS: &[Row] = &[
    row("memory", "\"3MiB\"", "/alloc?bytes=4000000", Problem(500, "memory_exceeded")),
    row("cpu", "\"30ms\"", "/spin?ms=1000", Problem(504, "cpu_exceeded")),
    row("wall", "\"100ms\"", "/wait?ms=1000", Problem(504, "timeout")),
    row("stream_idle", "\"100ms\"", "/stream?n=2&gap=1000", Cut),
    row("stream_total", "\"300ms\"", "/stream?n=12&gap=100", Cut),
    with("cpu = \"10s\"\n", row("stream_cpu", "1", "/stream?n=10&burn=200", Cut)),
    row("request_body", "\"1KiB\"", "/upload", Problem(413, "payload_too_large")),
    row("request_headers", "\"256B\"", "/hello", Problem(431, "headers_too_large")),
    row("request_header_count", "5", "/hello", Problem(431, "headers_too_large")),
    row("response_body", "\"1KiB\"", "/body?bytes=2000", Problem(502, "response_too_large")),
    row("response_headers", "\"256B\"", "/headers?n=1&bytes=300", Problem(502, "response_too_large")),
    row("response_header_count", "5", "/headers?n=6&bytes=1", Problem(502, "response_too_large")),
    row("handles", "32", "/handles?n=80", Problem(500, "guest_trapped")),
    enforced(row("resources", "32", "/handles?n=80", Problem(500, "guest_trapped"))),
    enforced(row("streams", "64", "/streams?n=160", Problem(500, "guest_trapped"))),
    enforced(row("hostcall_bytes", "\"64KiB\"", "/body?bytes=100000", Problem(500, "guest_trapped"))),
    row("random_bytes", "\"64B\"", "/random?bytes=100", Problem(500, "guest_trapped")),
    row("log_line", "\"64B\"", "/print?n=1&bytes=200", Quietly),
    row("log_lines", "2", "/print?n=60&bytes=1", Quietly),
    with("log_lines = 100000\n", row("log_bytes", "\"8KiB\"", "/print?n=40&bytes=3000", Quietly)),
];

/// What the `fetcher` is asked for.
const OUTBOUND: &[Row] = &[
    row("http_request_body", "\"1KiB\"", "/upload to /fits", Told("HttpRequestBodySize")),
    row("http_response_body", "\"1KiB\"", "/fetch to /large", Told("HttpResponseBodySize")),
    row("http_response_headers", "\"8KiB\"", "/fetch to /heavy", Told("HttpResponseHeaderSectionSize")),
    row("http_response_header_count", "8", "/fetch to /many", Told("HttpResponseHeaderSectionSize")),
    row("http_calls", "2", "/flood to /slow", Quietly),
    row("http_connections", "2", "/flood to /slow", Quietly),
];

/// A plugin for each row that enforces its limit, and one that observes it.
fn manifest(rows: &[Row], component: &str, grants: &str) -> String {
    let mut manifest = String::new();
    for Row { limit, value, more, observable, .. } in rows {
        for (does, observe) in [("enforces", String::new()), ("observes", format!("observe = [{limit:?}]"))] {
            if does == "observes" && !observable {
                continue;
            }
            manifest += &format!(
                "[plugin.{does}-{limit}]\ncomponent = \"{component}\"\n{grants}\n\
                 [plugin.{does}-{limit}.limits]\n{limit} = {value}\n{more}{observe}\n\
                 [[route]]\nhost = \"{does}-{}.test\"\npath = \"/{{*rest}}\"\nplugin = \"{does}-{limit}\"\n",
                limit.replace('_', "-"),
            );
        }
    }
    manifest
}

/// How often the limit of `plugin` was exceeded, by what became of it.
fn exceeded(metrics: &Metrics, plugin: &str, limit: &str, action: &str) -> f64 {
    let labels =
        [format!("plugin=\"{plugin}\""), format!("limit=\"{limit}\""), format!("action=\"{action}\"")];
    metrics.sum("wharf_plugin_limit_exceeded_total", &labels.each_ref().map(String::as_str))
}

async fn ask(
    host: &Host,
    does: &str,
    limit: &str,
    mut asked: Request<RequestBody>,
) -> Result<Answer, String> {
    let authority = format!("{does}-{}.test", limit.replace('_', "-"));
    asked.headers_mut().insert("host", authority.parse().unwrap());
    let mut client = host.connect(Protocol::Http1).await;
    within(BOUND, limit, client.try_answer(asked)).await.map_err(|error| error.to_string())
}

/// Asks both plugins of a row for the same, and looks at what becomes of it.
async fn holds(host: &Host, row: &Row, asked: impl Fn() -> Request<RequestBody>) {
    let Row { limit, refused, .. } = row;
    let plugin = format!("enforces-{limit}");
    let answer = ask(host, "enforces", limit, asked()).await;
    match (refused, answer) {
        (Problem(status, kind), Ok(answer)) => drop(answer.expect_problem(*status, kind)),
        // HTTP/1 may break before the head was read, which is a cut as well.
        (Cut, Err(_)) => {}
        (Cut, Ok(answer)) => assert!(answer.cut.is_some() || answer.status >= 500, "{limit}: {answer:?}"),
        (Quietly, Ok(answer)) => drop(answer.expect(200)),
        (Told(code), Ok(answer)) => assert_eq!(answer.expect(502).text().trim(), *code, "{limit}"),
        (_, Err(error)) => panic!("{limit}: {error}"),
    }
    let metrics = host.admin().metrics().await;
    assert!(exceeded(&metrics, &plugin, limit, "refused") >= 1.0, "{limit}\n{}", metrics.0);
    let line = format!("  [plugin.{plugin}.limits]\\n  {limit} = ");
    let said = host.log().wait(&line).await;
    assert!(said.contains(&format!("limits.{limit} is ")), "{said}");

    if !row.observable {
        return;
    }
    let plugin = format!("observes-{limit}");
    let answer =
        ask(host, "observes", limit, asked()).await.unwrap_or_else(|error| panic!("{limit}: {error}"));
    assert!(answer.cut.is_none(), "{limit}: {answer:?}");
    answer.expect(200);
    let metrics = host.admin().metrics().await;
    assert!(exceeded(&metrics, &plugin, limit, "observed") >= 1.0, "{limit}\n{}", metrics.0);
    assert_eq!(exceeded(&metrics, &plugin, limit, "refused"), 0.0, "{limit}\n{}", metrics.0);
    host.log().wait(&format!("  [plugin.{plugin}.limits]\\n  {limit} = ")).await;
}

#[test]
fn every_limit_refuses_what_exceeds_it_and_lets_it_pass_where_it_is_observed() {
    run_alone(Duration::from_secs(300), async {
        let host = host(&manifest(ROWS, "{{glutton}}", "")).start().await;
        for row in ROWS {
            holds(&host, row, || {
                let sent = if row.ask == "/upload" { body(vec![b'x'; 2_000]) } else { empty() };
                let mut asked = request(if row.ask == "/upload" { "POST" } else { "GET" }, row.ask, sent);
                if row.limit.starts_with("request_header") {
                    for n in 0..6 {
                        let name: http::HeaderName = format!("x-filler-{n}").parse().unwrap();
                        asked.headers_mut().insert(name, "x".repeat(60).parse().unwrap());
                    }
                }
                asked
            })
            .await;
            // And the plugin itself is none the worse for it.
            let next = ask(&host, "enforces", row.limit, request("GET", "/hello", empty())).await;
            assert_eq!(next.unwrap().expect(200).text(), "hello\n", "after {}", row.limit);
        }
    });
}

#[test]
fn every_limit_of_outbound_calls_holds_as_well() {
    run_alone(Duration::from_secs(120), async {
        let server = Server::http(|request: Request<Incoming>| async move {
            let path = request.uri().path().to_owned();
            let _ = request.into_body().collect().await;
            match &*path {
                "/large" => Response::new(body(vec![7; 2_000])),
                "/heavy" => {
                    Response::builder().header("x-large", "x".repeat(10 << 10)).body(empty()).unwrap()
                }
                "/many" => {
                    let head =
                        (0..20).fold(Response::builder(), |head, n| head.header(format!("x-{n}"), "x"));
                    head.body(empty()).unwrap()
                }
                // So long that eight calls are there at once.
                "/slow" => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    Response::new(empty())
                }
                _ => Response::new(empty()),
            }
        })
        .await;
        let grants = format!("grants.http = [{:?}]", server.origin());
        let host = host(&manifest(OUTBOUND, "{{fetcher}}", &grants)).start().await;
        for row in OUTBOUND {
            holds(&host, row, || {
                let (path, target) = row.ask.split_once(" to ").unwrap();
                let sent =
                    if path == "/upload" { chunked(Bytes::from_static(&[7; 500]), 4) } else { empty() };
                let mut asked = request(if path == "/upload" { "POST" } else { "GET" }, path, sent);
                let fields = [
                    ("x-target", server.origin() + target),
                    ("x-calls", "8".into()),
                    ("x-connect-ms", "100".into()),
                ];
                for (name, value) in fields {
                    // A limit of connections is reached when the wait for one is over.
                    if name != "x-connect-ms" || row.limit == "http_connections" {
                        asked.headers_mut().insert(name, value.parse().unwrap());
                    }
                }
                if path == "/upload" {
                    asked.headers_mut().insert("x-method", "POST".parse().unwrap());
                }
                asked
            })
            .await;
        }
    });
}

#[test]
fn calls_at_once_are_counted_over_the_whole_plugin() {
    run(async {
        for (observe, status) in [("", 503), ("observe = [\"calls\"]", 200)] {
            let plugin = "[plugin.guest]\ncomponent = \"{{glutton}}\"\n";
            let limits = format!("[plugin.guest.limits]\ncalls = 1\nwall = \"60s\"\n{observe}\n");
            let route = "[[route]]\npath = \"/{*rest}\"\nplugin = \"guest\"\n";
            let host = host(&format!("{plugin}{limits}{route}")).start().await;
            let mut client = host.connect(Protocol::Http1).await;
            let first =
                tokio::spawn(async move { client.answer(request("GET", "/wait?ms=50000", empty())).await });
            host.admin().wait("guest", "the first call", |status| status["serving"]["in_flight"] == 1).await;
            let second = host.get("/hello").await;
            if status == 503 {
                let refused = second.expect_problem(503, "overloaded");
                assert!(refused.header("retry-after").is_some(), "{refused:?}");
            } else {
                second.expect(200);
            }
            let action = if status == 503 { "refused" } else { "observed" };
            let metrics = host.admin().metrics().await;
            assert_eq!(exceeded(&metrics, "guest", "calls", action), 1.0, "{}", metrics.0);
            host.log().wait("limits.calls is 1; 2 were asked for").await;
            first.abort();
            // Its place is free again.
            eventually("the next call", async || (host.get("/hello").await.status == 200).then_some(()))
                .await;
        }
    });
}

#[test]
fn the_host_takes_no_more_of_a_stream_at_a_time_than_it_may() {
    run(async {
        let limits = "\n[plugin.guest.limits]\nchunk_bytes = \"4KiB\"\n";
        let host = host(&(crate::everything("{{kitchen}}") + limits)).start().await;
        let mut raw = Raw::connect(host.http()).await;
        raw.send("GET /download?bytes=1048576&chunk=65536 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await;
        let answer = raw.read_to_end().await;
        // The chunks of HTTP/1.1 are those that the host took.
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let (mut rest, mut sizes) = (&answer[head..], Vec::new());
        loop {
            let line = rest.windows(2).position(|end| end == b"\r\n").unwrap();
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            sizes.push(size);
            rest = &rest[line + 2 + size + 2..];
        }
        assert_eq!(sizes.iter().sum::<usize>(), 1_048_576);
        assert!(sizes.iter().all(|size| *size <= 4_096), "{sizes:?}");
    });
}

#[test]
fn a_stack_is_as_deep_as_the_engine_lets_it_be() {
    run(async {
        for (stack, status) in [("64KiB", 500), ("2MiB", 200)] {
            let host =
                host(&crate::everything("{{glutton}}")).engine(&format!("stack = {stack:?}")).start().await;
            let answer = host.get("/recurse?n=2500").await;
            if status == 500 {
                answer.expect_problem(500, "guest_trapped");
                host.log().wait("[engine] stack is 64KiB").await;
                let metrics = host.admin().metrics().await;
                assert_eq!(exceeded(&metrics, "guest", "stack", "refused"), 1.0, "{}", metrics.0);
            } else {
                answer.expect(200);
            }
        }
    });
}

/// What the host has taken from its budget, and what that is.
async fn reserved(host: &Host) -> (f64, f64) {
    let metrics = host.admin().metrics().await;
    let sum = |what: &[&str]| metrics.sum("wharf_memory_reserved_bytes", what);
    (sum(&[]), sum(&["what=\"slots\""]))
}

#[test]
fn a_thousand_instances_just_under_their_limit_do_not_fill_the_host() {
    const MIB: u64 = 1 << 20;
    const TOTAL: u64 = 96 * MIB;
    run_alone(Duration::from_secs(300), async {
        let host = host(&format!(
            "[memory]\ntotal = \"{TOTAL}B\"\n[plugin.guest]\ncomponent = \"{{{{glutton}}}}\"\n\
             [plugin.guest.limits]\nmemory = \"3MiB\"\nwall = \"120s\"\ncpu = \"10s\"\n\
             [plugin.guest.pool]\nmax = 1000\nreuse = 1\n\
             [[route]]\npath = \"/{{*rest}}\"\nplugin = \"guest\"\n"
        ))
        .start()
        .await;
        host.get("/hello").await.expect(200);
        let idle = rss_bytes(host.pid());
        // Those that are refused come back at once, and make room for the next connections.
        let (mut calls, connections) = (JoinSet::new(), Arc::new(Semaphore::new(200)));
        for _ in 0..1_000 {
            let (addr, connections) = (host.http(), connections.clone());
            calls.spawn(async move {
                let _connection = connections.acquire().await.unwrap();
                let mut client = Client::connect(addr, Protocol::Http1).await;
                // Nearly all that it may have, and held until all others have come.
                client.answer(request("GET", "/alloc?bytes=1500000&ms=20000", empty())).await
            });
        }
        let (mut served, mut refused) = (0, 0);
        while let Some(answer) = calls.join_next().await {
            let answer = answer.unwrap();
            if answer.status == 200 {
                served += 1;
            } else {
                let answer = answer.expect_problem(503, "overloaded");
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                refused += 1;
            }
        }
        assert_eq!(served + refused, 1_000);
        assert!(served >= 10 && refused >= 500, "{served} were served, {refused} refused");
        let grown = rss_bytes_max(host.pid()) - idle;
        assert!(grown <= TOTAL + TOTAL / 10, "{} MiB beyond the idle host", grown / MIB);
        // Nothing is kept of those that are gone but the slots that the next ones take over.
        eventually("the memory to be given back", async || {
            let (all, slots) = reserved(&host).await;
            (all <= slots + 4.0 * MIB as f64).then_some(())
        })
        .await;
        host.get("/alloc?bytes=1500000").await.expect(200);
    });
}

#[test]
fn what_is_taken_for_an_instance_covers_what_it_takes() {
    run_alone(Duration::from_secs(120), async {
        let host = host(&format!(
            "{}[plugin.guest.limits]\nwall = \"60s\"\n[plugin.guest.pool]\nmax = 128\n",
            crate::everything("{{glutton}}")
        ))
        .start()
        .await;
        host.get("/hello").await.expect(200);
        let (before, taken_before) = (rss_bytes(host.pid()), reserved(&host).await.0);
        let mut calls = JoinSet::new();
        for _ in 0..128 {
            let mut client = Client::connect(host.http(), Protocol::Http1).await;
            calls.spawn(
                async move { client.answer(request("GET", "/wait?ms=3000", empty())).await.expect(200) },
            );
        }
        while calls.join_next().await.is_some() {}
        host.admin().wait("guest", "all instances", |status| status["serving"]["instances"] == 128).await;
        let (after, taken_after) = (rss_bytes(host.pid()), reserved(&host).await.0);
        let (each, taken_each) = ((after - before) / 127, (taken_after - taken_before) / 127.0);
        assert!((each as f64) < taken_each, "{each} bytes, of which {taken_each} were paid for");
    });
}
