//! Rows of the GraphQL-over-HTTP audit, and what else a client sees of HTTP.

use super::*;
use crate::{PersistedConfig, request::sha256};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn status_and_type(door: &GraphqlDoor, accept: Option<&str>, body: &str) -> (u16, String, Json) {
    let mut headers = vec![JSON];
    headers.extend(accept.map(|accept| ("accept", accept)));
    let (status, headers, body) =
        read(send(door, request(Method::POST, "/graphql", &headers, body)).await).await;
    let content_type = headers["content-type"].to_str().unwrap().to_owned();
    (status.as_u16(), content_type, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn the_status_follows_the_media_type_that_the_client_accepts() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let response = "application/graphql-response+json; charset=utf-8";
    let plain = "application/json; charset=utf-8";
    let rows = [
        (None, r#"{"query":"{ __typename }"}"#, 200, response),
        (Some("*/*"), r#"{"query":"{ __typename }"}"#, 200, response),
        (Some("application/*"), r#"{"query":"{ __typename }"}"#, 200, response),
        (Some("application/json"), r#"{"query":"{ __typename }"}"#, 200, plain),
        (Some("application/json; charset=utf-8"), r#"{"query":"{ __typename }"}"#, 200, plain),
        (Some("application/graphql-response+json"), r#"{"query":"{ __typename }"}"#, 200, response),
        (
            Some("application/graphql-response+json;q=0.1, application/json"),
            r#"{"query":"{ __typename }"}"#,
            200,
            plain,
        ),
        // Does not parse, is not valid, variables that do not fit.
        (Some("application/json"), r#"{"query":"{"}"#, 200, plain),
        (None, r#"{"query":"{"}"#, 400, response),
        (Some("application/json"), r#"{"query":"{ nothing }"}"#, 200, plain),
        (None, r#"{"query":"{ nothing }"}"#, 400, response),
        (
            None,
            r#"{"query":"query($id: UInt32!) { get(id: $id) { id } }","variables":{"id":null}}"#,
            400,
            response,
        ),
        (
            None,
            r#"{"query":"query($id: UInt32!) { get(id: $id) { id } }","variables":{"id":"x"}}"#,
            400,
            response,
        ),
        (None, r#"{"query":"query A { __typename } query B { __typename }"}"#, 400, response),
        (None, r#"{"query":"query A { __typename }","operationName":"B"}"#, 400, response),
        // Not a request at all.
        (Some("application/json"), r#"{"query":"#, 400, plain),
        (Some("application/json"), r#"{"query":"{ __typename }","query":"{ __typename }"}"#, 400, plain),
        (
            Some("application/json"),
            r#"{"query":"{ __typename }","variables":{"a":{"b":1,"b":1}}}"#,
            400,
            plain,
        ),
        (Some("application/json"), r#"{"qeury":"{ __typename }"}"#, 400, plain),
        (Some("application/json"), r#"{"query":{"a":1}}"#, 400, plain),
        (Some("application/json"), r#"{"query":7}"#, 400, plain),
        (Some("application/json"), r#"{"query":["x"]}"#, 400, plain),
        (Some("application/json"), r#"{"query":"{ __typename }","variables":"x"}"#, 400, plain),
        (Some("application/json"), r#"{"query":"{ __typename }","variables":[1]}"#, 400, plain),
        (Some("application/json"), r#"{"query":"{ __typename }","operationName":1}"#, 400, plain),
        (Some("application/json"), r#"{"query":"{ __typename }","extensions":"x"}"#, 400, plain),
        (Some("application/json"), r#"[{"query":"{ __typename }"}]"#, 400, plain),
        // Null is as good as nothing, and what is unknown is not looked at.
        (
            None,
            r#"{"query":"{ __typename }","variables":null,"operationName":null,"extensions":null}"#,
            200,
            response,
        ),
        (None, r#"{"query":"{ __typename }","more":1,"extensions":{"x":1}}"#, 200, response),
        (
            None,
            r#"{"query":"query A { __typename } query B { all { id } }","operationName":"A"}"#,
            200,
            response,
        ),
        // Executed, with an error.
        (None, r#"{"query":"{ get(id: 404) { id } }"}"#, 200, response),
        (Some("image/png"), r#"{"query":"{ __typename }"}"#, 406, response),
    ];
    for (accept, body, status, content_type) in rows {
        let got = status_and_type(&door, accept, body).await;
        assert_eq!((got.0, got.1.as_str()), (status, content_type), "{accept:?} {body}: {}", got.2);
        let has_data = got.2.get("data").is_some();
        assert_eq!(
            has_data,
            status == 200 && got.2.get("errors").is_none_or(|e| e[0].get("path").is_some()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn other_methods_types_and_mutations_over_get_are_refused() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let rows = [
        (Method::GET, "/graphql?query=%7B__typename%7D", vec![], 200),
        (Method::GET, "/graphql?query=%7B__typename%7D&variables=%7B%7D&operationName=", vec![], 200),
        (
            Method::GET,
            "/graphql?query=query(%24n%3AString)%7Bhello(name%3A%24n)%7D&variables=%7B%22n%22%3A%22x%22%7D",
            vec![],
            200,
        ),
        (Method::GET, "/graphql?query=mutation%7Breset%7D", vec![], 405),
        (Method::GET, "/graphql?query=%7B__typename%7D&variables=x", vec![], 400),
        (
            Method::GET,
            "/graphql?query=%7B__typename%7D&variables=%7B%22a%22%3A1%2C%22a%22%3A1%7D",
            vec![],
            400,
        ),
        (Method::GET, "/graphql", vec![], 400),
        (Method::PUT, "/graphql", vec![JSON], 405),
        (Method::POST, "/graphql", vec![], 415),
        (Method::POST, "/graphql", vec![("content-type", "text/plain")], 415),
        (Method::POST, "/graphql", vec![("content-type", "application/x-www-form-urlencoded")], 415),
        (Method::POST, "/graphql", vec![("content-type", "application/json; charset=utf-16")], 415),
        (Method::POST, "/graphql", vec![("content-type", "application/json; charset=utf-8")], 200),
    ];
    for (method, uri, headers, status) in rows {
        let body = if method == Method::GET { "" } else { r#"{"query":"{ __typename }"}"# };
        let response = send(&door, request(method, uri, &headers, body)).await;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            assert!(response.headers().contains_key("allow"));
        }
        let (got, _, body) = read(response).await;
        assert_eq!(got.as_u16(), status, "{uri}: {body:?}");
        assert!(serde_json::from_slice::<Json>(&body).unwrap().is_object());
    }
}

#[tokio::test]
async fn a_failed_field_is_null_and_leaves_the_others_and_tells_what_the_contract_declares() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let got = ask(&door, "{ a: get(id: 1) { id name } b: get(id: 404) { id } hello }").await;
    assert_eq!(got["data"], json!({ "a": { "id": 1, "name": "got" }, "b": null, "hello": "Hello" }));
    let error = &got["errors"][0];
    assert_eq!(error["message"], "There is no thing 404.");
    assert_eq!(error["path"], json!(["b"]));
    assert_eq!(error["locations"], json!([{ "line": 1, "column": 29 }]));
    let extensions = json!({
        "code": "NOT_FOUND", "request_id": "test-1", "error": { "notFound": "There is no thing 404." },
    });
    assert_eq!(error["extensions"], extensions);
}

#[tokio::test]
async fn what_cannot_be_null_takes_the_data_with_it_and_no_private_text_gets_out() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let got = ask(&door, "{ hello break }").await;
    assert_eq!(got["data"], Json::Null);
    assert_eq!(got["errors"][0]["extensions"]["code"], "GUEST_TRAPPED");
    assert!(!got.to_string().contains("secret"));
}

#[tokio::test]
async fn mutations_run_in_their_order_and_one_that_says_nothing_gives_true() {
    let things = things();
    let door = door(std::slice::from_ref(&things), &[], GraphqlConfig::default()).unwrap();
    let got = ask(
        &door,
        "mutation { a: rename(id: 1, name: \"x\") { name } reset b: rename(id: 2, name: \"y\") { name } }",
    );
    assert_eq!(got.await["data"], json!({ "a": { "name": "x" }, "reset": true, "b": { "name": "y" } }));
    assert_eq!(things.called(), ["rename", "reset", "rename"]);
}

#[tokio::test]
async fn a_field_that_is_repeated_is_called_once_and_merged() {
    let things = things();
    let door = door(std::slice::from_ref(&things), &[], GraphqlConfig::default()).unwrap();
    let query = "query($y: Boolean!) { get(id: 1) { id } ...F ... @include(if: $y) { get(id: 1) { __typename } } \
                 get(id: 1) @skip(if: $y) { n: name } } fragment F on Query { get(id: 1) { name } }";
    let got = ask_with(&door, query, json!({ "y": true })).await;
    assert_eq!(got["data"], json!({ "get": { "id": 1, "name": "got", "__typename": "Thing" } }));
    assert_eq!(things.called(), ["get"]);
    let got = ask_with(&door, query, json!({ "y": false })).await;
    assert_eq!(got["data"], json!({ "get": { "id": 1, "name": "got", "n": "got" } }));
    let got = ask(&door, "{ get(id: 1) { x: id } ... { get(id: 1) { x: name } } }").await;
    assert_eq!(first_error(&got), "\"x\" stands for different fields: give one of them an alias.");
    let got = ask(&door, "{ get(id: 1, id: 2) { id } }").await;
    assert_eq!(first_error(&got), "There can only be one argument named \"id\"");
    for query in ["{ __typename { x } }", "{ get(id: 1) { __typename { x } } }"] {
        assert!(first_error(&ask(&door, query).await).starts_with("\"__typename\" has no fields"));
    }
}

#[tokio::test]
async fn what_does_not_parse_is_told_in_a_sentence() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    for (query, said) in [
        ("", "The document is empty. It needs an operation, such as \"{ __typename }\"."),
        (" # nothing\n", "The document is empty. It needs an operation, such as \"{ __typename }\"."),
        ("{ hello", "Syntax error: expected selection set, selection, directive, or arguments."),
    ] {
        let got = ask(&door, query).await;
        assert_eq!(
            (first_error(&got), &got["errors"][0]["extensions"]["code"]),
            (said, &json!("GRAPHQL_PARSE_FAILED"))
        );
    }
}

#[tokio::test]
async fn an_answer_that_there_is_no_memory_for_is_not_sent() {
    let room = Room::of(150_000);
    let services: [Arc<dyn Service>; 1] = [things()];
    let config = GraphqlConfig { batch_max: 1, ..GraphqlConfig::default() };
    let door = GraphqlDoor::new(&services, &[], config, room.clone()).unwrap();
    let query = json!({ "query": "query($name: String) { hello(name: $name) }", "variables": { "name": "x".repeat(60_000) } });
    for (body, accept) in [
        (query.to_string(), "application/json"),
        (format!("[{query}]"), "application/json"),
        (query.to_string(), "text/event-stream"),
    ] {
        let ask = || {
            let fields = [("content-type", "application/json"), ("accept", accept)];
            send(&door, request(Method::POST, "/graphql", &fields, &body))
        };
        let mut first = ask().await.into_body();
        let part = first.frame().await.unwrap().unwrap();
        assert!(room.left() < 90_000, "it is paid for while it is here: {part:?}");
        let second = ask().await;
        let status = second.status();
        match second.into_body().collect().await {
            Ok(body) => {
                let told: Json = serde_json::from_slice(&body.to_bytes()).unwrap();
                assert_eq!(first_error(&told), "The host has no memory for this answer now.");
                assert_eq!(status, 503);
            }
            // A response that has begun is cut.
            Err(failure) => assert_eq!((failure.kind(), accept), (Kind::Overloaded, "text/event-stream")),
        }
        drop((part, first));
        assert_eq!(room.left(), 150_000);
    }
}

#[tokio::test]
async fn batches_are_taken_up_to_their_limit_in_their_order() {
    let config = GraphqlConfig { batch_max: 2, ..GraphqlConfig::default() };
    let door = door(&[things()], &[], config).unwrap();
    let body = r#"[{"query":"{ hello }"},{"query":"{"}]"#;
    let (status, _, got) = status_and_type(&door, None, body).await;
    assert_eq!((status, &got[0]["data"]["hello"]), (200, &json!("Hello")));
    assert_eq!(got[1]["errors"][0]["extensions"]["code"], "GRAPHQL_PARSE_FAILED");
    for body in ["[]", r#"[{"query":"{ hello }"},{"query":"{ hello }"},{"query":"{ hello }"}]"#] {
        assert_eq!(status_and_type(&door, None, body).await.0, 400);
    }
}

#[tokio::test]
async fn a_query_is_registered_by_its_hash_and_then_known_by_it() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let (query, other) = ("{ hello }", "{ all { id } }");
    let by = |query: Option<&str>, hash: &str| {
        json!({ "query": query, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } })
            .to_string()
    };
    let got = status_and_type(&door, Some("application/json"), &by(None, &sha256(query))).await;
    assert_eq!((got.0, first_error(&got.2)), (200, "PersistedQueryNotFound"));
    assert_eq!(got.2["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    let got = status_and_type(&door, None, &by(Some(query), &sha256(other))).await;
    assert_eq!(got.2["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    for body in [by(Some(query), &sha256(query)), by(None, &sha256(query))] {
        assert_eq!(status_and_type(&door, None, &body).await.2["data"]["hello"], "Hello");
    }
}

#[tokio::test]
async fn where_only_trusted_documents_are_answered_others_are_not() {
    let trusted = HashMap::from([(sha256("{ hello }"), "{ hello }".to_owned())]);
    let persisted = PersistedConfig { trusted, only: true, ..PersistedConfig::default() };
    let door = door(&[things()], &[], GraphqlConfig { persisted, ..GraphqlConfig::default() }).unwrap();
    assert_eq!(ask(&door, "{ hello }").await["data"]["hello"], "Hello");
    let got = ask(&door, "{ all { id } }").await;
    assert_eq!(got["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_ONLY");
}

#[tokio::test]
async fn a_browser_gets_graphiql_from_here_alone() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let html = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    let (status, headers, page) =
        read(send(&door, request(Method::GET, "/graphql", &[html], "")).await).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"));
    for asset in ["app.js", "app.css"] {
        assert!(page.contains(&format!("?graphiql={asset}")));
        let uri = format!("/graphql?graphiql={asset}");
        let gzip = ("accept-encoding", "gzip, deflate, br");
        let (status, headers, bytes) = read(send(&door, request(Method::GET, &uri, &[gzip], "")).await).await;
        assert_eq!((status, &bytes[..2]), (StatusCode::OK, &[0x1f, 0x8b][..]));
        let known = ("if-none-match", headers["etag"].to_str().unwrap());
        let response = send(&door, request(Method::GET, &uri, &[gzip, known], "")).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(
            send(&door, request(Method::GET, &uri, &[], "")).await.status(),
            StatusCode::NOT_ACCEPTABLE
        );
    }
    let (_, _, body) =
        read(send(&door, request(Method::GET, "/graphql?query=%7Bhello%7D", &[], "")).await).await;
    assert_eq!(&body[..], br#"{"data":{"hello":"Hello"}}"#);
}

#[tokio::test]
async fn introspection_works_beside_other_fields_and_can_be_switched_off() {
    let query = "query($n: String!) { hello s: __schema { queryType { name } } ...T } \
                 fragment T on Query { __type(name: $n) { name kind fields { name } } }";
    let door = |introspection| {
        door(&[things()], &[], GraphqlConfig { introspection, ..GraphqlConfig::default() }).unwrap()
    };
    let got = ask_with(&door(true), query, json!({ "n": "Thing" })).await;
    let expected = json!({
        "hello": "Hello",
        "s": { "queryType": { "name": "Query" } },
        "__type": { "name": "Thing", "kind": "OBJECT", "fields": [{ "name": "id" }, { "name": "name" }] },
    });
    assert_eq!(got["data"], expected, "{got}");
    let got = ask_with(&door(false), query, json!({ "n": "Thing" })).await;
    assert_eq!(got.get("data"), None, "{got}");
    assert_eq!(ask(&door(false), "{ __typename hello }").await["data"]["__typename"], "Query");
}

#[tokio::test]
async fn the_query_that_clients_introspect_with_is_within_the_limits() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let got = ask(&door, include_str!("introspection.graphql")).await;
    assert_eq!(got.get("errors"), None, "{got}");
    assert!(got["data"]["__schema"]["types"].as_array().unwrap().len() > 5);
}
