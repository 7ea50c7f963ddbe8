use std::cell::Cell;

use super::*;
use crate::testing::block_on;
use crate::{Path, State};

async fn name(context: Context) -> String {
    let params: Vec<_> = context.params().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", context.pattern(), params.join(","))
}

fn answer(router: &Routes, method: &str, path: &str) -> Result<Response> {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("valid");
    block_on(router.answer(request, Context::for_tests("/{*rest}", &[("rest", "of the host")])))
}

fn text(router: &Routes, method: &str, path: &str) -> String {
    let mut response = answer(router, method, path).expect("an answer");
    block_on(response.body_mut().text()).expect("text")
}

fn allow(router: &Routes, method: &str, path: &str) -> (u16, String) {
    let response = answer(router, method, path).expect("an answer");
    (response.status().as_u16(), response.headers()["allow"].to_str().expect("ASCII").to_owned())
}

fn notes() -> Routes {
    Router::new()
        .get("/", name)
        .get("/notes", name)
        .post("/notes", name)
        .get("/notes/{id}", name)
        .put("/notes/{note}", name)
        .get("/notes/new", name)
        .get("/notes/{id}/tags/{tag}", name)
        .get("/files/{*rest}", name)
        .post("/files/upload", name)
        .build()
        .expect("valid")
}

#[test]
fn the_most_specific_pattern_wins_whatever_the_order() {
    let router = notes();
    for (path, says) in [
        ("/", "/ "),
        ("/notes", "/notes "),
        ("/notes/", "/notes "),
        ("/notes/7", "/notes/{id} id=7"),
        ("/notes/new", "/notes/new "),
        ("/notes/new/tags/a", "/notes/{id}/tags/{tag} id=new,tag=a"),
        ("/notes/a%20b%2Fc", "/notes/{id} id=a b/c"),
        ("/files", "/files/{*rest} rest="),
        ("/files/a/b%20c", "/files/{*rest} rest=a/b c"),
    ] {
        assert_eq!(text(&router, "GET", path), says, "{path}");
    }
}

#[test]
fn a_pattern_counts_only_for_the_methods_that_it_has() {
    let router = notes();
    assert_eq!(text(&router, "PUT", "/notes/7"), "/notes/{note} note=7");
    assert_eq!(text(&router, "PUT", "/notes/new"), "/notes/{note} note=new");
    assert_eq!(text(&router, "GET", "/files/upload"), "/files/{*rest} rest=upload");
    assert_eq!(text(&router, "HEAD", "/notes/7"), "/notes/{id} id=7");
}

#[test]
fn other_methods_are_told_what_is_allowed_and_other_paths_that_there_is_nothing() {
    let router = notes();
    assert_eq!(allow(&router, "DELETE", "/notes"), (405, "GET, HEAD, OPTIONS, POST".to_owned()));
    assert_eq!(allow(&router, "OPTIONS", "/notes/7"), (204, "GET, HEAD, OPTIONS, PUT".to_owned()));
    assert_eq!(allow(&router, "DELETE", "/notes/new"), (405, "GET, HEAD, OPTIONS, PUT".to_owned()));
    let document = text(&router, "DELETE", "/notes");
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["kind"], "method_not_allowed");
    assert_eq!(document["detail"], "this address takes GET, HEAD, OPTIONS, POST, and not DELETE");
    assert_eq!(answer(&router, "GET", "/nowhere").expect_err("nothing").kind(), "not_found");
    assert_eq!(answer(&router, "GET", "/notes/7/tags").expect_err("nothing").kind(), "not_found");
}

#[test]
fn nested_routers_keep_their_own_states_and_see_those_around_them() {
    struct Outer(&'static str);
    struct Inner(Cell<u32>);

    async fn both(State(outer): State<&Outer>, State(inner): State<&Inner>, Path(id): Path<u32>) -> String {
        inner.0.set(inner.0.get() + id);
        format!("{} {}", outer.0, inner.0.get())
    }

    let inner = Router::new().get("/", both).get("/add", both).with_state(Inner(Cell::new(1)));
    let router = Router::new()
        .nest("/users/{id}/", inner)
        .any("/any", async || "any")
        .fallback(|State(outer): State<&'static Outer>| async move { outer.0 })
        .with_state(Outer("outside"))
        .build()
        .expect("valid");
    assert_eq!(text(&router, "GET", "/users/2"), "outside 3");
    assert_eq!(text(&router, "GET", "/users/4/add"), "outside 7");
    assert_eq!(text(&router, "BREW", "/any"), "any");
    assert_eq!(text(&router, "GET", "/elsewhere"), "outside");
}

#[test]
fn a_router_with_mistakes_does_not_start_and_names_each() {
    async fn wants(State(_): State<&u32>) {}
    let failure = Router::new()
        .get("/a/{b}", name)
        .get("/a/{c}", name)
        .get("/:id", name)
        .get("/wants", wants)
        .build()
        .err()
        .expect("four mistakes");
    assert_eq!(failure.message(), "the routes of this plugin are wrong");
    let details = failure.details().expect("each");
    for says in [
        "GET /a/{c} and GET /a/{b} are the same",
        "write \"{id}\" instead of \":id\"",
        "GET /wants takes State<&u32>",
    ] {
        assert!(details.contains(says), "{details}");
    }
}
