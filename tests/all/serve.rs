//! What a client gets through the host, and what a plugin gets to see.

use std::collections::BTreeSet;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use wharf_harness::{Answer, Client, Protocol, empty, request, run, upload};

use crate::{everything, host};

#[test]
fn a_handler_answers_over_http_1_and_http_2() {
    run(async {
        for (component, path, text) in
            [("{{kitchen}}", "/hello", "hello\n"), ("{{raw-handler}}", "/", "raw\n")]
        {
            let host = host(&everything(component)).start().await;
            for protocol in Protocol::ALL {
                let mut client = host.connect(protocol).await;
                for _ in 0..3 {
                    let answer = client.answer(request("GET", path, empty())).await.expect(200);
                    assert_eq!(answer.text(), text);
                    assert_eq!(answer.header("content-length"), Some(text.len().to_string().as_str()));
                    assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
                    assert!(answer.header("date").is_some());
                }
            }
        }
    });
}

#[test]
fn a_call_leaves_nothing_behind_in_its_instance() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        // One call at a time is always the same instance's.
        let mut client = host.connect(Protocol::Http1).await;
        let mut pages = Vec::new();
        for _ in 0..3 {
            let memory = client.answer(request("GET", "/memory", empty())).await.expect(200);
            pages.push(memory.text().trim().parse::<usize>().unwrap());
            // A hundred bytes of each would be three pages.
            for _ in 0..2_000 {
                client.answer(request("GET", "/hello", empty())).await.expect(200);
            }
        }
        assert_eq!(pages[1], pages[2], "{pages:?}");
    });
}

#[test]
fn the_ready_made_echo_plugin_says_what_it_was_asked() {
    run(async {
        let host = host(&everything("{{echo}}")).start().await;
        let described = host.get("/some/path?q").await.expect(200);
        assert!(described.text().starts_with("GET "), "{described:?}");
        assert!(described.text().contains("/some/path?q"), "{described:?}");
        assert_eq!(host.post("/", "a body").await.expect(200).text(), "a body");
    });
}

#[test]
fn a_plugin_sees_the_request_as_it_was_sent() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for protocol in Protocol::ALL {
            let mut request = request("PATCH", "/reflect?a=1&b=%20", wharf_harness::body("fourteen bytes"));
            request.headers_mut().insert("x-custom", "some value".parse().unwrap());
            request.headers_mut().insert("host", "notes.example:81".parse().unwrap());
            let seen = host.connect(protocol).await.answer(request).await.expect(200).json();
            assert_eq!(seen["method"], "PATCH");
            assert_eq!(seen["scheme"], "http");
            assert_eq!(seen["authority"], "notes.example:81");
            assert_eq!(seen["path_with_query"], "/reflect?a=1&b=%20");
            assert_eq!(seen["body_bytes"], 14);
            assert_eq!(seen["caller"], Value::Null);
            let deadline_ms = seen["deadline_ms"].as_u64().unwrap();
            assert!((1..=5_000).contains(&deadline_ms), "{seen}");
            let headers = seen["headers"].as_array().unwrap();
            assert!(headers.contains(&json!(["x-custom", "some value"])), "{seen}");
            assert!(headers.contains(&json!(["host", "notes.example:81"])), "{seen}");
            assert!(!headers.iter().any(|header| header[0] == "connection"), "{seen}");
        }
    });
}

#[test]
fn a_request_keeps_its_id_and_its_trace() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let mut traced = request("GET", "/reflect", empty());
        traced.headers_mut().insert("x-request-id", "from-the-client-1".parse().unwrap());
        traced
            .headers_mut()
            .insert("traceparent", format!("00-{trace}-b7ad6b7169203331-01").parse().unwrap());
        let answer = host.send(traced).await.expect(200);
        assert_eq!(answer.header("x-request-id"), Some("from-the-client-1"));
        let seen = answer.json();
        assert_eq!(seen["request_id"], "from-the-client-1");
        let traceparent = seen["traceparent"].as_str().unwrap();
        assert!(
            traceparent.starts_with(&format!("00-{trace}-")) && traceparent.ends_with("-01"),
            "{traceparent}"
        );
        assert!(!traceparent.contains("b7ad6b7169203331"), "the host's span is the client's: {traceparent}");

        let mut forged = request("GET", "/reflect", empty());
        forged.headers_mut().insert("x-request-id", "two words".parse().unwrap());
        forged.headers_mut().insert("traceparent", "00-nonsense".parse().unwrap());
        let seen = host.send(forged).await.expect(200).json();
        assert_eq!(seen["request_id"].as_str().map(str::len), Some(32), "{seen}");
        assert_eq!(seen["traceparent"].as_str().map(str::len), Some(55), "{seen}");
    });
}

#[test]
fn routes_are_found_by_host_method_and_the_longest_path() {
    run(async {
        let host = host(
            r#"
            [plugin.kitchen]
            component = "{{kitchen}}"

            [plugin.raw]
            component = "{{raw-handler}}"

            [[route]]
            path = "/reflect/{first}/{second}"
            plugin = "kitchen"

            [[route]]
            path = "/reflect/{*rest}"
            plugin = "kitchen"

            [[route]]
            path = "/reflect/fixed"
            plugin = "raw"

            [[route]]
            host = "raw.example"
            path = "/hello"
            plugin = "raw"

            [[route]]
            path = "/hello"
            methods = ["GET", "POST"]
            plugin = "kitchen"
            "#,
        )
        .start()
        .await;
        let seen = async |path: &str| {
            let seen = host.get(path).await.expect(200).json();
            (seen["route"].clone(), seen["params"].clone(), seen["path_with_query"].clone())
        };
        assert_eq!(
            seen("/reflect/a%20b/c%2Fd?q").await,
            (
                json!("/reflect/{first}/{second}"),
                json!([["first", "a b"], ["second", "c/d"]]),
                json!("/reflect/a%20b/c%2Fd?q")
            )
        );
        assert_eq!(
            seen("/reflect/x/./y/../../1//2/3").await,
            (json!("/reflect/{*rest}"), json!([["rest", "1/2/3"]]), json!("/reflect/1/2/3"))
        );
        assert_eq!(host.get("/reflect/fixed").await.expect(200).text(), "raw\n");

        assert_eq!(host.get("/hello").await.expect(200).text(), "hello\n");
        let mut elsewhere = request("GET", "/hello", empty());
        elsewhere.headers_mut().insert("host", "RAW.example:8080".parse().unwrap());
        assert_eq!(host.send(elsewhere).await.expect(200).text(), "raw\n");

        let refused =
            host.send(request("DELETE", "/hello", empty())).await.expect_problem(405, "method_not_allowed");
        let allowed: BTreeSet<&str> = refused.header("allow").unwrap().split(", ").collect();
        assert_eq!(allowed, BTreeSet::from(["GET", "HEAD", "OPTIONS", "POST"]));
        let options = host.send(request("OPTIONS", "/hello", empty())).await.expect(204);
        assert_eq!(options.header("allow"), refused.header("allow"));
        host.get("/nothing/here").await.expect_problem(404, "not_found");
    });
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for protocol in Protocol::ALL {
            let mut client = host.connect(protocol).await;
            let get = client.answer(request("GET", "/hello", empty())).await.expect(200);
            let head = client.answer(request("HEAD", "/hello", empty())).await.expect(200);
            assert!(head.body.is_empty());
            for same in ["content-type", "content-length"] {
                assert_eq!(head.header(same), get.header(same), "{same}");
            }
            // An endless stream has a head as well, and the connection goes on after it.
            client.answer(request("HEAD", "/sse?forever", empty())).await.expect(200);
            client.answer(request("GET", "/hello", empty())).await.expect(200);
        }
    });
}

#[test]
fn headers_and_statuses_of_a_plugin_arrive_as_they_are() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for protocol in Protocol::ALL {
            let mut client = host.connect(protocol).await;
            let answer = client.answer(request("GET", "/cookies", empty())).await.expect(200);
            let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
            assert_eq!(cookies, ["flavour=vanilla; Path=/", "size=large; HttpOnly"]);
            for status in [201, 204, 304, 404, 418, 599] {
                let answer =
                    client.answer(request("GET", &format!("/status/{status}"), empty())).await.expect(status);
                assert!(answer.body.is_empty(), "{answer:?}");
            }
        }
    });
}

#[test]
fn a_failure_has_its_status_and_its_private_text_is_only_in_the_log() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for (kind, status) in [
            ("bad_request", 400),
            ("not_found", 404),
            ("conflict", 409),
            ("unprocessable", 422),
            ("rate_limited", 429),
            ("unavailable", 503),
            ("own_kind", 500),
            // What only the host can find cannot be imitated.
            ("overloaded", 500),
        ] {
            let answer = host.get(&format!("/fail/{kind}")).await.expect_problem(status, kind);
            let problem = answer.json();
            assert_eq!(problem["detail"], "told to fail");
            assert_eq!(problem["request_id"], answer.header("x-request-id").unwrap());
            assert!(!answer.text().contains("secret"), "{answer:?}");
            let id = answer.header("x-request-id").unwrap();
            let logged = |line: &Value| line["request_id"] == id && line["private"] == "secret detail";
            host.log().wait_json(0, "the private text", logged).await;
        }
    });
}

#[test]
fn an_error_that_a_plugin_did_not_expect_is_a_clean_500() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let answer = host.get("/error").await;
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("digit"), "the error's own text was sent: {answer:?}");
        let id = answer.header("x-request-id").unwrap();
        let logged = |line: &Value| line["request_id"] == id && line.to_string().contains("invalid digit");
        host.log().wait_json(0, "the error's own text", logged).await;
    });
}

#[test]
fn a_plugin_sees_no_environment_but_what_was_granted() {
    run(async {
        let none = host(&everything("{{kitchen}}")).env("HOST_SECRET", "1").start().await;
        assert_eq!(none.get("/env").await.expect(200).text(), "");
        let grants = "\n[plugin.guest.grants]\nenv = { COLOUR = \"blue\", SIZE = \"large\" }\n";
        let some = host(&(everything("{{kitchen}}") + grants)).env("HOST_SECRET", "1").start().await;
        assert_eq!(some.get("/env").await.expect(200).text(), "COLOUR=blue\nSIZE=large\n");
    });
}

#[test]
fn an_event_arrives_while_the_stream_is_still_open() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for protocol in Protocol::ALL {
            let mut client = host.connect(protocol).await;
            let response = client.send(request("GET", "/sse?forever", empty())).await.unwrap();
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            let mut body = response.into_body();
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(first.starts_with(b"data: 0\n\n"), "{first:?}");
            drop(body);
            drop(client);
            // The guest would have gone on for ever; without a reader it ends.
            host.admin()
                .wait("guest", "the stream has ended", |status| status["serving"]["in_flight"] == 0)
                .await;
        }
        let three = host.get("/sse?events=3").await.expect(200);
        assert_eq!(three.text(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    });
}

#[test]
fn trailers_pass_in_both_directions() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for protocol in Protocol::ALL {
            let mut request = request("GET", "/trailers", empty());
            request.headers_mut().insert("te", "trailers".parse().unwrap());
            let answer = host.connect(protocol).await.answer(request).await.expect(200);
            assert_eq!(answer.text(), "a body with trailers\n");
            let trailers = answer.trailers.unwrap_or_else(|| panic!("{protocol:?}: no trailers"));
            assert_eq!(trailers["x-checksum"], "abc");
        }

        // Handed back by an echo: what the guest received.
        let mut client = host.connect(Protocol::Http2).await;
        let (upload, body) = upload();
        let (response, ()) = tokio::join!(client.send(request("POST", "/echo", body)), async {
            upload.send("a body").await;
            let trailers = [(http::HeaderName::from_static("x-sent"), http::HeaderValue::from_static("yes"))];
            upload.trailers(http::HeaderMap::from_iter(trailers)).await;
        });
        let answer = Answer::read(response.unwrap()).await.expect(200);
        assert_eq!(answer.text(), "a body");
        assert_eq!(answer.trailers.unwrap()["x-sent"], "yes");
    });
}

#[test]
fn a_download_waits_for_its_reader() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for protocol in Protocol::ALL {
            let mut client = host.connect(protocol).await;
            let path = "/download?bytes=50000000&chunk=65536";
            let response = client.send(request("GET", path, empty())).await.unwrap();
            // The buffers between guest and reader are full after a few megabytes; then the guest must wait,
            // and waiting must not keep others from being served.
            for _ in 0..20 {
                host.get("/hello").await.expect(200);
            }
            let status = host.admin().plugin("guest").await;
            assert_eq!(status["serving"]["in_flight"], 1, "{protocol:?}: nobody has read, yet it has ended");
            let answer = Answer::read(response).await.expect(200);
            assert_eq!(answer.body.len(), 50_000_000);
            let gap = answer.body.iter().enumerate().find(|(n, byte)| (n % 251) as u8 != **byte);
            assert_eq!(gap, None, "{protocol:?}");
        }
    });
}

#[test]
fn sixty_four_streams_of_one_http_2_connection_are_served_at_once() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let mut client: Client = host.connect(Protocol::Http2).await;
        let mut open = Vec::new();
        for _ in 0..64 {
            open.push(client.send(request("GET", "/download?bytes=200000", empty())).await.unwrap());
        }
        // All at once: they share the connection's window, and an unread one would hold up the others.
        let mut reading = tokio::task::JoinSet::new();
        for response in open {
            reading.spawn(Answer::read(response));
        }
        for answer in reading.join_all().await {
            assert_eq!(answer.expect(200).body.len(), 200_000);
        }
    });
}
