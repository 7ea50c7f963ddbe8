//! What goes with a call of a service beside its arguments: metadata of gRPC, header fields of the other doors.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName};
use serde_json::{Value, json};
use wharf_harness::{Answer, Host, TempDir, body, request, run, run_alone};

use crate::clients::{client, python};
use crate::host;

const SERVICE: &str = "[plugin.it]\ncomponent = \"{{greeter-service}}\"\n";

async fn post(host: &Host, path: &str, json: Value, headers: &[(&'static str, &str)]) -> Answer {
    let mut asked = request("POST", path, body(json.to_string()));
    asked.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    for (name, value) in headers {
        asked.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
    }
    host.send(asked).await
}

/// A field as a parameter, with its value in base64.
fn field(name: &str, base64: &str) -> Value {
    json!({"name": name, "value": base64})
}

/// What the plugin was told of the call, as text.
fn seen(known: &Value) -> String {
    let headers = known["headers"].as_array().unwrap_or_else(|| panic!("{known:#}")).iter();
    headers
        .map(|header| format!("{} {}\n", header["name"].as_str().unwrap(), header["value"].as_str().unwrap()))
        .collect()
}

/// `ann`, and the bytes 0 and 255.
const SENT: [(&str, &str); 2] = [("x-user", "ann"), ("key-bin", "AP8=")];
const SEEN: [&str; 2] = ["x-user YW5u\n", "key-bin AP8=\n"];

#[test]
fn a_stock_grpc_client_sends_metadata_and_gets_what_the_plugin_sets() {
    run_alone(Duration::from_secs(120), async {
        let host = host(SERVICE).start().await;
        let metadata = json!([["x-user", "ann"], ["key-bin", "00ff"]]);
        let call = |method: &str, requests: Value| json!({"method": format!("test.greeter.v1.Callers/{method}"), "requests": requests, "metadata": metadata});
        let raw = field("raw-bin", "AAH/");
        let script = json!([
            call("Who", json!([{}])),
            call(
                "Answer",
                json!([{"headers": [raw, field("x-tag", "MQ=="), field("x-tag", "Mg=="), field("grpc-x", "")]}])
            ),
            call("Refuse", json!([{"header": raw}])),
            call("AnswerLate", json!([{"header": raw}])),
            call("AnswerEach", json!([{"item": raw}, {"item": field("x-tag", "MQ==")}])),
        ]);
        let dir = TempDir::new();
        let file = dir.path().join("calls.json");
        std::fs::write(&file, script.to_string()).unwrap();
        let address = host.http().to_string();
        let told = client(&python(), &["by_reflection.py", &address, file.to_str().unwrap()]);
        let [_, who, answer, refuse, late, each] = told.as_slice() else { panic!("{told:#?}") };

        let known = &who["responses"][0]["result"];
        assert!(SEEN.iter().all(|field| seen(known).contains(field)), "{known:#}");
        assert!(seen(known).contains("user-agent "), "{known:#}");
        for hidden in ["te ", "content-type ", "grpc-", "host ", ":authority "] {
            assert!(!seen(known).contains(hidden), "{hidden}: {known:#}");
        }
        let deadline = known["deadlineMs"].as_u64().unwrap();
        assert!((1..=10_000).contains(&deadline), "the deadline of the client, or the plugin's: {deadline}");

        let has = |answer: &Value, part: &str, name: &str| -> Vec<String> {
            let fields = answer[part].as_array().unwrap().iter().filter(|field| field[0] == name);
            fields.map(|field| field[1].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(has(answer, "initial", "raw-bin"), ["0001ff"], "{answer:#}");
        assert_eq!(has(answer, "initial", "x-tag"), ["1", "2"]);
        assert!(has(answer, "initial", "content-length").is_empty(), "{answer:#}");
        let refused = answer["responses"][0]["result"][3].as_str().unwrap();
        assert!(refused.contains("gRPC's own"), "{answer:#}");
        // A call that fails before it has an answer has trailers only.
        assert_eq!(
            (&refuse["code"], has(refuse, "trailing", "raw-bin")),
            (&json!("NOT_FOUND"), vec!["0001ff".to_owned()])
        );
        assert_eq!(has(late, "initial", "raw-bin"), ["0001ff"], "{late:#}");
        assert_eq!(late["responses"], json!([{"result": "TooLate"}, {"result": "TooLate"}]));
        assert_eq!(has(each, "initial", "x-tag"), ["1"], "{each:#}");
        assert_eq!(has(each, "initial", "raw-bin"), ["0001ff"]);
    });
}

#[test]
fn metadata_that_is_not_base64_is_refused_by_name() {
    run(async {
        let host = host(SERVICE).start().await;
        let mut asked = request("POST", "/test.greeter.v1.Callers/Who", body("\0\0\0\0\0"));
        asked.headers_mut().insert(CONTENT_TYPE, "application/grpc-web+proto".parse().unwrap());
        asked.headers_mut().insert("key-bin", "?".parse().unwrap());
        let answer = host.send(asked).await;
        assert_eq!(answer.header("grpc-status"), Some("3"), "{answer:?}");
        assert!(answer.header("grpc-message").unwrap().contains("\"key-bin\" is not base64"), "{answer:?}");
    });
}

#[test]
fn the_same_fields_are_header_fields_at_every_other_door() {
    run(async {
        let route = "[[route]]\npath = \"/who\"\nplugin = \"it\"\nfunction = \"callers.who\"\n";
        let host = host(&format!("{SERVICE}{route}")).start().await;
        let rpc = "/rpc/test:greeter@1/callers";
        let tag = || field("x-tag", "MQ==");
        let jsonrpc = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": format!("callers.{method}"), "params": params});
        let query = |text: &str| json!({ "query": text });
        let who = "who { requestId route headers { name value } }";

        let mut known = Vec::new();
        let answer = post(&host, &format!("{rpc}/who"), json!({}), &SENT).await.expect(200);
        known.push(answer.json());
        for path in [&format!("{rpc}/who"), "/who"] {
            let mut asked = request("GET", path, wharf_harness::empty());
            asked.headers_mut().insert("x-user", "ann".parse().unwrap());
            asked.headers_mut().insert("key-bin", "AP8".parse().unwrap());
            known.push(host.send(asked).await.expect(200).json());
        }
        known.push(
            post(&host, "/jsonrpc", jsonrpc("who", json!({})), &SENT).await.expect(200).json()["result"]
                .clone(),
        );
        let batch = json!([jsonrpc("who", json!({})), jsonrpc("who", json!({}))]);
        let batch = post(&host, "/jsonrpc", batch, &SENT).await.expect(200).json();
        known.extend([batch[0]["result"].clone(), batch[1]["result"].clone()]);
        let asked = query(&format!("{{ a: {who} b: {who} }}"));
        let data = post(&host, "/graphql", asked, &SENT).await.expect(200).json()["data"].clone();
        known.extend([data["a"].clone(), data["b"].clone()]);
        for known in &known {
            assert!(SEEN.iter().all(|field| seen(known).contains(field)), "{known:#}");
            assert!(!seen(known).contains("content-") && !seen(known).contains("host "), "{known:#}");
            assert_eq!(known["requestId"].as_str().unwrap().len(), 32);
        }
        assert_eq!(known[2]["route"], "/who");

        let fields = json!({"headers": [tag(), field("raw-bin", "AAH/"), field("content-type", "")]});
        let answer = post(&host, &format!("{rpc}/answer"), fields.clone(), &[]).await.expect(200);
        assert_eq!((answer.header("x-tag"), answer.header("raw-bin")), (Some("1"), Some("AAH/")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.json()[2].as_str().unwrap().starts_with("Reserved("), "{}", answer.text());
        for (function, status) in [("refuse", 404), ("fail", 422), ("answer-late", 200)] {
            let answer = post(&host, &format!("{rpc}/{function}"), json!({"header": tag()}), &[]).await;
            assert_eq!(
                (answer.status, answer.header("x-tag")),
                (status, Some("1")),
                "{function}: {answer:?}"
            );
        }
        let crashed = post(&host, &format!("{rpc}/crash"), json!({"header": tag()}), &[]).await;
        assert_eq!((crashed.status, crashed.header("x-tag")), (500, None));

        // The operator's calls go through the admin API, whose responses are no place for a plugin's fields.
        let admin = format!("http://{}", host.admin_addr());
        let operator = async |function: &str, args: Value| {
            let args = ["call", "it", function, &args.to_string(), "--json", "--admin", &admin];
            let called = host.app().wharf(&args).await;
            assert_eq!(called.code, Some(0), "{called:?}");
            called.json()
        };
        assert_eq!(operator("callers.answer", json!({"headers": [tag()]})).await, json!(["NotCarried"]));
        assert_eq!(seen(&operator("callers.who", json!({})).await), "");

        let answer = post(&host, "/jsonrpc", jsonrpc("answer", fields.clone()), &[]).await.expect(200);
        assert_eq!((answer.header("x-tag"), answer.header("raw-bin")), (Some("1"), Some("AAH/")));
        let answer = post(&host, "/jsonrpc", json!([jsonrpc("answer", fields)]), &[]).await.expect(200);
        assert_eq!((answer.header("x-tag"), &answer.json()[0]["result"][0]), (None, &json!("NotCarried")));
        let set = "answer(headers: [{name: \"x-tag\", value: \"MQ==\"}])";
        let answer = post(&host, "/graphql", query(&format!("{{ {set} }}")), &[]).await.expect(200);
        assert_eq!((answer.header("x-tag"), &answer.json()["data"]["answer"]), (Some("1"), &json!([""])));
        let answer =
            post(&host, "/graphql", query(&format!("{{ a: {set} b: {set} }}")), &[]).await.expect(200);
        assert_eq!((answer.header("x-tag"), &answer.json()["data"]["b"]), (None, &json!(["NotCarried"])));
    });
}
