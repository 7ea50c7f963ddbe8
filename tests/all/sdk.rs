//! The SDK in the real host: what its own tests show against fakes, shown against what is real.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::task::JoinSet;
use wharf_harness::{
    Answer, Host, Protocol, RequestBody, Server, body, chunked, components, empty, request, run, upload,
};

use crate::{everything, host};

/// A manifest with a grant of each capability, and one origin that may be called.
fn pantry(origin: &str) -> String {
    everything("{{pantry}}")
        + &format!(
            r#"
            [plugin.guest.config]
            title = "The pantry"
            per_page = "20"
            tags = "flour, salt"
            [plugin.guest.grants]
            keyvalue = ["shelf"]
            http = ["{origin}"]
            env = {{ REGION = "north" }}
            "#
        )
}

/// Nobody listens at this origin, and nobody calls it.
const UNUSED: &str = "http://127.0.0.1:1";

async fn start() -> Host {
    host(&pantry(UNUSED)).start().await
}

fn typed(method: &str, path: &str, content_type: &str, text: &str) -> Request<RequestBody> {
    let mut request = request(method, path, body(text.to_owned()));
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    request
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_plugin_that_uses_no_capability_imports_none() {
    run(async {
        let app = host(&everything("{{version-one}}")).copy("guest.wasm", components::VERSION_ONE).write();
        let inspected = app.wharf(&["inspect", "guest.wasm", "--json"]).await;
        assert_eq!(inspected.code, Some(0), "{inspected:?}");
        let printed = inspected.json().to_string();
        assert!(printed.contains("wasi:logging/logging"), "the imports are printed: {printed}");
        for unused in ["wasi:keyvalue", "wasi:config", "wasi:http/client", "wasi:sockets"] {
            assert!(!printed.contains(unused), "{unused} is imported: {printed}");
        }
    });
}

#[test]
fn what_a_function_asks_for_is_taken_or_refused_by_its_place() {
    run(async {
        let host = start().await;
        let note = json!({ "title": "a b", "stars": 3 });
        let given = note.to_string();
        let answer = host.send(typed("POST", "/json", JSON, &given)).await.expect(201);
        assert_eq!((answer.header("content-type"), answer.json()), (Some(JSON), note.clone()));
        let answer = host.send(typed("POST", "/form", FORM, "title=a+b&stars=3")).await.expect(200);
        assert_eq!(answer.json(), note);
        assert_eq!(host.get("/query?stars=3&title=a%20b").await.expect(200).json(), note);
        assert_eq!(host.get("/path/7/a%20b/c").await.expect(200).text(), "7 and a b/c\n");
        assert_eq!(host.get("/shared").await.expect(200).text(), "shared by all routes");

        for (request, status, kind, says) in [
            (
                typed("POST", "/json", FORM, "title=a"),
                415,
                "unsupported_media_type",
                "content-type: application/json",
            ),
            (typed("POST", "/json", JSON, "{\n oops"), 400, "bad_request", "line 2 column 2"),
            (typed("POST", "/json", JSON, "{\"title\": 1}"), 422, "unprocessable", "line 1 column 11"),
            (
                typed("POST", "/form", FORM, "title=a&stars=x"),
                422,
                "unprocessable",
                "\"stars\": \"x\" is not",
            ),
            (request("GET", "/query?title=a", empty()), 400, "bad_request", "\"stars\" is missing"),
            (
                request("GET", "/path/x/a", empty()),
                400,
                "bad_request",
                "\"first\": \"x\" is not a whole number",
            ),
            (request("GET", "/nowhere", empty()), 404, "not_found", "nothing at this address"),
        ] {
            let answer = host.send(request).await.expect_problem(status, kind);
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(says), "{detail}");
        }
        let refused =
            host.send(request("DELETE", "/json", empty())).await.expect_problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), Some("OPTIONS, POST"));
        assert_eq!(refused.json()["request_id"], refused.header("x-request-id").unwrap());
        let asked = host.send(request("OPTIONS", "/shared", empty())).await.expect(204);
        assert_eq!(asked.header("allow"), Some("GET, HEAD, OPTIONS"));
        let head = host.send(request("HEAD", "/shared", empty())).await.expect(200);
        assert_eq!(head.body, "");
    });
}

#[test]
fn a_streamed_body_is_lent_piece_by_piece() {
    run(async {
        let host = start().await;
        let chunk = Bytes::from("one line\nand another\n".repeat(1_000));
        let counted = host.send(request("POST", "/lines", chunked(chunk, 100))).await.expect(200);
        assert_eq!(counted.text(), "200000 lines\n");
        assert_eq!(host.post("/lines", "a\nb").await.expect(200).text(), "1 lines\n");
    });
}

#[test]
fn values_are_kept_and_changed_whole_whoever_else_writes() {
    run(async {
        let host = start().await;
        let shelf = "/buckets/shelf";
        host.get(&format!("{shelf}/values/a")).await.expect_problem(404, "not_found");
        host.send(request("PUT", &format!("{shelf}/values/a"), body("flour"))).await.expect(204);
        assert_eq!(host.get(&format!("{shelf}/values/a")).await.expect(200).body, "flour");
        host.send(request("HEAD", &format!("{shelf}/values/a"), empty())).await.expect(200);
        host.send(request("DELETE", &format!("{shelf}/values/a"), empty())).await.expect(204);
        host.send(request("HEAD", &format!("{shelf}/values/a"), empty())).await.expect(404);
        let many = typed("POST", shelf, FORM, "prefix=k&count=300&value=v");
        assert_eq!(host.send(many).await.expect(200).text(), "300 set, 150 left\n");
        let keys = host.get(shelf).await.expect(200);
        assert_eq!(keys.text().lines().count(), 150);
        let star = host.post(&format!("{shelf}/notes/n"), "").await.expect(200);
        assert_eq!(star.json(), json!({ "title": "n", "stars": 1 }));

        // Each of eight clients appends its lines and counts them, in instances of their own.
        let mut clients = JoinSet::new();
        for client in 0..8 {
            let mut connection = host.connect(Protocol::Http1).await;
            clients.spawn(async move {
                for line in 0..25 {
                    let text = format!("{client}/{line}");
                    let append = request("POST", "/buckets/shelf/append/log", body(text));
                    connection.answer(append).await.expect(200);
                    let count = request("POST", "/buckets/shelf/increment/count?by=1", empty());
                    connection.answer(count).await.expect(200);
                }
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        let log = host.get(&format!("{shelf}/values/log")).await.expect(200);
        let mut lines: Vec<_> = log.text().lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 200, "no line is lost or torn");
        let count = host.post(&format!("{shelf}/increment/count?by=0"), "").await.expect(200);
        assert_eq!(count.text(), "200\n");
    });
}

#[test]
fn each_refusal_names_the_line_to_write() {
    run(async {
        let host = start().await;
        let refused = host.get("/buckets/cellar").await.expect(200);
        assert!(refused.text().starts_with("refused: "), "{refused:?}");
        assert!(refused.text().contains("[plugin.NAME.grants]: keyvalue = [\"cellar\"]"), "{refused:?}");
        let refused = host.get("/calls/text?url=http://127.0.0.1:2/").await.expect(200);
        assert!(refused.text().starts_with("refused: NotGranted: "), "{refused:?}");
        assert!(refused.text().contains("http = [\"http://127.0.0.1:2\"]"), "{refused:?}");
        let refused = host.get("/config/colour").await.expect(200);
        assert!(refused.text().contains("config = { colour = \"…\" }"), "{refused:?}");
        host.get("/env/HOME").await.expect_problem(404, "not_found");
    });
}

#[test]
fn configuration_and_environment_are_read() {
    run(async {
        let host = start().await;
        let settings = host.get("/config").await.expect(200).json();
        assert_eq!(settings, json!({ "title": "The pantry", "per_page": 20, "tags": ["flour", "salt"] }));
        assert_eq!(host.get("/config/title").await.expect(200).text(), "The pantry");
        assert_eq!(host.get("/env/REGION").await.expect(200).text(), "north");
        let wrong = pantry(UNUSED).replace("\"20\"", "\"many\"");
        let host = crate::host(&wrong).start().await;
        let refused = host.get("/config").await.expect(200);
        assert!(refused.text().contains("\"per_page\": \"many\" is not a whole number"), "{refused:?}");
    });
}

/// Answers with what it saw, and a trailing field.
async fn echo(request: Request<Incoming>) -> Response<RequestBody> {
    let (head, incoming) = request.into_parts();
    let received = incoming.collect().await.unwrap().to_bytes();
    let field = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or("none");
    let seen = format!(
        "{} {} traceparent {} length {}\n",
        head.method,
        head.uri,
        &field("traceparent")[..2],
        field("content-length")
    );
    let answer = [seen.into_bytes(), received.to_vec()].concat();
    Response::builder().status(202).header("x-seen", "yes").body(body(answer)).unwrap()
}

#[test]
fn a_call_is_made_with_its_body_and_its_trace() {
    run(async {
        let server = Server::http(echo).await;
        let host = host(&pantry(&server.origin())).start().await;
        let to = |path: &str| format!("{path}?url={}/a?b", server.origin());
        let answer = host.post(&to("/calls/text"), "hello").await.expect(200);
        assert_eq!(answer.text(), "202: POST /a?b traceparent 00 length 5\nhello\n");
        let answer = host.get(&to("/calls/text")).await.expect(200);
        assert_eq!(answer.text(), "202: GET /a?b traceparent 00 length none\n\n");
        let answer = host.post(&to("/calls/through"), "hello").await.expect(202);
        assert_eq!(answer.header("x-seen"), Some("yes"));
        assert!(answer.text().ends_with("\nhello"), "{answer:?}");

        // Bodies larger than what is handed over whole pass both ways.
        let chunk = Bytes::from(vec![b'x'; 64 << 10]);
        let large = request("PUT", &to("/calls/through"), chunked(chunk, 48));
        let answer = host.send(large).await.expect(202);
        assert_eq!(answer.body.iter().filter(|byte| **byte == b'x').count(), 48 << 16);
    });
}

#[test]
fn bodies_pass_through_a_plugin_while_they_are_made() {
    run(async {
        /// Sends back each piece as it comes.
        async fn send_back(request: Request<Incoming>) -> Response<RequestBody> {
            Response::new(request.into_body().map_err(|error| panic!("{error}")).boxed_unsync())
        }
        let server = Server::http(send_back).await;
        let host = host(&pantry(&server.origin())).start().await;
        let (up, sent) = upload();
        let mut client = host.connect(Protocol::Http2).await;
        let through = request("POST", &format!("/calls/through?url={}/", server.origin()), sent);
        up.send("first ").await;
        let mut answer = client.send(through).await.unwrap();
        assert_eq!(answer.status(), 200);
        let first = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "first ", "it is there before the request has ended");
        up.send("second").await;
        drop(up);
        let rest = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(rest, "second");
    });
}

#[test]
fn a_call_that_takes_too_long_ends() {
    run(async {
        let silent = Server::raw(|mut stream| async move {
            // Until the other side has had enough.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        })
        .await;
        let host = host(&pantry(&silent.origin())).start().await;
        let path = format!("/calls/text?url={}/&timeout_ms=100", silent.origin());
        let answer = host.get(&path).await.expect(200);
        assert!(answer.text().starts_with("refused: Timeout: "), "{answer:?}");
    });
}

#[test]
fn events_of_tracing_are_lines_of_the_host() {
    run(async {
        let host = start().await;
        host.post("/log?level=warn&number=7", "the flour is low").await.expect(204);
        let line = host.log().wait_json(0, "the guest's line", |line| line["target"] == "wharf::guest").await;
        assert_eq!((&line["level"], &line["plugin"]), (&"WARN".into(), &"guest".into()), "{line}");
        assert_eq!(line["context"], "pantry", "{line}");
        assert_eq!(line["message"], "the flour is low number=7", "{line}");
        assert!(line["request_id"].is_string(), "{line}");
    });
}

#[test]
fn events_are_sent_while_they_are_made_and_silence_is_broken() {
    run(async {
        let host = start().await;
        let events = host.get("/events?count=2&ms=130").await.expect(200);
        assert_eq!(events.header("content-type"), Some("text/event-stream"));
        let text = events.text();
        let without: String = text.split_inclusive("\n\n").filter(|event| *event != ":\n\n").collect();
        assert_eq!(
            without,
            "data: 0\ndata: of 2\nevent: count\nid: 0\n\ndata: 1\ndata: of 2\nevent: count\nid: 1\n\n"
        );
        assert!(text.starts_with(":\n\n"), "a comment comes before the first event: {text:?}");
    });
}

#[test]
fn waiting_is_not_computing() {
    run(async {
        let limits = "\n[plugin.guest.limits]\ncpu = \"20ms\"\n";
        let host = host(&(pantry(UNUSED) + limits)).start().await;
        assert_eq!(host.get("/sleep?ms=200").await.expect(200).text(), "slept\n");
    });
}

#[test]
fn work_goes_on_after_the_response_but_not_without_end() {
    run(async {
        let limits = "\n[plugin.guest.limits]\nwall = \"500ms\"\n";
        let host = host(&(pantry(UNUSED) + limits)).start().await;
        let begin = async |path: &str| -> Answer { host.post(path, "").await.expect(202) };
        begin("/background?ms=50").await;
        host.log().wait("the work in the background is done").await;
        let mark = host.log().mark();
        begin("/background?ms=60000").await;
        let busy = |line: &str| line.contains("its guest was still busy 500 ms after the response had ended");
        host.log().wait_from(mark, "the instance is dropped", busy).await;
        assert!(!host.log().since(mark).iter().any(|line| line.contains("background is done")));
        host.get("/shared").await.expect(200);
    });
}
