#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::Read;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use wharf_call::{Body, HttpService, Kind};

use crate::json::schema::tests::valid;
use crate::rest::{BindingSpec, RestDoor};
use crate::testing::{self, Random, fake, invocation};
use crate::tests_demo::{config, plugin, versioned};

fn door() -> RestDoor {
    let door = RestDoor::new(&[plugin("users"), versioned("users-next", "2.0.0")], config()).unwrap();
    let get = BindingSpec {
        plugin: "users".into(),
        function: "accounts.get-user".into(),
        path: "/users/{user-id}".into(),
        path_params: vec!["user-id".into()],
        methods: vec![Method::GET],
        ..BindingSpec::default()
    };
    door.bind(get).unwrap();
    let put = BindingSpec {
        plugin: "users".into(),
        function: "accounts.put-user".into(),
        path: "/users".into(),
        methods: vec![Method::POST],
        body: Some("user".into()),
        header: vec![("dry-run".into(), "x-dry-run".into())],
        status: Some(201),
        ..BindingSpec::default()
    };
    door.bind(put).unwrap();
    door
}

/// Every object in a document.
fn objects<'a>(json: &'a Json, found: &mut Vec<&'a serde_json::Map<String, Json>>) {
    match json {
        Json::Object(members) => {
            found.push(members);
            members.values().for_each(|value| objects(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| objects(item, found)),
        _ => {}
    }
}

fn check(document: &Json) {
    let mut all = Vec::new();
    objects(document, &mut all);
    let definitions = document["components"]["schemas"].as_object().unwrap();
    for object in all {
        if let Some(Json::String(reference)) = object.get("$ref") {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
        if let (Some(schema), Some(example)) = (object.get("schema"), object.get("example")) {
            assert!(valid(schema, definitions, example), "{schema} {example}");
        }
    }
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            ids.push(operation["operationId"].as_str().unwrap());
            assert!(operation["responses"].as_object().unwrap().contains_key("default"), "{method} {path}");
            let params = operation.get("parameters").and_then(Json::as_array).cloned().unwrap_or_default();
            let in_path = params.iter().filter(|param| param["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{path}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}

#[test]
fn the_document_holds_together() {
    let document = door().document();
    check(&document);
    assert_eq!(document["openapi"], "3.1.0");
    let get = &document["paths"]["/users/{user-id}"]["get"];
    assert_eq!(get["summary"], "Finds a user.");
    assert_eq!(get["parameters"][0]["name"], "user-id");
    assert_eq!(get["responses"]["404"]["description"], "There is no such user.");
    let schema = &get["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/DemoUsersV1AccountsUser");
    let put = &document["paths"]["/users"]["post"];
    assert_eq!(put["parameters"][0]["in"], "header");
    assert!(put["responses"]["201"].is_object() && put["responses"].get("200").is_none());
    let delete = &document["paths"]["/rpc/demo:users@1/accounts/delete-user"]["post"];
    assert_eq!(delete["deprecated"], true);
    assert!(document["paths"]["/rpc/demo:users@1/accounts/watch"]["get"].is_object());
    assert!(document["paths"]["/rpc/demo:users@1/accounts/sum"].get("get").is_none());
}

#[test]
fn documents_of_random_schemas_hold_together() {
    let mut random = Random::new(8);
    for _ in 0..20 {
        let schema = testing::schema(&mut random, 12);
        let other = testing::schema(&mut random, 12);
        check(&super::of_schemas(&[("one".into(), schema.clone())]));
        // Two plugins whose types have the same names and are not the same.
        let (one, same) = (("one".to_owned(), schema.clone()), ("same".to_owned(), schema));
        check(&super::of_schemas(&[one, same, ("other".into(), other)]));
    }
}

fn get(path: &str) -> Request<Body> {
    Request::builder().method("GET").uri(path).body(Body::Empty).unwrap()
}

#[tokio::test]
async fn the_document_is_sent_once_until_it_changes() {
    let door = door();
    let response = door.call(get("/openapi.json"), invocation(&[])).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let tag = response.headers()[ETAG].clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Json>(&body).unwrap(), door.document());

    let mut again = get("/openapi.json");
    again.headers_mut().insert(IF_NONE_MATCH, tag.clone());
    let response = door.call(again, invocation(&[])).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()[ETAG]), (304, &tag));
    assert!(matches!(response.body(), Body::Empty));

    let spec = BindingSpec {
        plugin: "users-next".into(),
        function: "accounts.get-user".into(),
        path: "/v2/users/{user-id}".into(),
        path_params: vec!["user-id".into()],
        methods: vec![Method::GET],
        ..BindingSpec::default()
    };
    door.bind(spec).unwrap();
    let response = door.call(get("/openapi.json"), invocation(&[])).await.unwrap();
    assert_ne!(response.headers()[ETAG], tag);
}

#[tokio::test]
async fn swagger_ui_comes_out_of_the_binary() {
    let door = RestDoor::new(&[fake("none", Default::default(), |_| async { unreachable!() })], config());
    let door = door.unwrap();
    let page = door.call(get("/docs/"), invocation(&[])).await.unwrap();
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let html = page.into_body().collect().await.unwrap().to_bytes();
    let html = String::from_utf8(html.to_vec()).unwrap();
    assert!(!html.contains("http"), "nothing is loaded from elsewhere");
    for line in html.lines().filter(|line| line.contains(".js") || line.contains(".css")) {
        let name = line.split('"').find(|part| part.ends_with(".js") || part.ends_with(".css")).unwrap();
        let plain = door.call(get(&format!("/docs/{name}")), invocation(&[])).await.unwrap();
        assert_eq!(plain.status(), 200, "{name}");
        let plain_tag = plain.headers()[ETAG].clone();
        let plain = plain.into_body().collect().await.unwrap().to_bytes();
        let mut zipped = get(&format!("/docs/{name}"));
        zipped.headers_mut().insert(ACCEPT_ENCODING, "br, gzip;q=0.8".parse().unwrap());
        let zipped = door.call(zipped, invocation(&[])).await.unwrap();
        if zipped.headers().contains_key(CONTENT_ENCODING) {
            assert_ne!(zipped.headers()[ETAG], plain_tag);
            let bytes = zipped.into_body().collect().await.unwrap().to_bytes();
            let mut inflated = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut inflated).unwrap();
            assert!(inflated == plain, "{name}");
        }
    }
    assert_eq!(door.call(get("/docs"), invocation(&[])).await.unwrap().status(), 308);
    let mut post = get("/openapi.json");
    *post.method_mut() = Method::POST;
    assert_eq!(door.call(post, invocation(&[])).await.unwrap_err().kind(), Kind::MethodNotAllowed);
    assert_eq!(door.call(get("/docs/nothing"), invocation(&[])).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn every_answer_is_as_the_document_has_it() {
    let mut random = Random::new(9);
    for _ in 0..10 {
        let schema = testing::schema(&mut random, 10);
        let echo = fake("echo", schema.clone(), |mut call: wharf_call::Call| async move {
            Ok(wharf_call::Reply::Value(call.args.pop()))
        });
        let config = crate::DoorConfig { body_bytes_max: 1 << 20, value_bytes_max: 4 << 20, ..config() };
        let door = RestDoor::new(&[echo], config).unwrap();
        let document = door.document();
        let definitions = document["components"]["schemas"].as_object().unwrap();
        let plan = crate::json::Plan::new(&schema);
        for (_, _, function) in schema.functions() {
            let path = format!("/rpc/test:random@1/echo/{}", function.name);
            let operation = &document["paths"][&path]["post"];
            let ty = &function.params[0].ty;
            for _ in 0..10 {
                let value = testing::value(&mut random, &schema, ty);
                let mut json = br#"{"value":"#.to_vec();
                crate::json::encode(&plan, ty, &value, &mut json);
                json.push(b'}');
                let body: Json = serde_json::from_slice(&json).unwrap();
                let described = &operation["requestBody"]["content"]["application/json"]["schema"];
                assert!(valid(described, definitions, &body), "{described} {body}");
                let request = Request::builder().method("POST").uri(&path);
                let request = request.header(CONTENT_TYPE, "application/json").body(Body::whole(json));
                let answer = door.call(request.unwrap(), invocation(&[])).await.unwrap();
                let answer = answer.into_body().collect().await.unwrap().to_bytes();
                let answer: Json = serde_json::from_slice(&answer).unwrap();
                assert_eq!(answer, body["value"]);
                let described = &operation["responses"]["200"]["content"]["application/json"]["schema"];
                assert!(valid(described, definitions, &answer), "{described} {answer}");
            }
        }
    }
}
