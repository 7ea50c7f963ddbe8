//! The plugin, run natively: every capability is a fake, and nothing waits.

use notes::{Note, Notes};
use wharf::testing::Plugin;
use wharf::{Html, StatusCode};

fn plugin() -> Plugin {
    Plugin::of::<Notes>()
        .config("title", "Test notes")
        .bucket("notes")
        .http("https://wharf.example", |_| Html("<title>A quay</title>"))
}

#[wharf::test]
async fn a_note_is_written_read_replaced_and_deleted() {
    let plugin = plugin();
    let mut created = plugin
        .post("/notes")
        .body(r#"{"text": "buy rope"}"#)
        .header("content-type", "application/json")
        .await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.header("location"), Some("/notes/1"));
    let note: Note = created.json().await;
    assert_eq!(note, Note { id: 1, text: "buy rope".into(), link: None });
    assert!(plugin.logged("a new note"));

    let replaced = plugin
        .put("/notes/1")
        .body(r#"{"text": "buy chain"}"#)
        .header("content-type", "application/json")
        .await;
    assert_eq!(replaced.status(), StatusCode::OK);
    assert_eq!(plugin.get("/notes/1").await.json::<Note>().await.text, "buy chain");

    assert_eq!(plugin.delete("/notes/1").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(plugin.get("/notes/1").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(plugin.delete("/notes/1").await.status(), StatusCode::NOT_FOUND);
}

#[wharf::test]
async fn a_link_is_looked_up_where_that_is_granted() {
    let plugin = plugin();
    let json = |url: &str| format!(r#"{{"text": "read", "link": "{url}"}}"#);
    let post = |url| plugin.post("/notes").body(json(url)).header("content-type", "application/json");
    let note: Note = post("https://wharf.example/").await.json().await;
    assert_eq!(note.link.map(|link| link.title).as_deref(), Some("A quay"));

    let refused = post("https://elsewhere.example/").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let failure = refused.failure().expect("it is one");
    assert!(
        failure.details().is_some_and(|details| details.contains("https://elsewhere.example")),
        "{failure}"
    );
}

#[wharf::test]
async fn notes_come_in_pages() {
    let plugin = plugin();
    for n in 1..=5 {
        let note = format!(r#"{{"text": "note {n}"}}"#);
        plugin.post("/notes").body(note).header("content-type", "application/json").await;
    }
    let page: Vec<Note> = plugin.get("/notes?after=2&limit=2").await.json().await;
    assert_eq!(page.iter().map(|note| note.id).collect::<Vec<_>>(), [3, 4]);
}

#[wharf::test]
async fn a_listener_hears_what_it_has_missed() {
    let plugin = plugin();
    plugin.post("/notes").body(r#"{"text": "one"}"#).header("content-type", "application/json").await;
    plugin.delete("/notes/1").await;
    let events = plugin.get("/changes?after=0&limit=2").await.text().await;
    assert_eq!(
        events,
        "data: {\"change\":\"created\",\"note\":{\"id\":1,\"text\":\"one\"}}\nevent: created\nid: 1\n\n\
         data: {\"change\":\"deleted\",\"id\":1}\nevent: deleted\nid: 2\n\n"
    );
}

#[wharf::test]
async fn a_note_that_is_none_is_refused_with_the_reason() {
    let plugin = plugin();
    let refused =
        plugin.post("/notes").body(r#"{"txt": "one"}"#).header("content-type", "application/json").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.failure().expect("it is one").message().contains("text"));
    assert_eq!(plugin.get("/notes/x").await.status(), StatusCode::BAD_REQUEST);
}
