//! Requests of plugins to other services: with the grant from every world, and not a byte without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Barrier, mpsc};
use wharf_harness::{
    Answer, Authority, Host, Protocol, RequestBody, Server, TempDir, body, chunked, empty, request, run,
    run_alone, upload, within,
};

use crate::{everything, host};

/// A guest of each world, and the interface through which it calls out.
const GUESTS: [(&str, &str); 3] = [
    ("{{fetcher}}", "wasi:http/client@0.3"),
    ("{{wasip3-fetcher}}", "wasi:http/client@0.3"),
    ("{{wstd-fetcher}}", "wasi:http/outgoing-handler@0.2"),
];

/// Longer than anything that is bounded by the limits below.
const BOUND: Duration = Duration::from_secs(20);

/// A manifest in which `component` may call `origins`.
fn granted(component: &str, origins: &[String], limits: &str) -> String {
    format!(
        "{}\n[plugin.guest.grants]\nhttp = {origins:?}\n[plugin.guest.limits]\n{limits}\n",
        everything(component)
    )
}

async fn start(component: &str, origins: &[String], limits: &str) -> Host {
    host(&granted(component, origins, limits)).start().await
}

/// Asks the guest to call `target`.
async fn fetch(host: &Host, path: &str, target: &str, more: &[(&str, &str)]) -> Answer {
    within(BOUND, target, host.send(order("GET", path, target, more, empty()))).await
}

fn order(
    method: &str,
    path: &str,
    target: &str,
    more: &[(&str, &str)],
    body: RequestBody,
) -> Request<RequestBody> {
    let mut order = request(method, path, body);
    for (name, value) in more.iter().chain([&("x-target", target)]) {
        let name: http::HeaderName = name.parse().unwrap();
        order.headers_mut().insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    order
}

/// Answers with what it saw: method, target, version, fields and the body.
async fn echo(request: Request<Incoming>) -> Response<RequestBody> {
    let (head, incoming) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", head.method, head.uri, head.version);
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    let received = incoming.collect().await.unwrap().to_bytes();
    let answer = [text.into_bytes(), b"\n".to_vec(), received.to_vec()].concat();
    Response::builder().status(201).header("x-seen", "yes").body(body(answer)).unwrap()
}

#[test]
fn a_granted_origin_is_called_from_every_world() {
    run(async {
        let server = Server::http(echo).await;
        for (component, _) in GUESTS {
            let host = start(component, &[server.origin()], "").await;
            for protocol in Protocol::ALL {
                let order = order("GET", "/fetch", &(server.origin() + "/a/b?c=d"), &[], empty());
                let answer = host.connect(protocol).await.answer(order).await.expect(201);
                assert_eq!(answer.header("x-seen"), Some("yes"), "{component}: {answer:?}");
                let seen = answer.text();
                assert!(seen.starts_with("GET /a/b?c=d HTTP/1.1\n"), "{component}: {seen}");
                let own = format!("host: {}\n", server.address());
                assert!(seen.contains(&own), "{component}: the host field is not the destination's: {seen}");
                assert_eq!(seen.matches("host: ").count(), 1, "{component}: {seen}");
                assert!(seen.contains("x-sent-by: guest\n"), "{component}: {seen}");
                assert!(!seen.contains("transfer-encoding"), "{component}: a GET was given a body: {seen}");
            }
        }
    });
}

#[test]
fn what_is_not_granted_is_an_error_to_the_guest_and_one_line_to_write() {
    run(async {
        let (granted, other) = (Server::http(echo).await, Server::http(echo).await);
        for (component, _) in GUESTS {
            let host = start(component, &[granted.origin()], "").await;
            let answer = fetch(&host, "/fetch", &other.origin(), &[]).await.expect(502);
            assert_eq!(answer.text(), "HttpRequestDenied\n", "{component}");
            let id = answer.header("x-request-id").unwrap();
            let line = format!("http = [{:?}, {:?}]", granted.origin(), other.origin());
            let says = |entry: &serde_json::Value| entry.to_string().contains("which it was not granted");
            let entry = host.log().wait_json(0, "the line to write", says).await;
            assert!(entry["message"].as_str().unwrap().ends_with(&line), "{entry}");
            assert_eq!((&entry["plugin"], &entry["request_id"]), (&"guest".into(), &id.into()), "{entry}");
            fetch(&host, "/fetch", &granted.origin(), &[]).await.expect(201);
        }
        assert_eq!(other.counts().accepted, 0);
    });
}

#[test]
fn a_component_that_calls_out_is_refused_at_load_without_a_grant() {
    run(async {
        for (component, interface) in GUESTS {
            let app = host(&everything(component)).write();
            for found in [app.wharf(&["check", "."]).await, app.wharf(&["up", ".", "--log", "json"]).await] {
                assert_eq!(found.code, Some(1), "{found:?}");
                for part in
                    ["\"guest\"", interface, "[plugin.guest.grants]", "http = [\"https://api.example.com\"]"]
                {
                    let escaped = part.replace('"', "\\\"");
                    let says = found.stderr.contains(part) || found.stderr.contains(&escaped);
                    assert!(says, "{part:?} is missing in: {}", found.stderr);
                }
            }
        }
    });
}

#[test]
fn https_is_spoken_with_the_roots_of_the_system_and_http2_where_it_is_offered() {
    run(async {
        let (trusted, unknown) = (Authority::new(), Authority::new());
        let server = Server::https(&trusted, "localhost", echo).await;
        let forged = Server::https(&unknown, "localhost", echo).await;
        let misnamed = Server::https(&trusted, "other.test", echo).await;
        let roots = TempDir::new();
        let pem = roots.path().join("roots.pem");
        std::fs::write(&pem, trusted.pem()).unwrap();
        let origin = |server: &Server| server.at("localhost").replace("http:", "https:");
        let origins = [origin(&server), origin(&forged), origin(&misnamed)];
        for (component, _) in GUESTS {
            let manifest = granted(component, &origins, "");
            let host = host(&manifest).env("SSL_CERT_FILE", pem.to_str().unwrap()).start().await;
            let answer = fetch(&host, "/fetch", &(origin(&server) + "/a?b"), &[]).await.expect(201);
            let seen = format!("GET {}/a?b HTTP/2.0\n", origin(&server));
            assert!(answer.text().starts_with(&seen), "{component}: {}", answer.text());
            for other in [&forged, &misnamed] {
                let answer = fetch(&host, "/fetch", &origin(other), &[]).await.expect(502);
                assert_eq!(answer.text().trim(), "TlsCertificateError", "{component}");
            }
        }
    });
}

#[test]
fn a_reload_takes_a_grant_away() {
    run(async {
        let (first, second) = (Server::http(echo).await, Server::http(echo).await);
        let host = start("{{fetcher}}", &[first.origin(), second.origin()], "").await;
        fetch(&host, "/fetch", &first.origin(), &[]).await.expect(201);
        assert_eq!(first.counts().open, 1, "the connection is kept for the next call");
        host.app().set_manifest(&granted("{{fetcher}}", &[second.origin()], ""));
        host.admin()
            .wait("guest", "the next generation", |status| status["serving"]["generation"] == 2)
            .await;
        first.wait("the connection to be closed", |counts| counts.open == 0).await;
        let answer = fetch(&host, "/fetch", &first.origin(), &[]).await.expect(502);
        assert_eq!(answer.text(), "HttpRequestDenied\n");
        fetch(&host, "/fetch", &second.origin(), &[]).await.expect(201);
        assert_eq!(first.counts().accepted, 1);
    });
}

#[test]
fn a_request_body_reaches_the_peer_as_it_is_sent() {
    run(async {
        for (component, _) in GUESTS {
            let (chunks, mut seen) = mpsc::unbounded_channel();
            let server = Server::http(move |request| {
                let chunks = chunks.clone();
                async move {
                    let mut incoming = request.into_body();
                    while let Some(frame) = incoming.frame().await {
                        if let Ok(data) = frame.unwrap().into_data() {
                            let _ = chunks.send(data);
                        }
                    }
                    Response::new(body("received"))
                }
            })
            .await;
            let host = start(component, &[server.origin()], "wall = \"20s\"").await;
            let (writer, sent) = upload();
            let order = order("POST", "/upload", &server.origin(), &[("x-method", "POST")], sent);
            let mut client = host.connect(Protocol::Http1).await;
            let answer = tokio::spawn(async move { client.answer(order).await });
            for chunk in ["one", "two", "three"] {
                // The next chunk is written when the peer has this one.
                writer.send(chunk).await;
                let arrived = within(BOUND, chunk, seen.recv()).await;
                assert_eq!(arrived.as_deref(), Some(chunk.as_bytes()), "{component}");
            }
            drop(writer);
            assert_eq!(answer.await.unwrap().expect(200).text(), "received", "{component}");
        }
    });
}

#[test]
fn a_response_body_reaches_the_client_as_it_is_sent() {
    run(async {
        for (component, _) in GUESTS {
            let (bodies, mut started) = mpsc::unbounded_channel();
            let server = Server::http(move |_| {
                let (writer, sent) = upload();
                let _ = bodies.send(writer);
                async { Response::new(sent) }
            })
            .await;
            let host = start(component, &[server.origin()], "").await;
            let mut client = host.connect(Protocol::Http1).await;
            let mut answer =
                client.send(order("GET", "/fetch", &server.origin(), &[], empty())).await.unwrap();
            let writer = started.recv().await.unwrap();
            for chunk in ["one", "two", "three"] {
                writer.send(chunk).await;
                let frame = within(BOUND, chunk, answer.frame()).await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), chunk, "{component}");
            }
            drop(writer);
            assert!(answer.frame().await.is_none(), "{component}");
        }
    });
}

#[test]
fn a_client_that_stops_reading_stops_the_peer() {
    run(async {
        static CHUNK: [u8; 64 << 10] = [7; 64 << 10];
        const WHOLE: u64 = 1 << 30;
        for (component, _) in GUESTS {
            let sent = Arc::new(AtomicU64::new(0));
            let counted = sent.clone();
            let server = Server::raw(move |mut stream| {
                let sent = counted.clone();
                async move {
                    if !read_head(&mut stream).await {
                        return;
                    }
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {WHOLE}\r\n\r\n");
                    let _ = stream.write_all(head.as_bytes()).await;
                    while sent.load(Relaxed) < WHOLE && stream.write_all(&CHUNK).await.is_ok() {
                        sent.fetch_add(CHUNK.len() as u64, Relaxed);
                    }
                }
            })
            .await;
            let host = start(component, &[server.origin()], "").await;
            let mut client = host.connect(Protocol::Http1).await;
            let mut answer =
                client.send(order("GET", "/fetch", &server.origin(), &[], empty())).await.unwrap();
            answer.frame().await.unwrap().unwrap();
            // Nobody reads the rest: it stays with the peer, which is told in the end.
            drop((answer, client));
            server.wait("the peer to be told", |counts| counts.open == 0).await;
            // What the kernel holds for three sockets is all there is.
            let sent = sent.load(Relaxed);
            assert!(sent < 64 << 20, "{component}: the peer could send {sent} bytes");
        }
    });
}

#[test]
fn what_goes_wrong_has_the_code_that_wasi_http_has_for_it() {
    run(async {
        let (_port, closed) = nobody_listens();
        let silent = Server::raw(|stream| async move { hold(stream).await }).await;
        let garbage = raw_answer("HTTP/1.1 what?\r\n\r\n").await;
        let hangs_up = raw_answer("").await;
        for (component, _) in GUESTS {
            let origins = [closed.clone(), silent.origin(), garbage.origin(), hangs_up.origin()];
            let host = start(component, &origins, "").await;
            for (target, more, code) in [
                (&origins[0], &[][..], "ConnectionRefused"),
                (&origins[1], &[("x-first-byte-ms", "100")], "ConnectionReadTimeout"),
                (&origins[2], &[], "HttpProtocolError"),
                (&origins[3], &[], "ConnectionTerminated"),
            ] {
                let answer = fetch(&host, "/fetch", target, more).await.expect(502);
                assert_eq!(answer.text().trim(), code, "{component}: {target}");
            }
        }
    });
}

/// An origin where nobody listens.
/// An origin that refuses connections for as long as its port is held, so that no other test gets it.
fn nobody_listens() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let origin = format!("http://{}", socket.local_addr().unwrap());
    (socket, origin)
}

/// Reads what comes until the peer hangs up, and says nothing.
async fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// Reads a request's head, writes `answer`, and hangs up.
async fn raw_answer(answer: &'static str) -> Server {
    Server::raw(move |mut stream| async move {
        if read_head(&mut stream).await {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Reads the head of one request; false when the client hung up instead.
async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

#[test]
fn a_response_that_is_cut_is_not_taken_for_a_whole_one() {
    run(async {
        let short = raw_answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
        for (component, _) in GUESTS {
            let host = start(component, &[short.origin()], "").await;
            let mut client = host.connect(Protocol::Http1).await;
            let order = order("GET", "/fetch", &short.origin(), &[], empty());
            // With the head still unread, the connection may just break.
            if let Ok(answer) = within(BOUND, "the answer", client.try_answer(order)).await {
                assert!(answer.cut.is_some() || answer.status >= 500, "{component}: {answer:?}");
            }
        }
    });
}

#[test]
fn the_deadline_of_a_call_bounds_the_calls_it_makes() {
    run(async {
        let silent = Server::raw(hold).await;
        for (component, _) in GUESTS {
            let host = start(component, &[silent.origin()], "wall = \"400ms\"").await;
            let asked = Instant::now();
            let answer = fetch(&host, "/fetch", &silent.origin(), &[]).await;
            // Whoever looks at the clock first: the host, or the guest that is told.
            assert!([502, 504].contains(&answer.status), "{component}: {answer:?}");
            assert!(asked.elapsed() < Duration::from_secs(10), "{component}: {:?}", asked.elapsed());
            silent.wait("the call to end with its caller", |counts| counts.open == 0).await;
        }
    });
}

#[test]
fn calls_that_are_made_while_a_response_is_streamed_have_no_deadline() {
    run(async {
        let slow = Server::http(|_| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Response::new(empty())
        })
        .await;
        let host = start("{{fetcher}}", &[slow.origin()], "wall = \"500ms\"").await;
        let answer = fetch(&host, "/events", &slow.origin(), &[]).await.expect(200);
        assert_eq!(answer.text(), "data: 200\n\n".repeat(3));
    });
}

#[test]
fn calls_beyond_the_limit_fail_at_once() {
    run(async {
        const CALLS: usize = 6;
        for (component, _) in GUESTS {
            // Nobody is answered before all that may be there are.
            let all_there = Arc::new(Barrier::new(CALLS));
            let server = Server::http(move |_| {
                let all_there = all_there.clone();
                async move {
                    all_there.wait().await;
                    Response::new(body("x"))
                }
            })
            .await;
            let host = start(component, &[server.origin()], &format!("http_calls = {CALLS}")).await;
            let answer = fetch(&host, "/flood", &server.origin(), &[("x-calls", "20")]).await.expect(200);
            assert_eq!(answer.text(), "6 200\n14 ConnectionLimitReached\n", "{component}");
            let labels = ["plugin=\"guest\"", "outcome=\"connection_limit_reached\""];
            let refused = host.admin().metrics().await.sum("wharf_egress_requests_total", &labels);
            assert_eq!(refused, 14.0, "{component}");
        }
    });
}

#[test]
fn connections_beyond_the_limit_are_waited_for_and_then_refused() {
    run(async {
        let server = Server::http(|_| async { Response::new(body("x")) }).await;
        for (component, _) in GUESTS {
            let host = start(component, &[server.origin()], "http_connections = 2").await;
            // The guest reads no body before all its calls have ended, so no connection comes free.
            let more = [("x-calls", "5"), ("x-connect-ms", "200")];
            let answer = fetch(&host, "/flood", &server.origin(), &more).await.expect(200);
            assert_eq!(answer.text(), "2 200\n3 ConnectionLimitReached\n", "{component}");
        }
        assert!(server.counts().open_max <= 2, "{:?}", server.counts());
    });
}

#[test]
fn a_response_is_bounded_in_its_head_and_its_body() {
    run(async {
        let server = Server::http(|request: Request<Incoming>| async move {
            match request.uri().path() {
                "/head" => Response::builder().header("x-large", "x".repeat(10 << 10)).body(empty()).unwrap(),
                "/said" => Response::new(body(vec![7; 1025])),
                "/unsaid" => Response::new(chunked(Bytes::from_static(&[7; 512]), 3)),
                _ => Response::new(body(vec![7; 1024])),
            }
        })
        .await;
        let limits = "http_response_headers = \"8KiB\"\nhttp_response_body = \"1KiB\"";
        for (component, _) in GUESTS {
            let host = start(component, &[server.origin()], limits).await;
            let fits = fetch(&host, "/fetch", &(server.origin() + "/fits"), &[]).await.expect(200);
            assert_eq!(fits.body.len(), 1024, "{component}");
            for (path, code) in
                [("/head", "HttpResponseHeaderSectionSize"), ("/said", "HttpResponseBodySize")]
            {
                let answer = fetch(&host, "/fetch", &(server.origin() + path), &[]).await.expect(502);
                assert_eq!(answer.text().trim(), code, "{component}");
            }
            let target = server.origin() + "/unsaid";
            let mut client = host.connect(Protocol::Http1).await;
            if let Ok(answer) = client.try_answer(order("GET", "/fetch", &target, &[], empty())).await {
                assert!(answer.cut.is_some() || answer.status >= 500, "{component}: {answer:?}");
                assert!(answer.body.len() <= 1024, "{component}: {answer:?}");
            }
        }
    });
}

#[test]
fn a_connection_without_calls_is_closed_in_time() {
    run(async {
        let server = Server::http(echo).await;
        let host = start("{{fetcher}}", &[server.origin()], "http_idle = \"100ms\"").await;
        fetch(&host, "/fetch", &server.origin(), &[]).await.expect(201);
        server.wait("the idle connection to be closed", |counts| counts.open == 0).await;
        fetch(&host, "/fetch", &server.origin(), &[]).await.expect(201);
        assert_eq!(server.counts().accepted, 2);
    });
}

#[test]
fn neighbours_do_not_notice_a_plugin_that_calls_out_without_end() {
    run_alone(Duration::from_secs(90), async {
        for (component, _) in GUESTS {
            let server = Server::http(|_| async { Response::new(body("x")) }).await;
            let host = host(&format!(
                r#"
                [plugin.caller]
                component = "{component}"
                [plugin.caller.grants]
                http = [{:?}]
                [plugin.caller.limits]
                http_calls = 16
                http_connections = 8
                # What it leaves behind must not end it before its time is up.
                streams = 100_000
                cpu = "1s"
                wall = "2s"

                [plugin.neighbour]
                component = "{{{{version-one}}}}"

                [[route]]
                path = "/{{*rest}}"
                plugin = "caller"

                [[route]]
                path = "/neighbour"
                plugin = "neighbour"
                "#,
                server.origin()
            ))
            .start()
            .await;
            host.get("/neighbour").await.expect(200);
            let mut calling = tokio::task::JoinSet::new();
            for _ in 0..4 {
                let (addr, origin) = (host.http(), server.origin());
                calling.spawn(async move {
                    let mut client = wharf_harness::Client::connect(addr, Protocol::Http1).await;
                    client.answer(order("GET", "/endless", &origin, &[("x-calls", "64")], empty())).await
                });
            }
            host.admin().wait("caller", "all call out", |status| status["serving"]["in_flight"] == 4).await;
            let (mut served, mut slowest) = (0, Duration::ZERO);
            while calling.len() == 4 && calling.try_join_next().is_none() {
                let asked = Instant::now();
                host.get("/neighbour").await.expect(200);
                slowest = slowest.max(asked.elapsed());
                served += 1;
            }
            assert!(served >= 10, "{component}: only {served} answers");
            assert!(slowest < Duration::from_secs(1), "{component}: a neighbour waited {slowest:?}");
            // The server learns of a connection's end a moment after the next one may have been opened.
            let open_max = server.counts().open_max;
            assert!(open_max <= 4 * 8, "{component}: {open_max} connections at once, for 256 calls");
            while let Some(ended) = calling.join_next().await {
                let answer = ended.unwrap();
                assert_eq!(answer.status, 504, "{component}: {answer:?}");
            }
            server.wait("its connections to be closed or idle", |counts| counts.open <= 8).await;
        }
    });
}

/// Hosts that some program takes for loopback or a metadata service, none of them granted.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.8.8.8",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0x7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "127.0.0.1.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::1%25lo]",
    "[fe80::1%25eth0]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::1]",
    "[::]",
    "LOCALHOST.",
    "x.localhost",
    "%6cocalhost",
    "%31%32%37.0.0.1",
    "localhost@127.0.0.1",
    "localhost%40127.0.0.1",
    "localhost:80@127.0.0.1",
    "169.254.169.254",
    "2852039166",
    "[fd00:ec2::254]",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "ｌocalhost",
];

#[test]
fn no_spelling_of_an_address_is_a_way_around_the_grants() {
    run(async {
        let victim = Server::http(echo).await;
        let door = Server::http(|request: Request<Incoming>| async move {
            // `/302?http://elsewhere/` redirects there; `/302?/302?…` to itself first.
            let status: u16 = request.uri().path()[1..].parse().unwrap();
            let location = request.uri().query().unwrap().to_owned();
            let moved = Response::builder().status(status).header("location", location);
            moved.body(empty()).unwrap_or_else(|_| Response::new(body("no such location")))
        })
        .await;
        let door_at = door.at("localhost");
        for (component, _) in GUESTS {
            let host = start(component, std::slice::from_ref(&door_at), "").await;
            let refused = async |target: &str, more: &[(&str, &str)]| {
                let answer = fetch(&host, "/fetch", target, more).await.expect(502);
                // A guest's own library may have its own words for what is no URL.
                let own = component == "{{wstd-fetcher}}";
                let codes = ["HttpRequestDenied", "HttpRequestUriInvalid"];
                assert!(own || codes.contains(&answer.text().trim()), "{component}: {target}: {answer:?}");
            };
            for spelling in SPELLINGS {
                refused(&victim.at(spelling), &[]).await;
            }
            let ftp = fetch(&host, "/fetch", &format!("ftp://{}", victim.address()), &[]).await.expect(502);
            assert!(
                component == "{{wstd-fetcher}}" || ftp.text() == "HttpProtocolError\n",
                "{component}: {ftp:?}"
            );
            if component == "{{wstd-fetcher}}" {
                continue; // It does not follow redirects.
            }
            for status in [301, 302, 303, 307, 308] {
                for spelling in SPELLINGS.iter().filter(|spelling| spelling.is_ascii()) {
                    let target = victim.at(spelling);
                    refused(&format!("{door_at}/{status}?{target}"), &[("x-follow", "5")]).await;
                }
                // As the end of a chain whose first hops are allowed, relative and with another scheme.
                let target = victim.origin();
                for chain in [
                    format!("{door_at}/{status}?/{status}?{target}"),
                    format!("{door_at}/{status}?{door_at}/{status}?/{status}?{target}"),
                    format!("{door_at}/{status}?https://localhost:{}/", door.address().port()),
                ] {
                    refused(&chain, &[("x-follow", "5")]).await;
                }
            }
        }
        assert_eq!(victim.counts().accepted, 0);
    });
}
