//! Sockets: a plugin that speaks with clients in messages, with a WebSocket client that other people wrote.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Response;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use wharf_harness::process::{rss_bytes, rss_bytes_max};
use wharf_harness::{Answer, Host, Protocol, components, empty, eventually, request, run};

use crate::{everything, host};

/// Longer than any of these tests may wait for an exit.
const SOON: Duration = Duration::from_secs(15);

type Socket = WebSocketStream<TcpStream>;

/// The parrot, with more lines for its section of the manifest.
fn parrot(more: &str) -> String {
    everything("{{parrot}}").replacen("component =", &format!("{more}\ncomponent ="), 1)
}

async fn start(more: &str) -> Host {
    host(&parrot(more)).start().await
}

async fn dial(host: &Host, path: &str) -> Result<Socket, Response<Option<Vec<u8>>>> {
    let stream = TcpStream::connect(host.http()).await.unwrap();
    match client_async(format!("ws://{}{path}", host.http()), stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(*response),
        Err(other) => panic!("{other}"),
    }
}

async fn open(host: &Host, path: &str) -> Socket {
    dial(host, path).await.unwrap_or_else(|response| panic!("{response:?}"))
}

async fn say(socket: &mut Socket, message: impl Into<Message>) {
    socket.send(message.into()).await.unwrap();
}

/// The next message, which is neither ping nor pong.
async fn hear(socket: &mut Socket) -> Message {
    loop {
        match socket.next().await.expect("the socket is open").unwrap() {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return message,
        }
    }
}

async fn ask(socket: &mut Socket, text: &str) -> String {
    say(socket, text).await;
    hear(socket).await.into_text().unwrap().as_str().to_owned()
}

/// What the host closes the socket with, past everything that it still says.
async fn closed(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = hear(socket).await {
            return frame.expect("a close has a code").code.into();
        }
    }
}

/// The answer to a handshake, as one of HTTP.
async fn handshake(host: &Host, path: &str, more: &[(&'static str, &str)]) -> Answer {
    let mut asked = request("GET", path, empty());
    let fields = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (name, value) in fields.iter().chain(more) {
        asked.headers_mut().insert(*name, value.parse().unwrap());
    }
    let mut client = host.connect(Protocol::Http1).await;
    client.answer(asked).await
}

#[test]
fn what_is_said_comes_back() {
    run(async {
        let host = start("grants = { env = { NAME = \"polly\" } }").await;
        let mut socket = open(&host, "/cage/7?perch=top").await;
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        assert_eq!(ask(&mut socket, "").await, "");
        assert_eq!(ask(&mut socket, "ĝis ✓").await, "ĝis ✓");
        let bytes = Bytes::from((0..=255).cycle().take(300_000).collect::<Vec<u8>>());
        say(&mut socket, bytes.clone()).await;
        assert_eq!(hear(&mut socket).await, Message::Binary(bytes));
        assert_eq!(ask(&mut socket, "who").await, "polly at cage/7 has heard 5");
        // The host answers pings, whatever the plugin does.
        socket.send(Message::Ping(Bytes::from_static(b"here"))).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"here")));

        let open = async || host.admin().metrics().await.sum("wharf_sockets_open", &[]);
        assert_eq!(open().await, 1.0);
        assert_eq!(ask(&mut self::open(&host, "/").await, "who").await, "polly at  has heard 1");
        drop(socket);
        eventually("both sockets to be over", async || (open().await == 0.0).then_some(())).await;
    });
}

#[test]
fn who_is_refused_gets_a_problem_and_no_socket() {
    run(async {
        let host = start("limits = { wall = \"300ms\" }").await;
        let refused = handshake(&host, "/refuse", &[]).await.expect(409).json();
        assert_eq!((&refused["kind"], &refused["detail"]), (&"conflict".into(), &"the parrot sleeps".into()));
        host.log().wait("it is night").await;
        assert_eq!(handshake(&host, "/fall", &[]).await.expect(500).json()["kind"], "guest_trapped");
        assert_eq!(handshake(&host, "/slow", &[]).await.expect(504).json()["kind"], "timeout");
        let elsewhere = [("origin", "https://evil.example")];
        handshake(&host, "/", &elsewhere).await.expect(403);
        handshake(&host, "/", &[("sec-websocket-version", "8")]).await.expect(400);
        assert_eq!(dial(&host, "/refuse").await.unwrap_err().status(), 409);
        open(&host, "/").await;
    });
}

#[test]
fn a_request_that_offers_no_upgrade_is_told_what_to_upgrade_to() {
    run(async {
        let host = start("").await;
        for protocol in Protocol::ALL {
            let mut client = host.connect(protocol).await;
            let answer = client.answer(request("GET", "/", empty())).await.expect(426);
            assert_eq!(answer.json()["kind"], "upgrade_required");
            // HTTP/2 has no upgrades (RFC 9113, section 8.6).
            let named = (protocol == Protocol::Http1).then_some("websocket");
            assert_eq!(answer.header("upgrade"), named);
        }
    });
}

#[test]
fn each_end_has_its_code() {
    run(async {
        let host = start("limits = { cpu = \"100ms\", request_body = \"512KiB\" }").await;
        let mut socket = open(&host, "/").await;
        say(&mut socket, "bye").await;
        assert_eq!(closed(&mut socket).await, 1000);
        assert!(socket.next().await.is_none_or(|end| end.is_err()), "the connection is over");

        let mark = host.log().mark();
        for text in ["trap", "spin"] {
            let mut socket = open(&host, "/").await;
            say(&mut socket, text).await;
            assert_eq!(closed(&mut socket).await, 1011, "{text}");
        }
        host.log().wait_from(mark, "the trap", |line| line.contains("told to")).await;
        host.log().wait_from(mark, "the end", |line| line.contains("a socket was cut")).await;

        let mut socket = open(&host, "/").await;
        say(&mut socket, vec![0; 600 << 10]).await;
        assert_eq!(closed(&mut socket).await, 1009);
        let mut socket = open(&host, "/").await;
        let not_text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
        socket.send(Message::Frame(not_text)).await.unwrap();
        assert_eq!(closed(&mut socket).await, 1007);
        // No neighbour noticed.
        assert_eq!(ask(&mut open(&host, "/").await, "hello").await, "hello");
    });
}

#[test]
fn a_message_is_as_long_as_the_doors_let_it_be() {
    run(async {
        let manifest = parrot("").replacen('\n', "\n[doors]\nmessage_bytes = \"64KiB\"\n", 1);
        let host = host(&manifest).start().await;
        let mut socket = open(&host, "/").await;
        say(&mut socket, vec![1; 64 << 10]).await;
        assert_eq!(hear(&mut socket).await.len(), 64 << 10);
        // What is left of it is not read.
        let _ = socket.send(vec![1; (64 << 10) + 1].into()).await;
        assert_eq!(closed(&mut socket).await, 1009);

        let mut socket = open(&host, "/").await;
        say(&mut socket, "flood 1 65537").await;
        assert_eq!(closed(&mut socket).await, 1011);
    });
}

#[test]
fn a_client_that_leaves_is_not_the_end_of_the_instance() {
    run(async {
        let host = start("pool = { max = 1, queue = 0 }").await;
        for round in 1..4 {
            let mark = host.log().mark();
            let mut socket = open(&host, "/").await;
            assert_eq!(ask(&mut socket, "hello").await, "hello");
            // There is no other instance.
            assert_eq!(handshake(&host, "/", &[]).await.expect(503).json()["kind"], "overloaded");
            match round {
                // Without a word.
                1 => drop(socket),
                _ => {
                    socket.close(None).await.unwrap();
                    while let Some(Ok(_)) = socket.next().await {}
                }
            }
            // It gets to tidy up.
            host.log().wait_from(mark, "its last words", |line| line.contains("it was left after 1")).await;
            let idle = |status: &serde_json::Value| status["serving"]["in_flight"] == 0;
            host.admin().wait("guest", "the instance is free", idle).await;
        }
        let metrics = host.admin().metrics().await;
        assert_eq!(metrics.sum("wharf_plugin_instances_made_total", &[]), 1.0, "{}", metrics.0);
    });
}

#[test]
fn a_plugin_that_does_not_listen_keeps_its_client() {
    run(async {
        let host = start("").await;
        let mut socket = open(&host, "/").await;
        assert_eq!(ask(&mut socket, "deaf").await, "what?");
        for _ in 0..50 {
            say(&mut socket, "hello?").await;
        }
        socket.send(Message::Ping(Bytes::new())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(Bytes::new()));
        socket.close(None).await.unwrap();
        assert!(matches!(hear(&mut socket).await, Message::Close(_)));
    });
}

/// Less than what goes by.
const GROWTH_MAX: u64 = 48 << 20;

#[test]
fn a_client_that_reads_slowly_holds_the_plugin_back() {
    run(async {
        const COUNT: usize = 150;
        let host = start("").await;
        let (mut slow, mut other) = (open(&host, "/").await, open(&host, "/").await);
        assert_eq!(ask(&mut slow, "hello").await, "hello");
        let before = rss_bytes(host.pid());
        say(&mut slow, format!("flood {COUNT} {}", 1 << 20)).await;
        for n in 0..COUNT {
            // All the time in the world, for a plugin that is not held back.
            assert_eq!(ask(&mut other, "hello").await, "hello");
            let message = hear(&mut slow).await;
            assert!(
                message.len() == 1 << 20 && message.into_data().iter().all(|byte| *byte == n as u8),
                "{n}"
            );
        }
        assert_eq!(hear(&mut slow).await.into_text().unwrap().as_str(), format!("{COUNT} sent"));
        let grown = rss_bytes_max(host.pid()).saturating_sub(before);
        assert!(grown < GROWTH_MAX, "the host grew by {grown} bytes");
    });
}

#[test]
fn a_plugin_that_listens_slowly_holds_its_client_back() {
    run(async {
        const COUNT: u8 = 150;
        let host = start("").await;
        let mut socket = open(&host, "/").await;
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        let before = rss_bytes(host.pid());
        say(&mut socket, "nap 500").await;
        let (mut speaks, mut hears) = socket.split();
        let speaking = tokio::spawn(async move {
            for n in 0..COUNT {
                speaks.send(Message::from(vec![n; 1 << 20])).await.unwrap();
            }
        });
        assert_eq!(hears.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "awake");
        for n in 0..COUNT {
            let message = hears.next().await.unwrap().unwrap();
            assert!(message.len() == 1 << 20 && message.into_data().iter().all(|byte| *byte == n), "{n}");
        }
        speaking.await.unwrap();
        let grown = rss_bytes_max(host.pid()).saturating_sub(before);
        assert!(grown < GROWTH_MAX, "the host grew by {grown} bytes");
    });
}

#[test]
fn a_socket_goes_on_where_it_began_when_its_plugin_is_swapped() {
    run(async {
        let host = start("grants = { env = { NAME = \"polly\" } }").await;
        let mut old = open(&host, "/").await;
        assert_eq!(ask(&mut old, "who").await, "polly at  has heard 1");
        host.app().set_manifest(&parrot("grants = { env = { NAME = \"jack\" } }"));
        let swapped = |status: &serde_json::Value| status["serving"]["generation"] == 2;
        host.admin().wait("guest", "the next generation", swapped).await;

        let mut new = open(&host, "/").await;
        assert_eq!(ask(&mut new, "who").await, "jack at  has heard 1");
        assert_eq!(ask(&mut old, "who").await, "polly at  has heard 2");
        assert_eq!(host.admin().plugin("guest").await["draining"], serde_json::json!([1]));
        say(&mut old, "bye").await;
        assert_eq!(closed(&mut old).await, 1000);
        let drained = |status: &serde_json::Value| status["draining"] == serde_json::json!([]);
        host.admin().wait("guest", "the old generation is gone", drained).await;
        assert_eq!(ask(&mut new, "who").await, "jack at  has heard 2");
    });
}

#[test]
fn a_handler_and_a_socket_can_take_each_others_place() {
    run(async {
        let host = host(&everything("{{version-one}}")).start().await;
        host.get("/version").await.expect(200);
        handshake(&host, "/version", &[]).await.expect(200);
        host.admin().put_file("guest", components::PARROT).await.expect(200);
        assert_eq!(host.admin().plugin("guest").await["serving"]["world"], "wharf:plugin/socket@0.1.0");
        host.get("/version").await.expect(426);
        let mut socket = open(&host, "/version").await;
        host.admin().rollback("guest").await.expect(200);
        host.get("/version").await.expect(200);
        assert_eq!(ask(&mut socket, "hello").await, "hello");
    });
}

#[test]
fn a_host_that_shuts_down_says_so() {
    run(async {
        let host = host(&format!("[http]\ndrain_timeout = \"60s\"\n{}", parrot(""))).start().await;
        let mut listens = open(&host, "/").await;
        assert_eq!(ask(&mut listens, "hello").await, "hello");
        // This one has said something that nobody takes.
        let mut naps = open(&host, "/").await;
        for text in ["nap 3600000", "hello?", "hello?"] {
            say(&mut naps, text).await;
        }
        host.sigterm();
        assert_eq!(closed(&mut listens).await, 1001);
        assert_eq!(closed(&mut naps).await, 1001);
        host.log().wait("it was left after 1").await;
        assert_eq!(host.wait_exit(SOON).await, Some(0));
    });
}

#[test]
fn a_socket_on_which_nobody_says_anything_is_ended() {
    run(async {
        let host = start("limits = { stream_idle = \"300ms\" }").await;
        let mut socket = open(&host, "/").await;
        assert_eq!(closed(&mut socket).await, 1001);
        host.log().wait("stream_idle").await;
    });
}
