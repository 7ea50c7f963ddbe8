use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use wharf_call::ports::{PluginStatus, Refusal, Stage};

use crate::Shared;
use crate::guard::{authorize, guard};
use crate::problem::Problem;

/// What lets a larger component in.
const RAISE: &str = ". Raise [engine] component_bytes in wharf.toml and restart the host";

/// The arguments of a call, in JSON.
const CALL_BYTES_MAX: u64 = 64 << 20;

/// How long a client may take to send a component.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a profile may be recorded, in seconds.
const PROFILE_SECONDS: RangeInclusive<u64> = 1..=300;
/// How long one is recorded when the client does not say.
const PROFILE_DEFAULT: Duration = Duration::from_secs(10);

/// Who sent a request.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/plugins", get(list))
        .route("/plugins/{name}", get(show).put(load))
        .route("/plugins/{name}/rollback", post(rollback))
        .route("/plugins/{name}/profile", post(profile))
        .route("/plugins/{name}/call/{function}", post(call))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method; see Allow")
        })
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.control.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], (shared.metrics)()).into_response()
}

async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let host = shared.control.host();
    Json(json!({
        "manifest": host.manifest,
        "manifest_refused": host.manifest_refused,
        "plugins": shared.control.plugins(),
    }))
    .into_response()
}

async fn show(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match shared.control.plugins().into_iter().find(|plugin| plugin.name == name) {
        Some(plugin) => Json(plugin).into_response(),
        None => {
            Problem::from(Refusal::new(Stage::Find, format!("there is no plugin {name:?}"))).into_response()
        }
    }
}

async fn load(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let write = Write { peer, action: "load", plugin: &name };
    if let Err(problem) = authorize(&shared.config, request.headers()) {
        return write.denied(problem);
    }
    let _one_at_a_time = shared.upload.lock().await;
    let component = match read(request, shared.config.component_bytes_max, RAISE).await {
        Ok(component) => component,
        Err(problem) => return write.denied(problem),
    };
    write.done(shared.control.load(&name, component).await)
}

async fn rollback(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let write = Write { peer, action: "rollback", plugin: &name };
    if let Err(problem) = authorize(&shared.config, &headers) {
        return write.denied(problem);
    }
    write.done(shared.control.rollback(&name).await)
}

/// Calls a function of a plugin. The answer is the function's, whatever it is.
async fn call(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path((name, function)): Path<(String, String)>,
    request: Request,
) -> Response {
    let write = Write { peer, action: "call", plugin: &name };
    if let Err(problem) = authorize(&shared.config, request.headers()) {
        return write.denied(problem);
    }
    let arguments = match read(request, CALL_BYTES_MAX, "").await {
        Ok(arguments) => arguments,
        Err(problem) => return write.denied(problem),
    };
    match shared.control.call(&name, &function, arguments).await {
        Ok(response) => {
            let status = response.status().as_u16();
            tracing::info!(target: "wharf::admin", %peer, action = "call", plugin = name, function, status, "done");
            response.map(axum::body::Body::new)
        }
        Err(refusal) => write.done(Err(refusal)),
    }
}

/// Records what a plugin computes, for `?seconds=N`.
async fn profile(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let write = Write { peer, action: "profile", plugin: &name };
    if let Err(problem) = authorize(&shared.config, &headers) {
        return write.denied(problem);
    }
    let Some(time) = profile_time(uri.query()) else {
        let (min, max) = (PROFILE_SECONDS.start(), PROFILE_SECONDS.end());
        let detail = format!("the query may say seconds=N, with N from {min} to {max}");
        return write.denied(Problem::new(StatusCode::BAD_REQUEST, detail));
    };
    match shared.control.profile(&name, time).await {
        Ok(profile) => {
            let (seconds, bytes) = (time.as_secs(), profile.len());
            tracing::info!(target: "wharf::admin", %peer, action = "profile", plugin = name, seconds, bytes, "done");
            ([(CONTENT_TYPE, "application/json")], profile).into_response()
        }
        Err(refusal) => write.done(Err(refusal)),
    }
}

/// How long a recording is to be; `None` when the query says something else.
fn profile_time(query: Option<&str>) -> Option<Duration> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Some(PROFILE_DEFAULT) };
    let seconds = query.strip_prefix("seconds=")?.parse().ok()?;
    PROFILE_SECONDS.contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// The whole body, or why not. Nothing happens to a plugin before the last byte is here.
async fn read(request: Request, bytes_max: u64, raise: &str) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {bytes_max} bytes{raise}"),
        )
    };
    let body = request.into_body();
    // What says that it is too large is not read at all.
    if http_body::Body::size_hint(&body).lower() > bytes_max {
        return Err(too_large());
    }
    let limited = Limited::new(body, usize::try_from(bytes_max).unwrap_or(usize::MAX));
    match tokio::time::timeout(UPLOAD_TIMEOUT, limited.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body did not arrive whole: {error}")))
        }
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} s", UPLOAD_TIMEOUT.as_secs()),
        )),
    }
}

/// An attempt to change something: each leaves one line that says who wanted what, and what came of it.
struct Write<'a> {
    peer: SocketAddr,
    action: &'static str,
    plugin: &'a str,
}

impl Write<'_> {
    fn done(&self, result: Result<PluginStatus, Refusal>) -> Response {
        let Write { peer, action, plugin } = self;
        match result {
            Ok(status) => {
                let generation = status.serving.generation;
                tracing::info!(target: "wharf::admin", %peer, action, plugin, generation, "done");
                Json(status).into_response()
            }
            Err(refusal) => {
                let stage = refusal.stage.name();
                let reason = &*refusal.message;
                tracing::info!(target: "wharf::admin", %peer, action, plugin, stage, reason, "refused");
                Problem::from(refusal).into_response()
            }
        }
    }

    fn denied(&self, problem: Problem) -> Response {
        let Write { peer, action, plugin } = self;
        let reason = problem.detail();
        tracing::info!(target: "wharf::admin", %peer, action, plugin, reason, "denied");
        problem.into_response()
    }
}
