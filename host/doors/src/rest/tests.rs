#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use wharf_call::{Body, Failure, HttpService, Kind, Refused};

use super::{BindingSpec, RestDoor};
use crate::DoorConfig;
use crate::testing::{Random, Room, fake, invocation};
use crate::tests_demo::{config, plugin, schema, talkative, user, versioned};

fn door() -> RestDoor {
    RestDoor::new(&[plugin("users")], config()).unwrap()
}

fn request(method: &str, uri: &str, body: &str) -> Request<Body> {
    let builder = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, "application/json");
    builder.body(Body::whole(body.to_owned())).unwrap()
}

/// The status, and the body as text; of a failure, the kind and the text.
async fn ask(service: &dyn HttpService, request: Request<Body>) -> Result<(u16, String), (Kind, String)> {
    asked(service, request, &[]).await
}

async fn asked(
    service: &dyn HttpService,
    request: Request<Body>,
    params: &[(&str, &str)],
) -> Result<(u16, String), (Kind, String)> {
    let told = |failure: Failure| (failure.kind(), failure.public().to_owned());
    let mut response = service.call(request, invocation(params)).await.map_err(told)?;
    let mut text = String::new();
    while let Some(frame) = response.body_mut().frame().await {
        match frame {
            Ok(frame) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Err(_) => text.push_str("<cut>"),
        }
    }
    Ok((response.status().as_u16(), text))
}

const GET_USER: &str = "/rpc/demo:users@1/accounts/get-user";
const ADA: &str = r#"{"userId":"7","name":"Ada","nick":null}"#;

#[tokio::test]
async fn a_function_answers_under_its_path() {
    let door = door();
    let rows = [
        (request("POST", GET_USER, r#"{"userId":"7"}"#), 200, ADA),
        (request("POST", &format!("{GET_USER}/"), r#"{"userId":7}"#), 200, ADA),
        (request("GET", &format!("{GET_USER}?userId=7"), ""), 200, ADA),
        (request("HEAD", &format!("{GET_USER}?userId=7"), ""), 200, ADA),
        (request("POST", "/rpc/demo:users@1/accounts/delete-user", r#"{"userId":"7"}"#), 204, ""),
        (
            request("GET", "/rpc/demo:users@1/accounts/search?names=a&names=b%20c&order=by-age", ""),
            200,
            r#"["a","b c","Option(Some(Enum(1))) false"]"#,
        ),
        (
            request(
                "GET",
                "/rpc/demo:users@1/accounts/search?near=%7B%22userId%22:1,%22name%22:%22x%22%7D",
                "",
            ),
            200,
            r#"["Option(None) true"]"#,
        ),
    ];
    for (request, status, body) in rows {
        let shown = format!("{request:?}");
        assert_eq!(ask(&door, request).await, Ok((status, body.into())), "{shown}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_the_reason() {
    let door = door();
    let rows = [
        (
            request("POST", "/rpc/demo:users@1/accounts/get-usr", ""),
            Kind::NotFound,
            "There is no function at this address; did you mean /rpc/demo:users@1/accounts/get-user?",
        ),
        (
            request("POST", "/rpc/x", ""),
            Kind::NotFound,
            "There is no function at this address; /openapi.json lists those that there are.",
        ),
        (request("PUT", GET_USER, "{}"), Kind::MethodNotAllowed, "This address does not serve the method."),
        (
            request("GET", "/rpc/demo:users@1/accounts/put-user", ""),
            Kind::MethodNotAllowed,
            "This address does not serve the method.",
        ),
        (
            request("POST", GET_USER, ""),
            Kind::BadRequest,
            "userId: is missing; expected a string with a whole number from 0, of 64 bits",
        ),
        (
            request("POST", GET_USER, "[1]"),
            Kind::BadRequest,
            "expected an object with the parameters, got an array",
        ),
        (
            request("POST", GET_USER, r#"{"userID":1}"#),
            Kind::BadRequest,
            "userID: is not known here; did you mean \"userId\"?",
        ),
        (
            request("POST", &format!("{GET_USER}?userId=7"), "{}"),
            Kind::BadRequest,
            "Nothing is taken from the query here: put the parameters into the body.",
        ),
        (
            request("GET", &format!("{GET_USER}?userId=x"), ""),
            Kind::BadRequest,
            "userId: expected a string with a whole number from 0, of 64 bits, got \"x\"",
        ),
        (
            request("GET", &format!("{GET_USER}?userId=1&userId=2"), ""),
            Kind::BadRequest,
            "userId: is there 2 times; expected a string with a whole number from 0, of 64 bits once",
        ),
        (
            request("GET", &format!("{GET_USER}?user=7"), ""),
            Kind::BadRequest,
            "The query parameter \"user\" is not known here",
        ),
        (
            request("POST", GET_USER, &format!("\"{}\"", "x".repeat(5000))),
            Kind::PayloadTooLarge,
            "The body is larger than 4KiB, which is the most that is taken here.",
        ),
        (request("POST", GET_USER, r#"{"userId":"500"}"#), Kind::GuestTrapped, "The plugin failed."),
        (
            request("GET", "/rpc/demo:users@1/accounts/search?near=%7B%22userId%22:1%7D", ""),
            Kind::BadRequest,
            "near.name: is missing; expected a string",
        ),
    ];
    for (request, kind, text) in rows {
        let shown = format!("{request:?}");
        assert_eq!(ask(&door, request).await, Err((kind, text.into())), "{shown}");
    }
    let mut plain = request("POST", GET_USER, r#"{"userId":"7"}"#);
    plain.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(ask(&door, plain).await.unwrap_err().0, Kind::UnsupportedMediaType);
    let mut html = request("POST", GET_USER, r#"{"userId":"7"}"#);
    html.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
    assert_eq!(
        ask(&door, html).await.unwrap_err(),
        (Kind::NotAcceptable, "The answer is application/json: put it in `accept`.".into())
    );
}

#[tokio::test]
async fn a_declared_error_is_in_the_problem_document() {
    let door = door();
    let response =
        door.call(request("POST", GET_USER, r#"{"userId":"404"}"#), invocation(&[])).await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.extensions().get::<Refused>().unwrap().0.kind(), Kind::NotFound);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: Json = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["error"], "notFound");
    assert_eq!(problem["detail"], "There is no such user.");
    assert_eq!(problem["request_id"], "test");
    let put = r#"{"user":{"userId":1,"name":"x"},"dryRun":true}"#;
    let (status, text) =
        ask(&door, request("POST", "/rpc/demo:users@1/accounts/put-user", put)).await.unwrap();
    let problem: Json = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &problem["error"]), (409, &json!({"taken": "Ada"})));
}

#[tokio::test]
async fn a_stream_comes_as_lines_or_events_and_a_failure_cuts_it() {
    let door = door();
    let watch = |count: u32, accept: &str| {
        let mut request = request("GET", &format!("/rpc/demo:users@1/accounts/watch?count={count}"), "");
        request.headers_mut().insert(ACCEPT, accept.parse().unwrap());
        request
    };
    let (zero, one) = (ADA.replace('7', "0"), ADA.replace('7', "1"));
    let rows = [
        (watch(2, "*/*"), format!("{zero}\n{one}\n")),
        (watch(1, "application/x-ndjson"), format!("{zero}\n")),
        (watch(1, "text/event-stream"), format!("data: {zero}\n\nevent: complete\ndata:\n\n")),
    ];
    for (request, text) in rows {
        assert_eq!(ask(&door, request).await, Ok((200, text)));
    }
    let problem = r#"{"type":"urn:wharf:failure:timeout","title":"The plugin did not answer in time","status":504,"detail":"Too late.","kind":"timeout","request_id":"test"}"#;
    let lines = format!("{zero}\n{one}\n{{\"error\":{problem}}}\n<cut>");
    assert_eq!(ask(&door, watch(3, "*/*")).await, Ok((200, lines)));
    let events = format!("data: {zero}\n\ndata: {one}\n\nevent: error\ndata: {problem}\n\n<cut>");
    assert_eq!(ask(&door, watch(3, "text/event-stream")).await, Ok((200, events)));
    assert_eq!(ask(&door, watch(3, "application/json")).await.unwrap_err().0, Kind::NotAcceptable);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_of_events_has_a_comment_every_fifteen_seconds_and_lines_have_none() {
    let quiet = fake("users", schema("1.2.0"), |_| async {
        let items = futures_util::stream::unfold(0, |id| async move {
            // Nothing for 40 seconds before the second one.
            tokio::time::sleep(std::time::Duration::from_secs(40 * id)).await;
            (id < 2).then(|| (Ok::<_, Failure>(user(id)), id + 1))
        });
        Ok(wharf_call::Reply::Stream(Box::pin(items)))
    });
    let door = RestDoor::new(&[quiet], config()).unwrap();
    let (zero, one) = (ADA.replace('7', "0"), ADA.replace('7', "1"));
    let watch = |accept: &str| {
        let mut request = request("GET", "/rpc/demo:users@1/accounts/watch?count=1", "");
        request.headers_mut().insert(ACCEPT, accept.parse().unwrap());
        request
    };
    let dots = |count| ":\n\n".repeat(count);
    let events = format!("data: {zero}\n\n{}data: {one}\n\n{}event: complete\ndata:\n\n", dots(2), dots(5));
    assert_eq!(ask(&door, watch("text/event-stream")).await, Ok((200, events)));
    assert_eq!(ask(&door, watch("*/*")).await, Ok((200, format!("{zero}\n{one}\n"))));
}

fn lines(text: &'static str, piece: usize) -> Request<Body> {
    let pieces = text
        .as_bytes()
        .chunks(piece)
        .map(|piece| Ok::<_, Failure>(http_body::Frame::data(bytes::Bytes::from_static(piece))));
    let body =
        Body::stream(http_body_util::StreamBody::new(futures_util::stream::iter(pieces.collect::<Vec<_>>())));
    let request = Request::builder().method("POST").uri("/rpc/demo:users@1/accounts/sum");
    request.header(CONTENT_TYPE, "application/jsonl").body(body).unwrap()
}

#[tokio::test]
async fn a_client_streams_lines_however_they_are_cut() {
    let door = door();
    for piece in [1, 3, 100] {
        let body = "{\"start\":1}\n2\n\n3\r\n4";
        assert_eq!(ask(&door, lines(body, piece)).await, Ok((200, "\"10\"".into())));
    }
    let rows = [
        (
            "{\"start\":1}\n2\nx\n3",
            Kind::BadRequest,
            "line 3: this is not JSON: expected value at line 1 column 1",
        ),
        (
            "{\"start\":1}\n-2",
            Kind::BadRequest,
            "line 2: expected a whole number from 0 to 4294967295, got the number -2",
        ),
        (
            "{}\n1",
            Kind::BadRequest,
            "line 1: start: is missing; expected a whole number from 0 to 4294967295",
        ),
        ("", Kind::BadRequest, "The body is empty: its first line has the parameters, or {}."),
    ];
    for (body, kind, text) in rows {
        assert_eq!(ask(&door, lines(body, 2)).await, Err((kind, text.into())), "{body}");
    }
    let long: &'static str = Box::leak(format!("{{\"start\":1}}\n{}", " ".repeat(5000)).into_boxed_str());
    assert_eq!(ask(&door, lines(long, 1000)).await.unwrap_err().0, Kind::PayloadTooLarge);
}

#[tokio::test]
async fn deprecated_functions_say_so_and_versions_stand_side_by_side() {
    let services = [plugin("users"), versioned("users-next", "2.0.0")];
    let door = RestDoor::new(&services, config()).unwrap();
    let delete = request("POST", "/rpc/demo:users@1/accounts/delete-user", r#"{"userId":"7"}"#);
    let response = door.call(delete, invocation(&[])).await.unwrap();
    assert_eq!(response.headers()["deprecation"], "@1795651200");
    assert_eq!(response.headers()["sunset"], "Sun, 31 Jan 2027 00:00:00 GMT");
    let get = request("POST", "/rpc/demo:users@2/accounts/get-user", r#"{"userId":"7"}"#);
    let response = door.call(get, invocation(&[])).await.unwrap();
    assert!(!response.headers().contains_key("deprecation"));
}

#[test]
fn two_plugins_with_one_interface_are_a_conflict() {
    let refused = RestDoor::new(&[plugin("a"), plugin("b")], config()).err().unwrap();
    assert_eq!(
        refused,
        [
            "plugins \"a\" and \"b\" both export demo:users@1/accounts: remove one of them from wharf.toml, or change the \
          package or its major version in the WIT of one"
        ]
    );
}

fn binding(function: &str, path: &str, params: &[&str], method: Method) -> BindingSpec {
    BindingSpec {
        plugin: "users".into(),
        function: function.into(),
        path: path.into(),
        path_params: params.iter().map(|param| (*param).to_owned()).collect(),
        methods: vec![method],
        ..BindingSpec::default()
    }
}

#[tokio::test]
async fn a_route_takes_parameters_from_path_query_header_and_body() {
    let door = door();
    let get = binding("accounts.get-user", "/users/{user-id}", &["user-id"], Method::GET);
    let get = door.bind(get).unwrap();
    assert_eq!(
        asked(&*get, request("GET", "/users/7", ""), &[("user-id", "7")]).await,
        Ok((200, ADA.into()))
    );
    let refused = asked(&*get, request("GET", "/users/x", ""), &[("user-id", "x")]).await.unwrap_err();
    assert_eq!(refused.1, "user-id: expected a string with a whole number from 0, of 64 bits, got \"x\"");
    let refused = asked(&*get, request("GET", "/users/7?x=1", ""), &[("user-id", "7")]).await.unwrap_err();
    assert_eq!(refused.1, "The query parameter \"x\" is not known here");

    let put = BindingSpec {
        body: Some("user".into()),
        header: vec![("dry-run".into(), "x-dry-run".into())],
        status: Some(201),
        ..binding("demo:users/accounts@1.2.0.put-user", "/users", &[], Method::PUT)
    };
    let put = door.bind(put).unwrap();
    assert_eq!(asked(&*put, request("PUT", "/users", ADA), &[]).await, Ok((201, ADA.into())));
    let mut dry = request("PUT", "/users", ADA);
    dry.headers_mut().insert("x-dry-run", "true".parse().unwrap());
    assert_eq!(asked(&*put, dry, &[]).await.unwrap().0, 409);
    let refused = asked(&*put, request("PUT", "/users", ""), &[]).await.unwrap_err();
    assert_eq!(refused.1, "user: is missing; expected an object (user)");

    let search = BindingSpec {
        query: vec![("names".into(), "name".into())],
        ..binding("accounts.search", "/users", &[], Method::GET)
    };
    let search = door.bind(search).unwrap();
    let found = asked(&*search, request("GET", "/users?name=a&name=b&order=by-name", ""), &[]).await;
    assert_eq!(found, Ok((200, r#"["a","b","Option(Some(Enum(0))) false"]"#.into())));
}

#[test]
fn a_route_that_cannot_be_is_refused_with_what_to_write() {
    let door = door();
    let get = || binding("accounts.get-user", "/users/{user-id}", &["user-id"], Method::GET);
    let rows: Vec<(BindingSpec, &str)> = vec![
        (
            BindingSpec { function: "accounts.get-usr".into(), ..get() },
            "plugin \"users\" has no function \"accounts.get-usr\"; did you mean \"accounts.get-user\"?",
        ),
        (
            BindingSpec { function: "get-user".into(), ..get() },
            "function = \"get-user\" has to be \"INTERFACE.FUNCTION\", such as \"accounts.get-user\"",
        ),
        (
            BindingSpec { plugin: "other".into(), ..get() },
            "plugin \"other\" exports no interface of its own, so there is no \"accounts.get-user\"",
        ),
        (
            BindingSpec { path_params: vec!["id".into()], path: "/users/{id}".into(), ..get() },
            "path = \"/users/{id}\" names \"id\", which is no parameter of accounts.get-user; its parameters are: user-id",
        ),
        (
            BindingSpec { query: vec![("user-id".into(), "id".into())], ..get() },
            "query names \"user-id\", which comes from elsewhere already",
        ),
        (
            BindingSpec { body: Some("user-id".into()), path_params: vec![], ..get() },
            "body = \"user-id\" needs a method with a body, such as methods = [\"POST\"]",
        ),
        (
            BindingSpec { status: Some(404), ..get() },
            "status = 404 is none of an answer that went well: 200 to 299",
        ),
        (
            BindingSpec { status: Some(204), ..get() },
            "status = 204 has no body, and accounts.get-user returns a value",
        ),
        (
            binding("accounts.put-user", "/u/{user}", &["user"], Method::PUT),
            "path = \"/u/{user}\" names \"user\", which is an object (user): only single values can stand there",
        ),
        (
            binding("accounts.sum", "/sum", &[], Method::POST),
            "function = \"accounts.sum\" takes a stream, which a route of its own has no place for: it is served as POST /rpc/demo:users@1/accounts/sum",
        ),
    ];
    for (spec, text) in rows {
        assert_eq!(door.bind(spec).err().unwrap(), text);
    }
}

#[tokio::test]
async fn a_thousand_broken_requests_never_get_more_than_a_refusal() {
    let door = Arc::new(door());
    let mut random = Random::new(11);
    for _ in 0..1000 {
        let mut body = r#"{"user":{"userId":"1","name":"Ada","nick":"x"},"dryRun":null}"#.as_bytes().to_vec();
        for _ in 0..1 + random.below(3) {
            let at = random.below(body.len());
            body[at] = random.bits() as u8;
        }
        let mut request = request("POST", "/rpc/demo:users@1/accounts/put-user", "");
        *request.body_mut() = Body::whole(body);
        match ask(&*door, request).await {
            Ok((status, _)) => assert!(status == 200 || status == 409),
            Err((kind, _)) => assert_eq!(kind, Kind::BadRequest),
        }
    }
}

#[tokio::test]
async fn the_manifest_makes_a_query_of_a_function_and_may_serve_routes_only() {
    let queries = vec![("users".to_owned(), "accounts.delete-user".to_owned())];
    let door = RestDoor::new(&[plugin("users")], crate::DoorConfig { queries, ..config() }).unwrap();
    let get = request("GET", "/rpc/demo:users@1/accounts/delete-user?userId=7", "");
    assert_eq!(ask(&door, get).await, Ok((204, String::new())));
    let door = RestDoor::new(&[plugin("users")], crate::DoorConfig { rpc: false, ..config() }).unwrap();
    let refused = ask(&door, request("POST", GET_USER, "{}")).await.unwrap_err();
    assert_eq!(refused.0, Kind::NotFound);
    assert_eq!(door.document()["paths"], json!({}));
}

#[tokio::test]
async fn an_answer_that_there_is_no_memory_for_is_not_sent() {
    let room = Room::of(10_000);
    let config = DoorConfig { memory: room.clone(), ..config() };
    let door = RestDoor::new(&[talkative()], config).unwrap();
    let get = || request("GET", &format!("{GET_USER}?userId=7"), "");
    let said = "The host has no memory for this answer now.".to_owned();
    assert_eq!(ask(&door, get()).await, Err((Kind::Overloaded, said)));
    // A stream has begun by then.
    let watch = request("GET", "/rpc/demo:users@1/accounts/watch?count=1", "");
    assert_eq!(ask(&door, watch).await, Ok((200, "<cut>".to_owned())));
    assert_eq!(room.left(), 10_000);
}
