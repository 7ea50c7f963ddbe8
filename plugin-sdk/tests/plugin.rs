//! Plugins as an author writes and tests them: every capability with its grant, and refused without.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use wharf_sdk::kv::{self, Bucket, Typed};
use wharf_sdk::testing::Plugin;
use wharf_sdk::{
    Body, Context, Failure, Handler, HeaderMap, Html, Json, Method, NoContent, OrFail, Path, Query, Request,
    Result, Router, Sse, State, StatusCode, client, config, env, sse, time, tracing,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    title: String,
    stars: u32,
}

async fn everything(
    body: Body,
    context: Context,
    method: Method,
    Path(id): Path<u32>,
    Query(note): Query<Note>,
    headers: HeaderMap,
    missing: Option<Query<Note>>,
) -> Result<String> {
    let mut body = body;
    Ok(format!(
        "{method} {id} {} {} {} {} {}",
        note.title,
        headers.len(),
        missing.is_some(),
        context.request_id(),
        body.text().await?
    ))
}

#[wharf_sdk::test]
async fn a_function_takes_what_it_asks_for_in_any_order() {
    let plugin = Plugin::new(everything).route("/notes/{id}");
    let request = plugin.put("/notes/7?title=a&stars=1").header("x-a", "1").body("text").request_id("r-1");
    assert_eq!(request.await.text().await, "PUT 7 a 1 true r-1 text");

    let response = plugin.get("/notes/x?title=a&stars=1").await;
    assert_eq!(response.status(), 400);
    let failure = response.failure().expect("x is no number");
    assert_eq!(failure.message(), "the path's \"id\": \"x\" is not a whole number");
}

async fn keep(Path(id): Path<String>, Json(note): Json<Note>) -> Result<(StatusCode, Json<Note>)> {
    Typed::open("notes")?.set(&id, &note)?;
    Ok((StatusCode::CREATED, Json(note)))
}

async fn star(Path(id): Path<String>) -> Result<Json<Note>> {
    let note = Typed::<Note>::open("notes")?.update(&id, |note| {
        let note = note.or_not_found("no such note")?;
        Ok::<_, Failure>(Note { stars: note.stars + 1, ..note })
    })?;
    Ok(Json(note))
}

async fn list() -> Result<String> {
    let notes = Typed::<Note>::open("notes")?;
    let titles = notes.entries().map(|entry| entry.map(|(id, note)| format!("{id}: {}\n", note.title)));
    Ok(titles.collect::<kv::Result<_>>()?)
}

fn notes() -> Router {
    Router::new().get("/notes", list).put("/notes/{id}", keep).post("/notes/{id}/stars", star)
}

#[wharf_sdk::test]
async fn values_are_kept_in_a_bucket_that_was_granted() {
    let plugin = Plugin::new(notes).bucket("notes");
    let note = Note { title: "milk".into(), stars: 1 };
    let mut response = plugin.put("/notes/a").json(&note).await;
    assert_eq!((response.status(), response.json::<Note>().await), (StatusCode::CREATED, note));
    let starred: Note = plugin.post("/notes/a/stars").await.json().await;
    assert_eq!(starred.stars, 2);
    assert_eq!(plugin.post("/notes/b/stars").await.status(), 404);
    assert_eq!(plugin.get("/notes").await.text().await, "a: milk\n");
    assert_eq!(plugin.stored("notes", "a").expect("it is kept"), br#"{"title":"milk","stars":2}"#);
    assert_eq!(plugin.patch("/notes/a").await.status(), 405);
}

#[wharf_sdk::test]
async fn a_bucket_that_was_not_granted_is_refused_with_the_line_to_write() {
    let plugin = Plugin::new(notes).bucket("others");
    let response = plugin.get("/notes").await;
    let failure = response.failure().expect("it was not granted");
    assert_eq!((failure.kind(), failure.message()), ("internal", "internal error"));
    let details = failure.details().expect("for the author");
    assert!(details.contains("[plugin.NAME.grants]: keyvalue = [\"notes\"]"), "{details}");
}

#[wharf_sdk::test]
async fn a_bucket_does_what_the_standard_says() {
    async fn use_all() -> Result<String> {
        let bucket = Bucket::open("b")?;
        assert_eq!(bucket.get("none")?, None);
        bucket.set("n", "41")?;
        assert_eq!(bucket.increment("n", 1)?, 42);
        assert_eq!(bucket.increment("new", -1)?, -1);
        assert!(bucket.exists("n")?);
        bucket.delete("n")?;
        assert!(!bucket.exists("n")?);
        bucket.set("word", "x")?;
        assert!(bucket.increment("word", 1).is_err());

        bucket.set_many((0..250).map(|n| (format!("k{n:03}"), vec![0])))?;
        let keys = bucket.keys().collect::<kv::Result<Vec<_>>>()?;
        assert_eq!(keys.len(), 252);
        assert!(keys.is_sorted());
        bucket.delete_many(&keys)?;
        assert_eq!(bucket.get_many(&["a", "b"])?, [None, None]);

        let mut attempts = 0;
        bucket.update("racy", |present| {
            attempts += 1;
            if attempts < 3 {
                bucket.set("racy", format!("theirs {attempts}"))?;
            }
            let mut value = present.unwrap_or_default();
            value.extend_from_slice(b" and mine");
            Ok::<_, kv::Error>(value)
        })?;
        Ok(format!("{attempts}: {}", bucket.get_text("racy")?.unwrap_or_default()))
    }
    let plugin = Plugin::new(use_all).bucket("b");
    assert_eq!(plugin.get("/").await.text().await, "3: theirs 2 and mine");
}

#[derive(Debug, Deserialize)]
struct Settings {
    title: String,
    per_page: u16,
    #[serde(default)]
    tags: Vec<String>,
    verbose: Option<bool>,
}

struct Configured(Settings);

impl Handler for Configured {
    async fn start() -> Result<Self> {
        Ok(Configured(config::load()?))
    }

    #[allow(refining_impl_trait, reason = "the attribute macro allows it for plugins")]
    async fn handle(&self, _: Request, _: Context) -> Result<String> {
        let Settings { title, per_page, tags, verbose } = &self.0;
        Ok(format!("{title} {per_page} {tags:?} {verbose:?} {:?}", config::get("other")?))
    }
}

#[wharf_sdk::test]
async fn a_configuration_becomes_a_structure_or_says_what_to_write() {
    let plugin = Plugin::of::<Configured>()
        .config("title", "Notes")
        .config("per_page", "20")
        .config("tags", "a, b")
        .config("verbose", "true")
        .config("other", "x");
    assert_eq!(plugin.get("/").await.text().await, r#"Notes 20 ["a", "b"] Some(true) Some("x")"#);

    for (plugin, says) in [
        (Plugin::of::<Configured>().config("title", "Notes"), "config = { per_page = \"…\" }"),
        (
            Plugin::of::<Configured>().config("title", "Notes").config("per_page", "many"),
            "\"per_page\": \"many\" is not a whole number. Correct it in wharf.toml",
        ),
        (Plugin::of::<Configured>(), "config = { key = \"value\" }"),
    ] {
        let failure = plugin.start().await.expect_err("it does not start");
        assert!(failure.details().is_some_and(|details| details.contains(says)), "{failure}");
    }
}

async fn quote() -> Result<String> {
    let answer = client::post("https://api.example.com/quotes")
        .query([("of", "the day")])
        .header("x-client", "notes")
        .json(&1)
        .timeout(Duration::from_secs(2))
        .send()
        .await?
        .error_for_status()?;
    answer.json().await
}

#[wharf_sdk::test]
async fn a_call_reaches_an_origin_that_was_granted() {
    let plugin = Plugin::new(quote).http("https://api.example.com", |request| {
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://api.example.com/quotes?of=the+day");
        assert_eq!(request.headers()["x-client"], "notes");
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.body(), "1");
        Json("carpe diem")
    });
    assert_eq!(plugin.get("/").await.text().await, "carpe diem");
}

#[wharf_sdk::test]
async fn each_way_in_which_a_call_can_fail_has_its_status() {
    let plugin = Plugin::new(quote).http("https://other.example.com", |_| "no");
    let response = plugin.get("/").await;
    assert_eq!(response.status(), 500);
    let details = response.failure().and_then(Failure::details).expect("for the author").to_owned();
    assert!(details.contains("[plugin.NAME.grants]: http = [\"https://api.example.com\"]"), "{details}");

    let plugin = Plugin::new(quote).http("https://api.example.com", |_| StatusCode::IM_A_TEAPOT);
    assert_eq!(plugin.get("/").await.status(), 502);
    let plugin = Plugin::new(quote).http("https://api.example.com", |_| "not JSON");
    assert_eq!(plugin.get("/").await.status(), 502);
    let plugin = Plugin::new(quote).http("https://api.example.com", |_| Failure::unavailable("down"));
    assert_eq!(plugin.get("/").await.status(), 502);

    let invalid = client::get("/no/host").send().await.expect_err("where to?");
    assert_eq!(invalid.kind(), client::Kind::Invalid);
    let invalid = client::get("https://example.com").header("x a", "b").send().await.expect_err("a space");
    assert_eq!(invalid.kind(), client::Kind::Invalid);
}

#[wharf_sdk::test]
async fn variables_are_those_that_were_granted() {
    async fn region() -> Result<String> {
        env::var("REGION").or_not_found("no region")
    }
    assert_eq!(Plugin::new(region).env("REGION", "north").get("/").await.text().await, "north");
    assert_eq!(Plugin::new(region).get("/").await.status(), 404);
    assert_eq!(env::var("PATH"), None);
}

#[wharf_sdk::test]
async fn events_of_tracing_are_lines_with_the_fields_of_their_spans() {
    async fn work() {
        let _span = tracing::info_span!("order", id = 7).entered();
        tracing::warn!(left = 2, name = "a b", "running {}", "low");
        tracing::debug!("too fine");
    }
    let plugin = Plugin::new(work);
    plugin.get("/").await;
    let logs = plugin.logs();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!(logs[0].level, tracing::Level::WARN);
    assert_eq!(logs[0].message, "running low left=2 name=\"a b\" id=7");
    assert_eq!(logs[0].target, "plugin");
}

#[wharf_sdk::test]
async fn work_goes_on_after_the_response() {
    async fn later(context: Context) -> NoContent {
        context.background(async {
            time::sleep(Duration::from_secs(3_600)).await;
            Bucket::open("b")?.set("done", "yes")?;
            Err(Failure::unavailable("and then it failed"))
        });
        NoContent
    }
    let plugin = Plugin::new(later).bucket("b");
    assert_eq!(plugin.get("/").await.status(), 204);
    assert_eq!(plugin.stored("b", "done"), None);
    plugin.idle().await;
    assert_eq!(plugin.stored("b", "done").as_deref(), Some(b"yes".as_slice()));
    assert!(plugin.logged("and then it failed"));
}

#[wharf_sdk::test]
async fn events_are_sent_while_they_are_made() {
    async fn ticks() -> Sse {
        Sse::new(|mut events| async move {
            for n in 0..3 {
                events.send(sse::Event::data(format!("{n}"))).await?;
                time::sleep(Duration::from_secs(10)).await;
            }
            let last = Bucket::open("b")?.get_text("last")?.unwrap_or_default();
            events.send(last).await?;
            Ok(())
        })
    }
    let plugin = Plugin::new(ticks).value("b", "last", "bye");
    let mut response = plugin.get("/").await;
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.piece().await.expect("an event").as_deref(), Some("data: 0\n\n"));
    assert_eq!(response.text().await, "data: 1\n\ndata: 2\n\ndata: bye\n\n");
}

#[wharf_sdk::test]
async fn the_clock_is_the_tests() {
    async fn seconds() -> Result<String> {
        time::sleep(Duration::from_secs(5)).await;
        Ok(time::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs().to_string())
    }
    let plugin = Plugin::new(seconds).clock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    assert_eq!(plugin.get("/").await.text().await, "1005");
    assert_eq!(plugin.get("/").await.text().await, "1010");
}

struct Counter {
    count: Cell<u32>,
}

#[wharf_sdk::router]
impl Counter {
    async fn start() -> Result<Self> {
        Ok(Counter { count: Cell::new(10) })
    }

    /// Not a route.
    fn next(&self) -> u32 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    #[get("/count")]
    #[head("/count")]
    async fn count(&self) -> String {
        self.next().to_string()
    }

    #[post("/count/{by}")]
    async fn add(&self, Path(by): Path<u32>, context: Context) -> String {
        self.count.set(self.count.get() + by);
        format!("{} at {}", self.count.get(), context.pattern())
    }

    #[any("/page")]
    async fn page() -> Html<&'static str> {
        Html("<p>")
    }

    async fn health(&self) -> Result<()> {
        if self.count.get() > 100 { Err(Failure::unavailable("too many")) } else { Ok(()) }
    }
}

#[wharf_sdk::test]
async fn methods_with_routes_share_their_value() {
    let mut plugin = Plugin::of::<Counter>();
    assert_eq!(plugin.get("/count").await.text().await, "11");
    assert_eq!(plugin.post("/count/5").await.text().await, "16 at /count/{by}");
    assert_eq!(plugin.request(Method::from_bytes(b"BREW").expect("a token"), "/page").await.status(), 200);
    assert_eq!(plugin.delete("/count").await.header("allow"), Some("GET, HEAD, OPTIONS"));
    plugin.health().await.expect("it is well");
    plugin.post("/count/500").await;
    assert_eq!(plugin.health().await.expect_err("too many").kind(), "unavailable");
    plugin.stop().await;
    assert_eq!(plugin.get("/count").await.text().await, "11");
}

#[wharf_sdk::test]
async fn a_router_that_is_made_asynchronously_has_the_plugins_grants() {
    struct Title(String);
    async fn title(State(title): State<&Title>) -> &'static str {
        title.0.clone().leak()
    }
    async fn routes() -> Result<Router> {
        Ok(Router::new().get("/", title).with_state(Title(config::require("title")?)))
    }
    assert_eq!(Plugin::new(routes).config("title", "x").get("/").await.text().await, "x");
    let failure = Plugin::new(routes).config("other", "x").start().await.expect_err("no title");
    assert!(failure.details().is_some_and(|details| details.contains("config = { title = ")), "{failure}");
}

#[wharf_sdk::test]
async fn two_plugins_in_one_test_do_not_mix_their_grants() {
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let caller = Plugin::new(quote).http("https://api.example.com", move |_| {
        count.set(count.get() + 1);
        Json("one")
    });
    let other = Plugin::new(quote);
    assert_eq!(caller.get("/").await.status(), 200);
    assert_eq!(other.get("/").await.status(), 500);
    assert_eq!(seen.get(), 1);
}
