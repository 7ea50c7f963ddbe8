//! The order in which a request passes the layers, as one list.

use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use wharf_call::{Body, Deadline, Failure, Invocation, Kind, Metadata, UpgradeOffer, hop_by_hop};

use crate::connection::Conn;
use crate::exchange::Exchange;
use crate::fields::Fields;
use crate::path::NormalPath;
use crate::response::ResponseBody;
use crate::router::Found;
use crate::strict::Host;
use crate::{failure_response, identity, metrics, path, request_body, response, strict, upgrade};

/// Answers one request. Whatever happens in the layers, the client gets one response and the log one line:
/// the exchange writes it when it is dropped, which is when the last byte is out or the client has gone.
pub(crate) async fn serve(
    conn: Arc<Conn>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (head, body) = request.into_parts();
    let mut exchange = Exchange::begin(conn, &head);
    let outcome = pass(&mut exchange, head, body).await;
    Ok(match outcome {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade::deliver(response, exchange)
        }
        Ok(response) => response::deliver(response, exchange),
        Err(failure) => failure_response::deliver(failure, exchange),
    })
}

/// The chain. Each layer either hands on or ends the request with a [`Failure`].
async fn pass(exchange: &mut Exchange, mut head: Parts, body: Incoming) -> Result<Response<Body>, Failure> {
    // Strict parse: first, because nothing in a head that two servers could read differently may be used.
    let (host, fields) = match strict::check(&head, exchange.conn()) {
        Ok(sound) => sound,
        Err(failure) => {
            exchange.is_for(Host::unchecked(&head));
            return Err(failure);
        }
    };
    exchange.is_for(host);
    exchange.head_is_sound();

    // An offer to go on in another protocol: looked at before the fields that carry it are gone.
    let offer = if fields.have(Fields::UPGRADE) { upgrade::offered(&mut head, exchange) } else { None };

    // Hop-by-hop fields: out before anything is added, so that `connection` cannot name what the host adds.
    hop_by_hop::strip(&mut head.headers);

    // Request id and trace: next, so that every refusal from here on can be found by the id the client knows.
    identity::establish(&mut head.headers, fields, exchange);

    // Path: normalised once and before routing, so that no two layers can see two different paths.
    let target = std::mem::take(&mut head.uri);
    if head.method == Method::OPTIONS && target.path() == "*" {
        return Ok(no_content(None)); // about the server as a whole: RFC 9110, section 9.3.7
    }
    let path = path::normalise(target.path())
        .map_err(|error| metrics::refusal("path", Failure::new(Kind::BadRequest, error.text())))?;

    // Route: before the body, so that a request nobody serves costs no memory.
    let table = exchange.front().routes.current();
    let route = match table.find(exchange.host().name(), &head.method, &path.segments) {
        Found::Route(route) => route,
        // A gRPC client understands a status of gRPC, and no 404.
        _ if let Some(route) = table.grpc_route(&head.headers) => route,
        Found::OtherMethods(allow) if head.method == Method::OPTIONS => return Ok(no_content(Some(&allow))),
        Found::OtherMethods(allow) => return Err(method_not_allowed(allow)),
        Found::Nothing => return Err(Failure::new(Kind::NotFound, "There is nothing at this address.")),
    };
    let params = route.params(&path.segments);
    exchange.routed(route);

    // Canonical head: the plugin gets what was routed, not what was sent.
    let canonical = strict::canonical(&target, &path_and_query(&path, &target));
    head.uri = canonical.unwrap_or(target);
    if !fields.have(Fields::HOST) {
        exchange.host().name_in(&mut head.headers);
    }

    // Body: small ones whole and paid for from the memory budget, large ones as a stream with back-pressure.
    let body = request_body::take(exchange, body).await?;

    // Plugin call: last. It sees only what has been checked, and its panic is its own.
    let called = call(exchange, head, offer, body, params).await;

    // Response: a body that the gateway had to cut explains a failed call better than the plugin can.
    called.map_err(|failure| exchange.cause_in_request_body().unwrap_or(failure))
}

/// Calls the plugin. A panic below becomes a 500 of this request, and of no other.
async fn call(
    exchange: &Exchange,
    head: Parts,
    offer: Option<UpgradeOffer>,
    body: Body,
    params: Vec<(Arc<str>, String)>,
) -> Result<Response<Body>, Failure> {
    let mut request = Request::from_parts(head, body);
    // What hyper has to say to us it has not to say to the plugin.
    request.extensions_mut().clear();
    if let Some(offer) = offer {
        request.extensions_mut().insert(offer);
    }
    let route = exchange.route();
    let invocation = Invocation {
        request_id: exchange.request_id().clone(),
        trace: exchange.trace(),
        route: route.pattern.text(),
        params,
        caller: None,
        peer: exchange.conn().peer.clone(),
        idempotent: route.idempotent,
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    };
    let call = async { route.target.call(request, invocation).await };
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(metrics::panicked(&*panic)),
    }
}

/// The answer to OPTIONS where no plugin has one.
fn no_content(allow: Option<&str>) -> Response<Body> {
    let mut answer = Response::new(Body::Empty);
    *answer.status_mut() = StatusCode::NO_CONTENT;
    if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}

fn method_not_allowed(allow: String) -> Failure {
    Failure::new(Kind::MethodNotAllowed, "This address does not serve the method.").with_allow(allow)
}

/// The normalised path and the query as it was sent; borrowed when the path was sent in normal form.
fn path_and_query<'a>(path: &'a NormalPath<'_>, target: &http::Uri) -> Cow<'a, str> {
    match target.query() {
        None => Cow::Borrowed(&path.encoded),
        Some(query) => Cow::Owned(format!("{}?{query}", path.encoded)),
    }
}
