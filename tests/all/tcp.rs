//! TCP connections that a plugin opens itself: to the peers that were granted, and to nobody else.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_harness::{Answer, Host, Server, empty, request, run};

use crate::{everything, host};

/// A guest of each world.
const GUESTS: [&str; 3] = ["{{explorer}}", "{{wasip3-explorer}}", "{{wstd-explorer}}"];

/// A server that answers `ping` with `pong` and hangs up.
async fn pong() -> Server {
    Server::raw(|mut stream| async move {
        let mut asked = [0; 5];
        if stream.read_exact(&mut asked).await.is_ok() && asked == *b"ping\n" {
            let _ = stream.write_all(b"pong").await;
        }
        let _ = stream.shutdown().await;
    })
    .await
}

async fn start(component: &str, peers: &[String]) -> Host {
    host(&format!("{}\n[plugin.guest.grants]\ntcp = {peers:?}\n", everything(component))).start().await
}

async fn ask(host: &Host, what: &str, peer: &str) -> Answer {
    let mut order = request("GET", what, empty());
    order.headers_mut().insert("x-peer", peer.parse().unwrap());
    host.send(order).await.expect(200)
}

#[test]
fn a_granted_peer_is_talked_to_from_every_world() {
    run(async {
        let server = pong().await;
        let address = server.address().to_string();
        for component in GUESTS {
            let host = start(component, std::slice::from_ref(&address)).await;
            assert_eq!(ask(&host, "/tcp", &address).await.text(), "pong", "{component}");
        }
    });
}

#[test]
fn a_granted_name_is_looked_up_and_no_other() {
    run(async {
        let server = pong().await;
        let port = server.address().port();
        let peer = format!("localhost:{port}");
        for component in ["{{explorer}}", "{{wstd-explorer}}"] {
            let host = start(component, std::slice::from_ref(&peer)).await;
            assert_eq!(ask(&host, "/tcp", &peer).await.text(), "pong", "{component}");
            let found = ask(&host, "/resolve", &peer).await;
            assert!(found.text().contains(&format!("127.0.0.1:{port}")), "{component}: {found:?}");
            for other in ["other.test:80", "db.internal:5432", &format!("x.localhost:{port}")] {
                let refused = ask(&host, "/resolve", other).await;
                assert!(refused.text().starts_with("error: "), "{component}: {other}: {refused:?}");
            }
        }
        let host = start("{{wasip3-explorer}}", std::slice::from_ref(&peer)).await;
        let found = ask(&host, "/resolve", "localhost").await;
        assert!(found.text().contains("(127, 0, 0, 1)"), "{found:?}");
        assert_eq!(ask(&host, "/resolve", "other.test").await.text(), "error: AccessDenied");
        assert_eq!(ask(&host, "/resolve", "127.1").await.text(), "error: InvalidArgument");
    });
}

#[test]
fn other_peers_are_refused_with_the_line_to_write() {
    run(async {
        let (granted, victim) = (pong().await, pong().await);
        let port = victim.address().port();
        for component in GUESTS {
            let host = start(component, &[granted.address().to_string()]).await;
            for peer in [
                format!("127.0.0.1:{port}"),
                format!("127.0.0.2:{}", granted.address().port()),
                format!("0.0.0.0:{port}"),
                format!("[::1]:{port}"),
                format!("[::ffff:127.0.0.1]:{port}"),
            ] {
                let refused = ask(&host, "/tcp", &peer).await;
                assert!(refused.text().starts_with("error: "), "{component}: {peer}: {refused:?}");
            }
            let wanted = format!("tcp = [\"{}\", \"127.0.0.1:{port}\"]", granted.address());
            let says = |entry: &serde_json::Value| {
                entry["message"].as_str().is_some_and(|text| text.ends_with(&wanted))
            };
            let entry = host.log().wait_json(0, "the line to write", says).await;
            assert_eq!(entry["plugin"], "guest", "{entry}");
            assert_eq!(
                ask(&host, "/tcp", &granted.address().to_string()).await.text(),
                "pong",
                "{component}"
            );
        }
        assert_eq!(victim.counts().accepted, 0);
    });
}

#[test]
fn nothing_listens_and_there_is_no_udp() {
    run(async {
        let server = pong().await;
        let address = server.address().to_string();
        for component in GUESTS {
            let host = start(component, std::slice::from_ref(&address)).await;
            for bound in ["127.0.0.1:0", "0.0.0.0:0", "127.0.0.1:48123", "[::]:0"] {
                let refused = ask(&host, "/listen", bound).await;
                assert!(refused.text().starts_with("error: "), "{component}: {bound}: {refused:?}");
            }
            let refused = ask(&host, "/udp", &address).await;
            assert!(refused.text().starts_with("error: "), "{component}: {refused:?}");
        }
    });
}

#[test]
fn a_component_with_sockets_is_refused_at_load_without_a_grant() {
    run(async {
        for component in GUESTS {
            let app = host(&everything(component)).write();
            for found in [app.wharf(&["check", "."]).await, app.wharf(&["up", ".", "--log", "json"]).await] {
                assert_eq!(found.code, Some(1), "{found:?}");
                for part in ["guest", "wasi:sockets/", "[plugin.guest.grants]", "tcp = ["] {
                    assert!(found.stderr.contains(part), "{part:?} is missing in: {}", found.stderr);
                }
            }
        }
    });
}
