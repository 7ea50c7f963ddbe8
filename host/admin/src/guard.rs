//! What every request has to pass, whatever it asks for.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::problem::Problem;
use crate::{Config, Shared};

/// Refuses requests that a browser was talked into: those for a name that is not this host's, which is
/// what DNS rebinding looks like, and those from a page of another origin.
pub(crate) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match check(&shared.config, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn check(config: &Config, request: &Request) -> Result<(), Problem> {
    let host = host(request)?;
    let name = host.host();
    if !is_own(config, name) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "the admin API does not answer for the host {name:?}. Use an IP address or localhost, or add \
                 to wharf.toml: [admin] hosts = [{name:?}]"
            ),
        ));
    }
    let mut origins = request.headers().get_all(ORIGIN).iter();
    if origins.all(|origin| is_same_origin(origin, &host)) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "the admin API does not answer pages of another origin. Use a client that sends no Origin header",
    ))
}

/// The authority that the request is for. The target counts before the header (RFC 9112, section 3.2.2);
/// both must name a host of ours, and there is exactly one header.
fn host(request: &Request) -> Result<Authority, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail.to_owned());
    let mut values = request.headers().get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(bad("a request needs exactly one Host header"));
    };
    let host: Authority = value
        .as_bytes()
        .try_into()
        .map_err(|_| bad("the Host header is not a host with an optional port"))?;
    match request.uri().authority() {
        Some(target) if *target != host => Err(bad("the request target and the Host header differ")),
        _ => Ok(host),
    }
}

/// An address cannot be rebound to another one; names can, unless they are known.
fn is_own(config: &Config, name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
        || bare.eq_ignore_ascii_case("localhost")
        || config.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The port counts as well: a plugin's page on the HTTP port of the same machine is a stranger here.
fn is_same_origin(origin: &HeaderValue, host: &Authority) -> bool {
    let Some(rest) = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://")) else {
        return false;
    };
    rest.parse::<Authority>().is_ok_and(|origin| {
        origin.host().eq_ignore_ascii_case(host.host())
            && origin.port_u16().unwrap_or(80) == host.port_u16().unwrap_or(80)
    })
}

/// A write needs the token (RFC 6750, section 2.1).
pub(crate) fn authorize(config: &Config, headers: &HeaderMap) -> Result<(), Problem> {
    let presented = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match presented {
        Some(token) if config.token.matches(token.as_bytes()) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            format!(
                "this needs the header Authorization: Bearer <token>. The token is in {} on the host's machine",
                config.token.path().display()
            ),
        )),
    }
}
