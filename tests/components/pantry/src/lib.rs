//! Uses each capability of the SDK, one for each path. README.md lists them.
//!
//! A failure of a capability is answered with 200 and `refused: TEXT`, so that a test can read the text that
//! the author of a plugin would find in the log.

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf::kv::{Bucket, Typed};
use wharf::sse::Event;
use wharf::{
    Body, Context, Form, IntoResponse, Json, Method, OrFail, Path, Query, Response, Result, Router, Sse,
    State, StatusCode, client, config, env, kv, log, time, tracing,
};

#[wharf::router]
fn routes() -> Router {
    let buckets = Router::new()
        .get("/{bucket}", keys)
        .post("/{bucket}", set_many)
        .get("/{bucket}/values/{key}", get)
        .put("/{bucket}/values/{key}", set)
        .delete("/{bucket}/values/{key}", delete)
        .head("/{bucket}/values/{key}", exists)
        .post("/{bucket}/increment/{key}", increment)
        .post("/{bucket}/append/{key}", append)
        .post("/{bucket}/notes/{key}", star);
    let calls = Router::new().any("/text", call_text).any("/through", call_through);
    Router::new()
        .nest("/buckets", buckets)
        .nest("/calls", calls)
        .get("/config", settings)
        .get("/config/{key}", setting)
        .get("/env/{name}", variable)
        .post("/log", write_log)
        .get("/flood", flood)
        .get("/sleep", sleep)
        .get("/events", events)
        .post("/background", background)
        .post("/json", json)
        .post("/form", form)
        .get("/query", query)
        .get("/path/{first}/{*rest}", path)
        .get("/shared", shared)
        .post("/lines", lines)
        .with_state(Shared("shared by all routes"))
}

struct Shared(&'static str);

/// What went wrong, as the author would read it.
fn refused<T, E: Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("refused: {error}\n"))
}

fn or_refused<T: IntoResponse>(result: Result<T, String>) -> Result<Response> {
    match result {
        Ok(value) => value.into_response(),
        Err(text) => text.into_response(),
    }
}

async fn keys(Path(bucket): Path<String>) -> Result<Response> {
    or_refused(refused((|| {
        let keys = Bucket::open(&bucket)?.keys().collect::<kv::Result<Vec<_>>>()?;
        Ok::<_, kv::Error>(keys.into_iter().map(|key| key + "\n").collect::<String>())
    })()))
}

#[derive(Deserialize)]
struct Many {
    prefix: String,
    count: u32,
    value: String,
}

async fn set_many(Path(bucket): Path<String>, Form(many): Form<Many>) -> Result<Response> {
    or_refused(refused((|| {
        let bucket = Bucket::open(&bucket)?;
        let keys: Vec<_> = (0..many.count).map(|n| format!("{}{n:04}", many.prefix)).collect();
        bucket.set_many(keys.iter().map(|key| (key.clone(), many.value.clone())))?;
        let found = bucket.get_many(&keys)?.into_iter().flatten().count();
        bucket.delete_many(&keys[..keys.len() / 2])?;
        let left = bucket.get_many(&keys)?.into_iter().flatten().count();
        Ok::<_, kv::Error>(format!("{found} set, {left} left\n"))
    })()))
}

async fn get(Path((bucket, key)): Path<(String, String)>) -> Result<Response> {
    match refused(Bucket::open(&bucket).and_then(|bucket| bucket.get(&key))) {
        Ok(value) => value.or_not_found("no value")?.into_response(),
        Err(text) => text.into_response(),
    }
}

async fn set(Path((bucket, key)): Path<(String, String)>, value: Vec<u8>) -> Result<Response> {
    or_refused(refused(Bucket::open(&bucket).and_then(|bucket| bucket.set(&key, value))))
}

async fn delete(Path((bucket, key)): Path<(String, String)>) -> Result<Response> {
    or_refused(refused(Bucket::open(&bucket).and_then(|bucket| bucket.delete(&key))))
}

async fn exists(Path((bucket, key)): Path<(String, String)>) -> Result<StatusCode> {
    Ok(if Bucket::open(&bucket)?.exists(&key)? { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

#[derive(Deserialize)]
struct By {
    by: i64,
}

async fn increment(
    Path((bucket, key)): Path<(String, String)>,
    Query(By { by }): Query<By>,
) -> Result<Response> {
    let sum = Bucket::open(&bucket).and_then(|bucket| bucket.increment(&key, by));
    or_refused(refused(sum.map(|sum| format!("{sum}\n"))))
}

async fn append(Path((bucket, key)): Path<(String, String)>, line: String) -> Result<Response> {
    or_refused(refused(Bucket::open(&bucket).and_then(|bucket| {
        bucket.update(&key, |present| {
            let mut lines = present.unwrap_or_default();
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
            Ok::<_, kv::Error>(lines)
        })
    })))
}

#[derive(Serialize, Deserialize)]
struct Note {
    title: String,
    stars: u32,
}

async fn star(Path((bucket, key)): Path<(String, String)>) -> Result<Response> {
    or_refused(
        refused(Typed::<Note>::open(&bucket).and_then(|notes| {
            notes.update(&key, |note| {
                let note = note.unwrap_or_else(|| Note { title: key.clone(), stars: 0 });
                Ok::<_, kv::Error>(Note { stars: note.stars + 1, ..note })
            })
        }))
        .map(Json),
    )
}

#[derive(Deserialize)]
struct Target {
    url: String,
    timeout_ms: Option<u64>,
}

impl Target {
    fn request(&self, method: Method) -> client::RequestBuilder {
        let request = client::request(method, &self.url);
        match self.timeout_ms {
            Some(timeout) => request.timeout(Duration::from_millis(timeout)),
            None => request,
        }
    }
}

/// The answer as text: `STATUS: BODY`, read by the plugin.
async fn call_text(
    Query(target): Query<Target>,
    method: Method,
    body: Vec<u8>,
    context: Context,
) -> Result<Response> {
    match target.request(method).traced(&context).body(body).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            format!("{status}: {}\n", answer.text().await?).into_response()
        }
        Err(error) => format!("refused: {:?}: {error}\n", error.kind()).into_response(),
    }
}

/// Both bodies handed on as they come.
async fn call_through(Query(target): Query<Target>, method: Method, body: Body) -> Result<Response> {
    target.request(method).body(body).send().await?.into_response()
}

#[derive(Deserialize, Serialize)]
struct Settings {
    title: String,
    #[serde(default)]
    per_page: u32,
    #[serde(default)]
    tags: Vec<String>,
}

async fn settings() -> Result<Response> {
    or_refused(refused(config::load::<Settings>()).map(Json))
}

async fn setting(Path(key): Path<String>) -> Result<Response> {
    or_refused(refused(config::require(&key)))
}

async fn variable(Path(name): Path<String>) -> Result<String> {
    env::var(&name).or_not_found("not granted")
}

#[derive(Deserialize)]
struct Line {
    level: String,
    number: Option<u32>,
}

/// The body, logged at a level.
async fn write_log(Query(line): Query<Line>, text: String) -> Result<()> {
    log::level(tracing::Level::TRACE);
    let number = line.number.unwrap_or_default();
    match line.level.as_str() {
        "trace" => tracing::trace!(number, "{text}"),
        "debug" => tracing::debug!(number, "{text}"),
        "info" => tracing::info!(number, "{text}"),
        "warn" => tracing::warn!(number, "{text}"),
        _ => tracing::error!(number, "{text}"),
    }
    Ok(())
}

#[derive(Deserialize)]
struct Count {
    count: u32,
    #[serde(default)]
    ms: u64,
}

async fn flood(Query(Count { count, .. }): Query<Count>) -> String {
    for n in 0..count {
        tracing::info!(n, "one of many");
    }
    format!("{count} lines\n")
}

#[derive(Deserialize)]
struct Wait {
    ms: u64,
}

async fn sleep(Query(Wait { ms }): Query<Wait>) -> Result<&'static str> {
    let limit = Duration::from_millis(ms * 2 + 1_000);
    time::timeout(limit, time::sleep(Duration::from_millis(ms))).await?;
    Ok("slept\n")
}

/// Events with a pause before each, and comments every 50 ms of silence.
async fn events(Query(Count { count, ms }): Query<Count>) -> Sse {
    Sse::new(move |mut events| async move {
        for n in 0..count {
            time::sleep(Duration::from_millis(ms)).await;
            events.send(Event::data(format!("{n}\nof {count}")).name("count").id(n.to_string())).await?;
        }
        Ok(())
    })
    .keep_alive(Duration::from_millis(50))
}

/// Answers at once, and logs a line when `ms` are over.
async fn background(Query(Wait { ms }): Query<Wait>, context: Context) -> StatusCode {
    context.background(async move {
        time::sleep(Duration::from_millis(ms)).await;
        tracing::info!("the work in the background is done");
    });
    StatusCode::ACCEPTED
}

async fn json(Json(note): Json<Note>) -> (StatusCode, Json<Note>) {
    (StatusCode::CREATED, Json(note))
}

async fn form(Form(note): Form<Note>) -> Json<Note> {
    Json(note)
}

async fn query(Query(note): Query<Note>) -> Json<Note> {
    Json(note)
}

async fn path(Path((first, rest)): Path<(u32, String)>) -> String {
    format!("{first} and {rest}\n")
}

async fn shared(State(shared): State<&Shared>) -> &'static str {
    shared.0
}

/// Counts the lines of a body without keeping it.
async fn lines(mut body: Body) -> Result<String> {
    let mut lines = 0;
    while let Some(piece) = body.read().await? {
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
    }
    Ok(format!("{lines} lines\n"))
}
