//! Services of the SDK in the real host, through the door of JSON: every way that a function can be called, and what a
//! swap changes.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use wharf_harness::{Host, Protocol, body, components, process, request, run, run_alone};

use crate::host;

const SERVICE: &str = "[plugin.it]\ncomponent = \"{{greeter-service}}\"\n";

/// What a function answers, as its status and its lines of JSON.
async fn call(host: &Host, function: &str, content_type: &str, sent: String) -> (u16, Vec<Value>) {
    let mut asked = request("POST", &format!("/rpc/test:greeter@1/greetings/{function}"), body(sent));
    asked.headers_mut().insert("content-type", content_type.parse().unwrap());
    let answer = host.send(asked).await;
    let lines =
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")));
    (answer.status, lines.collect())
}

async fn ask(host: &Host, function: &str, args: Value) -> (u16, Vec<Value>) {
    call(host, function, "application/json", args.to_string()).await
}

#[test]
fn every_way_that_a_function_can_be_called_works() {
    run(async {
        let host = host(SERVICE).start().await;
        let ann = json!({"person": {"name": "Ann"}, "tone": "plain"});
        let (status, greeted) = ask(&host, "greet", ann).await;
        assert_eq!(status, 200, "{greeted:?}");
        assert!(greeted[0].as_str().unwrap().contains("Ann"));
        let (status, refused) = ask(&host, "greet", json!({"person": {"name": ""}, "tone": "plain"})).await;
        assert_eq!((status, &refused[0]["kind"]), (400, &json!("nameless")), "{refused:?}");
        let letters: serde_json::Map<_, _> =
            ('a'..='i').map(|letter| (letter.to_string(), json!(letter.to_string()))).collect();
        assert_eq!(
            ask(&host, "many", letters.into()).await.1[0],
            json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"])
        );
        // It waits for something of the host's.
        assert_eq!(ask(&host, "wait", json!({"ms": 20})).await.0, 204);

        let (_, lines) = ask(&host, "greet-all", json!({"names": ["Ann", "Bob"], "times": 2})).await;
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(ask(&host, "count-down", json!({"from": 3})).await.1, [2, 1, 0].map(|n| json!(n)));
        let lines = |first: Value, items: &[Value]| {
            items.iter().fold(first.to_string(), |text, item| format!("{text}\n{item}"))
        };
        let arrivals = lines(json!({"tone": "plain"}), &[json!({"name": "Ann"}), json!({"name": "Bob"})]);
        let (status, summary) = call(&host, "welcome", "application/jsonl", arrivals).await;
        assert_eq!((status, &summary[0]["people"]), (200, &json!(2)), "{summary:?}");
        let numbers = lines(json!({}), &[json!(1), json!(2), json!(39)]);
        assert_eq!(call(&host, "sum", "application/jsonl", numbers).await.1, [json!("42")]);
        let talk = lines(json!({}), &[json!("Ann"), json!("Bob")]);
        let (_, said) = call(&host, "talk", "application/jsonl", talk).await;
        assert_eq!(said, [json!("Hello, Ann!"), json!("Hello, Bob!"), json!("Goodbye!")]);
        let numbered = lines(json!({}), &[json!("one"), json!("two")]);
        assert_eq!(call(&host, "number", "application/jsonl", numbered).await.1.len(), 2);

        // A trap is this call's alone.
        assert_eq!(ask(&host, "count", json!({"fail": true})).await.0, 500);
        assert_eq!(ask(&host, "hello", json!({})).await.0, 200);
    });
}

#[test]
fn a_swap_changes_code_and_schema_between_one_request_and_the_next() {
    run_alone(Duration::from_secs(120), async {
        let host = host(SERVICE).start().await;
        let statuses = async |paths: [&str; 2]| {
            let mut found = Vec::new();
            for path in paths {
                let mut asked = request("POST", path, body("{\"a\": 1, \"b\": 2}"));
                asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
                found.push(host.send(asked).await.status);
            }
            found
        };
        let paths = ["/rpc/test:greeter@1/greetings/hello", "/rpc/test:streams@1/api/add"];
        let etag = async || {
            let answer = host.get("/openapi.json").await.expect(200);
            answer.header("etag").unwrap().to_owned()
        };
        // Unknown parameters are refused: the function is there.
        assert_eq!(statuses(paths).await, [400, 404]);
        let before = etag().await;

        // A stream in flight ends on the generation that it began on.
        let mut client = host.connect(Protocol::Http1).await;
        let mut asked = request("POST", "/rpc/test:greeter@1/greetings/wait", body("{\"ms\": 1500}"));
        asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
        let in_flight = tokio::spawn(async move { client.answer(asked).await.status });
        tokio::time::sleep(Duration::from_millis(200)).await;
        host.admin().put_file("it", components::STREAMS).await.expect(200);
        assert_eq!(statuses(paths).await, [404, 200]);
        assert_ne!(etag().await, before);
        assert_eq!(in_flight.await.unwrap(), 204);

        host.admin().rollback("it").await.expect(200);
        assert_eq!(statuses(paths).await, [400, 404]);
        assert_eq!(etag().await, before);
    });
}

#[test]
fn functions_that_do_not_go_together_are_refused_and_what_served_goes_on() {
    run(async {
        let both = format!("{SERVICE}[plugin.other]\ncomponent = \"{{{{streams}}}}\"\n");
        let host = host(&both).start().await;
        let refused = host.admin().put_file("other", components::GREETER_SERVICE).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        let told = refused.json();
        assert_eq!(told["stage"], "contract");
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains("\"it\"") && detail.contains("\"other\""), "{detail}");
        assert_eq!(ask(&host, "hello", json!({})).await.0, 200);
        let mut asked = request("POST", "/rpc/test:streams@1/api/add", body("{\"a\": 1, \"b\": 2}"));
        asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
        assert_eq!(host.send(asked).await.expect(200).text(), "3");
    });
}

/// The status of a call through each door.
async fn doors(host: &Host) -> Vec<(&'static str, u16)> {
    let json = "application/json";
    let rpc = r#"{"jsonrpc": "2.0", "id": 1, "method": "greetings.hello", "params": {}}"#;
    let asked = [
        ("rest", "POST", "/rpc/test:greeter@1/greetings/hello", json, "{}"),
        ("openapi", "GET", "/openapi.json", json, ""),
        ("docs", "GET", "/docs/", json, ""),
        ("grpc", "POST", "/test.greeter.v1.Greetings/Hello", "application/grpc-web+proto", "\0\0\0\0\0"),
        ("proto", "GET", "/proto/", json, ""),
        ("graphql", "POST", "/graphql", json, r#"{"query": "{ hello }"}"#),
        ("jsonrpc", "POST", "/jsonrpc", json, rpc),
    ];
    let mut found = Vec::new();
    for (name, method, path, content_type, sent) in asked {
        let mut asked = request(method, path, body(sent));
        asked.headers_mut().insert("content-type", content_type.parse().unwrap());
        found.push((name, host.send(asked).await.status));
    }
    found
}

#[test]
fn a_door_that_the_manifest_closes_is_not_there() {
    run(async {
        let open = host(SERVICE).start().await;
        assert!(doors(&open).await.iter().all(|(_, status)| *status == 200), "{:?}", doors(&open).await);
        for (key, closed) in [
            ("rest", &["rest"][..]),
            ("openapi", &["openapi", "docs"]),
            ("grpc", &["grpc", "proto"]),
            ("reflection", &["proto"]),
            ("graphql", &["graphql"]),
            ("jsonrpc", &["jsonrpc"]),
        ] {
            let shut = host(&format!("[doors]\n{key} = false\n{SERVICE}")).start().await;
            for (name, status) in doors(&shut).await {
                assert_eq!(status, if closed.contains(&name) { 404 } else { 200 }, "{key} = false: {name}");
            }
        }
        // The same for one plugin, whose functions are then in no document of the others.
        let one = host(&format!("{SERVICE}doors = [\"jsonrpc\"]\n")).start().await;
        for (name, status) in doors(&one).await {
            assert_eq!(status, if name == "jsonrpc" { 200 } else { 404 }, "doors = [\"jsonrpc\"]: {name}");
        }
        let elsewhere = host(&format!("[doors]\nhost = \"api.example.com\"\n{SERVICE}")).start().await;
        // gRPC's clients understand a status of gRPC, and no 404: it is answered, and calls nobody.
        for (name, status) in doors(&elsewhere).await {
            assert_eq!(status, if name == "grpc" { 200 } else { 404 }, "at another host: {name}");
        }
        let metrics = elsewhere.admin().metrics().await;
        assert_eq!(metrics.sum("wharf_rpc_calls_total", &[]), 0.0, "a door was open at another host");
    });
}

#[test]
fn what_is_larger_than_a_message_may_be_is_refused_at_every_door() {
    run(async {
        let host = host(&format!("[doors]\nmessage_bytes = \"1KiB\"\nbatch = 2\n{SERVICE}")).start().await;
        let name = "x".repeat(2_000);
        let (status, refused) = ask(&host, "greet", json!({"person": {"name": name}, "tone": "plain"})).await;
        assert_eq!((status, &refused[0]["kind"]), (413, &json!("payload_too_large")));
        let post = async |path: &str, content_type: &str, sent: Vec<u8>| {
            let mut asked = request("POST", path, body(sent));
            asked.headers_mut().insert("content-type", content_type.parse().unwrap());
            host.send(asked).await
        };
        let json_type = "application/json";
        let query = json!({"query": format!("{{ hello # {name}\n }}")}).to_string();
        assert_eq!(post("/graphql", json_type, query.into_bytes()).await.status, 413);
        let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "greetings.hello", "params": {"x": name}})
            .to_string();
        let answer = post("/jsonrpc", json_type, rpc.into_bytes()).await;
        assert_eq!(answer.json()["error"]["data"]["kind"], "payload_too_large", "{}", answer.text());
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "greetings.hello"});
        let answer = post("/jsonrpc", json_type, json!([call, call, call]).to_string().into_bytes()).await;
        assert!(answer.json()["error"]["code"].is_i64(), "{}", answer.text());
        let mut message = vec![0, 0, 0, 0x07, 0xd0];
        message.resize(5 + 2_000, 0);
        let answer = post("/test.greeter.v1.Greetings/Hello", "application/grpc-web+proto", message).await;
        // RESOURCE_EXHAUSTED, as a trailer of gRPC-Web or a header.
        let told =
            answer.header("grpc-status").map_or(answer.text().contains("grpc-status:8"), |code| code == "8");
        assert!(told, "{answer:?}");
        assert_eq!(ask(&host, "hello", json!({})).await.0, 200);
    });
}

#[test]
fn a_compressed_bomb_is_refused_at_every_door_and_costs_no_memory() {
    run_alone(Duration::from_secs(120), async {
        let host = host(&format!("[doors]\nmessage_bytes = \"1MiB\"\n{SERVICE}")).start().await;
        assert_eq!(ask(&host, "hello", json!({})).await.0, 200);
        // 512 MiB of blanks in half a MiB: members of a gzip file may follow each other (RFC 1952, section 2.2).
        let mut member = GzEncoder::new(Vec::new(), Compression::best());
        member.write_all(&vec![b' '; 4 << 20]).unwrap();
        let bomb = member.finish().unwrap().repeat(128);
        assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
        let rss = process::rss_bytes(host.pid());

        for path in ["/test.greeter.v1.Greetings/Hello", "/test.greeter.v1.Greetings/Sum"] {
            let mut message = vec![1];
            message.extend_from_slice(&(bomb.len() as u32).to_be_bytes());
            message.extend_from_slice(&bomb);
            let mut asked = request("POST", path, body(message));
            asked.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            asked.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
            let answer = host.connect(Protocol::Http2).await.answer(asked).await.expect(200);
            assert_eq!(answer.header("grpc-status"), Some("8"), "{path}: {answer:?}");
            assert!(
                answer.header("grpc-message").unwrap().contains("unfolds to more than the 1MiB"),
                "{answer:?}"
            );
        }
        for path in [
            "/rpc/test:greeter@1/greetings/hello",
            "/rpc/test:greeter@1/greetings/sum",
            "/jsonrpc",
            "/graphql",
        ] {
            let mut asked = request("POST", path, body(bomb.clone()));
            let lines = path.ends_with("sum");
            let content_type = if lines { "application/jsonl" } else { "application/json" };
            asked.headers_mut().insert("content-type", content_type.parse().unwrap());
            asked.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            let answer = host.send(asked).await.expect(415);
            assert_eq!(answer.header("accept-encoding"), Some("identity"), "{path}: {answer:?}");
            assert!(answer.text().contains("send it without `content-encoding`"), "{path}: {answer:?}");
        }
        let more = process::rss_bytes_max(host.pid()).saturating_sub(rss);
        assert!(more < 24 << 20, "{more} bytes more");
        assert_eq!(ask(&host, "hello", json!({})).await.0, 200);
    });
}
