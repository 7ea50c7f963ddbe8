use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::request::Parts;
use http::{Method, Uri, Version};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio::time::Instant;
use wharf_call::{AccessRecord, Failure, HttpService, RequestId, Reservation, TraceContext};

use crate::connection::{Conn, Front};
use crate::identity;
use crate::metrics::RouteMetrics;
use crate::router::Route;
use crate::strict::Host;

/// How much of a request's target goes into its access line.
const TARGET_LOGGED: usize = 512;

/// One request and its response, from the head to the last byte.
///
/// It travels with the request through the chain and then inside the response's body. Dropping it writes the
/// access line and counts the request, so that no way of ending a request escapes the log.
pub(crate) struct Exchange(Box<Inner>);

struct Inner {
    conn: Arc<Conn>,
    started: Instant,
    identity: Option<(RequestId, TraceContext)>,
    method: Method,
    version: Version,
    target: Uri,
    host: Host,
    route: Option<Arc<Route>>,
    /// 0 until there is a response.
    status: u16,
    kind: Option<Box<str>>,
    request_bytes: u64,
    intake: Option<Arc<Intake>>,
    response_bytes: u64,
    /// Memory of the request's body; given back when the response has ended.
    reservation: Option<Reservation>,
    /// The rest of the connection, where the client offers to go on in another protocol.
    on_upgrade: Option<OnUpgrade>,
    /// Whether the HTTP/1 connection must end with this response.
    closes: bool,
    complete: bool,
}

/// What is known of a request body that is streamed to a plugin.
#[derive(Default)]
pub(crate) struct Intake {
    pub(crate) bytes: AtomicU64,
    /// Why the gateway cut it.
    pub(crate) cut: Mutex<Option<Failure>>,
}

impl Exchange {
    pub(crate) fn begin(conn: Arc<Conn>, head: &Parts) -> Self {
        conn.pulse.request_began();
        conn.front.metrics.in_flight.increment(1);
        Exchange(Box::new(Inner {
            conn,
            started: Instant::now(),
            identity: None,
            method: head.method.clone(),
            version: head.version,
            target: head.uri.clone(),
            host: Host::default(),
            route: None,
            status: 0,
            kind: None,
            request_bytes: 0,
            intake: None,
            response_bytes: 0,
            reservation: None,
            on_upgrade: None,
            closes: true,
            complete: false,
        }))
    }

    pub(crate) fn conn(&self) -> &Conn {
        &self.0.conn
    }

    pub(crate) fn shared_conn(&self) -> Arc<Conn> {
        self.0.conn.clone()
    }

    pub(crate) fn front(&self) -> &Front {
        &self.0.conn.front
    }

    pub(crate) fn method(&self) -> &Method {
        &self.0.method
    }

    pub(crate) fn version(&self) -> Version {
        self.0.version
    }

    /// Whom the request is for.
    pub(crate) fn is_for(&mut self, host: Host) {
        self.0.host = host;
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0.host
    }

    /// The head is what it says: what follows it on the connection can be trusted to be the next request.
    pub(crate) fn head_is_sound(&mut self) {
        self.0.closes = false;
    }

    /// The body could not be read to its end, so no other request can follow it.
    pub(crate) fn body_is_lost(&mut self) {
        self.0.closes = true;
    }

    pub(crate) fn closes(&self) -> bool {
        self.0.closes
    }

    /// The client offers to go on in another protocol, and this is how.
    pub(crate) fn may_upgrade(&mut self, on: Option<OnUpgrade>) {
        self.0.on_upgrade = on;
    }

    /// The rest of the connection, for the one who has answered 101.
    pub(crate) fn upgrade(&mut self) -> Option<OnUpgrade> {
        self.0.on_upgrade.take()
    }

    pub(crate) fn identified(&mut self, id: RequestId, trace: TraceContext) {
        self.0.identity = Some((id, trace));
    }

    /// The id in use; a head that was refused gets a new one, since nothing in it is trusted.
    pub(crate) fn request_id(&self) -> &RequestId {
        &self.identity().0
    }

    pub(crate) fn trace(&self) -> TraceContext {
        self.identity().1
    }

    fn identity(&self) -> &(RequestId, TraceContext) {
        self.0.identity.as_ref().expect("established by the chain, or by `failed` before that")
    }

    /// Who was to answer, if that is known.
    pub(crate) fn target(&self) -> Option<&dyn HttpService> {
        self.0.route.as_deref().map(|route| &*route.target)
    }

    pub(crate) fn routed(&mut self, route: Arc<Route>) {
        self.0.route = Some(route);
    }

    /// The route that was found.
    pub(crate) fn route(&self) -> &Route {
        self.0.route.as_ref().expect("the chain finds one before it goes on")
    }

    pub(crate) fn has_whole_body(&mut self, bytes: u64, reservation: Option<Reservation>) {
        self.0.request_bytes = bytes;
        self.0.reservation = reservation;
    }

    pub(crate) fn has_streamed_body(&mut self) -> Arc<Intake> {
        self.0.intake.get_or_insert_default().clone()
    }

    /// Why the gateway cut the request's body, if it did.
    pub(crate) fn cause_in_request_body(&mut self) -> Option<Failure> {
        let cause = self.0.intake.as_ref()?.cut.lock().clone()?;
        self.0.closes = true;
        Some(cause)
    }

    /// The request ends with `failure`, or the response is cut short by it. Logs what the client is not told.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        let inner = &mut *self.0;
        let (id, _) =
            inner.identity.get_or_insert_with(|| (identity::new_request_id(), identity::new_trace()));
        inner.kind = Some(failure.kind_name().into());
        let (route, plugin) = names(inner.route.as_deref());
        let (kind, origin, private) = (failure.kind_name(), failure.origin().name(), failure.private());
        if failure.kind().status() >= 500 {
            tracing::warn!(
                request_id = id.as_str(),
                plugin,
                route,
                kind,
                origin,
                private,
                "{}",
                failure.public()
            );
        } else if private.is_some() {
            tracing::info!(
                request_id = id.as_str(),
                plugin,
                route,
                kind,
                origin,
                private,
                "{}",
                failure.public()
            );
        }
    }

    pub(crate) fn answered(&mut self, status: u16) {
        self.0.status = status;
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.0.response_bytes += bytes as u64;
    }

    /// The response has ended well; what is left is to drop the exchange.
    pub(crate) fn complete(mut self) {
        self.0.complete = true;
    }
}

fn names(route: Option<&Route>) -> (&str, &str) {
    route.map_or(("", ""), |route| (route.pattern.as_str(), route.target.name()))
}

impl Drop for Inner {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.started);
        let front = &self.conn.front;
        let streamed = self.intake.as_ref().map_or(0, |intake| intake.bytes.load(Ordering::Relaxed));
        let request_bytes = self.request_bytes + streamed;
        let counted: &RouteMetrics =
            self.route.as_ref().map_or(&front.metrics.unrouted, |route| &route.metrics);
        counted.ended(self.status, took, request_bytes, self.response_bytes);
        front.metrics.in_flight.decrement(1);
        self.conn.pulse.request_ended(now);
        self.log(took, request_bytes);
    }
}

impl Inner {
    fn log(&self, took: Duration, request_bytes: u64) {
        let Some(access) = &self.conn.front.access else { return };
        let (route, plugin) = names(self.route.as_deref());
        let target = self.target.path_and_query().map_or("", |target| target.as_str());
        let host = self.host.authority().and_then(|host| host.to_str().ok());
        let host = host.or_else(|| self.target.authority().map(|authority| authority.as_str()));
        access.ended(&AccessRecord {
            request_id: self.identity.as_ref().map(|(id, _)| id.as_str()),
            trace: self.identity.as_ref().map(|(_, trace)| *trace),
            client: &self.conn.peer,
            method: self.method.as_str(),
            route,
            plugin,
            host: host.unwrap_or_default(),
            path: &target[..target.floor_char_boundary(TARGET_LOGGED)],
            status: self.status,
            kind: self.kind.as_deref(),
            request_bytes,
            response_bytes: self.response_bytes,
            took,
            protocol: protocol(self.version),
            cut: !self.complete,
        });
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}
