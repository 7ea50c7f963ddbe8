use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response};
use http_body::Body as HttpBody;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wharf_call::egress::{Destination, Scheme};
use wharf_call::limits::Tally;
use wharf_call::{
    Body, BoxFuture, Egress, EgressCode, EgressError, EgressGrants, EgressLimits, EgressOptions, Exceeded,
    LimitGuard, LimitKey, Memory, Outbound, PeerGrants, Peers,
};

use crate::config::Config;
use crate::connect::Connector;
use crate::download::{self, Call, Download};
use crate::exchange::{self, Answer, Head};
use crate::metrics::EgressMetrics;
use crate::peers::PluginPeers;
use crate::pool::Pool;
use crate::refusals::Refusals;
use crate::resolve::{Lookups, Resolve, SystemResolver};
use crate::tls::RootsError;
use crate::{fields, redirect, tls};

/// Longer timeouts count as this.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the outbound calls of all plugins share: trust, names and memory.
pub struct Upstream {
    config: Config,
    resolver: Arc<dyn Resolve>,
    memory: Arc<dyn Memory>,
    /// Made for the first plugin with an https grant.
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

impl Upstream {
    /// Names are looked up by the system. Each connection is paid for from `memory`.
    pub fn new(config: Config, memory: Arc<dyn Memory>) -> Self {
        Upstream { config, resolver: Arc::new(SystemResolver), memory, tls: Mutex::default() }
    }

    /// The same, with another way to look names up.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Upstream { resolver, ..self }
    }

    /// The way out for one generation of the plugin `name`, with connections of its own.
    ///
    /// What exceeds `limits` is asked of `guard`. For the first https grant it reads the system's roots, which blocks for some milliseconds: call it
    /// while a generation is prepared, not within a request.
    ///
    /// # Errors
    /// When an https origin is granted and there is no authority to trust.
    pub fn plugin(
        &self,
        name: &str,
        grants: EgressGrants,
        limits: EgressLimits,
        guard: Arc<dyn LimitGuard>,
    ) -> Result<PluginEgress, RootsError> {
        let tls = match grants.origins.iter().any(|grant| grant.scheme() == Scheme::Https) {
            true => Some(self.tls()?),
            false => None,
        };
        let pool = Pool::new(Connector {
            plugin: name.to_owned(),
            grants,
            limits,
            guard: guard.clone(),
            tls,
            memory: self.memory.clone(),
            lookups: Lookups::new(self.resolver.clone()),
        });
        let metrics = EgressMetrics::register(name);
        let calls_max = guard.bound(LimitKey::HttpCalls, limits.calls_max as u64) as usize;
        let calls = Arc::new(Semaphore::new(calls_max));
        Ok(PluginEgress { pool, calls, calls_max, guard, metrics, refusals: Mutex::default() })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, RootsError> {
        let mut tls = self.tls.lock();
        if let Some(tls) = &*tls {
            return Ok(tls.clone());
        }
        Ok(tls.insert(tls::client_config(&self.config)?).clone())
    }
}

impl Outbound for Upstream {
    fn open(
        &self,
        name: &str,
        grants: &EgressGrants,
        limits: EgressLimits,
        guard: Arc<dyn LimitGuard>,
    ) -> Result<Arc<dyn Egress>, String> {
        match self.plugin(name, grants.clone(), limits, guard) {
            Ok(egress) => Ok(Arc::new(egress)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn peers(&self, name: &str, grants: &PeerGrants) -> Arc<dyn Peers> {
        Arc::new(PluginPeers::new(name, grants.clone(), Lookups::new(self.resolver.clone())))
    }
}

/// The way out of one generation of a plugin. Dropping it closes what is idle; responses whose bodies are
/// still being read go on.
pub struct PluginEgress {
    pool: Arc<Pool>,
    calls: Arc<Semaphore>,
    /// How many there can be at once: the limit, or its ceiling if it is observed.
    calls_max: usize,
    guard: Arc<dyn LimitGuard>,
    metrics: EgressMetrics,
    refusals: Mutex<Refusals>,
}

impl Egress for PluginEgress {
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        options: EgressOptions,
    ) -> BoxFuture<'a, Result<Response<Body>, EgressError>> {
        let options = bounded(options);
        Box::pin(async move {
            let mut watched = Watched { metrics: &self.metrics, began: Instant::now(), outcome: None };
            let outcome = self.call(request, &options).await;
            watched.outcome = Some(match &outcome {
                Ok(response) => Ok(response.status().as_u16()),
                Err(error) => Err(error.code()),
            });
            if let Err(error) = &outcome {
                self.log(error);
            }
            outcome
        })
    }
}

impl PluginEgress {
    /// The life of a call.
    async fn call(
        &self,
        request: Request<Body>,
        options: &EgressOptions,
    ) -> Result<Response<Body>, EgressError> {
        // A slot: first, so that a plugin which calls without end costs nobody anything.
        let slot = self.slot()?;

        // The head: cleaned once, so that no hop sees what only the host decides.
        let (parts, body) = request.into_parts();
        let head = Head::new(parts);
        self.check_upload(&body)?;
        if head.method == Method::CONNECT {
            let detail = "CONNECT asks for a tunnel, not for a response";
            return Err(EgressError::new(EgressCode::HttpRequestMethodInvalid, detail));
        }

        // The deadline: outside of everything that waits.
        let hops = self.hops(head, body, slot, options);
        match options.deadline.instant() {
            None => hops.await,
            Some(deadline) => timeout_at(deadline.into(), hops).await.unwrap_or_else(|_| {
                Err(EgressError::new(
                    EgressCode::HttpResponseTimeout,
                    "the deadline passed before the response",
                ))
            }),
        }
    }

    /// One of the calls that there may be at once.
    fn slot(&self) -> Result<OwnedSemaphorePermit, EgressError> {
        let slot = self.calls.clone().try_acquire_owned();
        let at_once = match slot {
            Ok(_) => self.calls_max - self.calls.available_permits(),
            Err(_) => self.calls_max + 1,
        };
        let limit = self.pool.connector().limits.calls_max;
        let reached = |detail: String| EgressError::new(EgressCode::ConnectionLimitReached, detail);
        if at_once > limit {
            let passes = self.guard.exceeded(LimitKey::HttpCalls, at_once as u64);
            passes.map_err(|exceeded| reached(exceeded.to_string()))?;
        }
        slot.map_err(|_| reached("all outbound calls are in use".to_owned()))
    }

    /// Refuses a body that says itself that it is too long. One that only turns out to be is cut.
    fn check_upload(&self, body: &Body) -> Result<(), EgressError> {
        let (max, says) = (self.pool.connector().limits.request_body_bytes_max, body.size_hint().lower());
        if says > max && !self.guard.observes(LimitKey::HttpRequestBody) {
            let passes = self.guard.exceeded(LimitKey::HttpRequestBody, says);
            let too_large =
                |exceeded: Exceeded| EgressError::new(EgressCode::HttpRequestBodySize, exceeded.to_string());
            passes.map_err(too_large)?;
        }
        Ok(())
    }

    /// Looks at the head of a response. What the peer sent beyond the limits by far has not been read at all.
    fn check_head(&self, headers: &HeaderMap) -> Result<(), EgressError> {
        let limits = &self.pool.connector().limits;
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        for (key, limit, has) in [
            (LimitKey::HttpResponseHeaderCount, limits.response_header_count_max, headers.len()),
            (LimitKey::HttpResponseHeaders, limits.response_header_bytes_max, bytes),
        ] {
            if has > limit {
                let passes = self.guard.exceeded(key, has as u64);
                passes.map_err(|exceeded| {
                    EgressError::new(EgressCode::HttpResponseHeaderSectionSize, exceeded.to_string())
                })?;
            }
        }
        Ok(())
    }

    /// The request, and those that it is redirected to.
    async fn hops(
        &self,
        mut head: Head,
        mut body: Body,
        slot: OwnedSemaphorePermit,
        options: &EgressOptions,
    ) -> Result<Response<Body>, EgressError> {
        let mut followed = 0;
        loop {
            // Where to, and whether that is granted: anew for each hop, and before a name is looked up. The
            // address is checked where it is connected to.
            let destination = Destination::of(&head.uri)?;
            self.pool.connector().check_grant(&destination)?;

            let spare = body.try_clone();
            let answer = exchange::exchange(&self.pool, &destination, &head, body, options).await;
            let answer = answer.inspect_err(|error| {
                if error.code() == EgressCode::HttpResponseHeaderSectionSize {
                    // The connection has read as far as the limit, and does not know how much there is.
                    let limit = self.pool.connector().limits.response_header_bytes_max;
                    let _ = self.guard.exceeded(LimitKey::HttpResponseHeaders, limit as u64);
                }
            })?;
            self.check_head(answer.response.headers())?;

            // The next hop, if the plugin asked for it. The answer goes unread; its body is for browsers.
            if followed < options.follow {
                let (status, headers) = (answer.response.status(), answer.response.headers());
                if let Some(again) = redirect::follow(&mut head, spare.as_ref(), status, headers)? {
                    if answer.response.is_end_stream() && answer.upload.is_done() {
                        answer.lease.give_back();
                    }
                    followed += 1;
                    body = again;
                    continue;
                }
            }
            return self.deliver(answer, slot, options);
        }
    }

    /// The response as the plugin gets it. From here on its body holds the slot and the connection.
    fn deliver(
        &self,
        answer: Answer,
        slot: OwnedSemaphorePermit,
        options: &EgressOptions,
    ) -> Result<Response<Body>, EgressError> {
        let Answer { response, lease, upload } = answer;
        let (mut parts, incoming) = response.into_parts();
        fields::clean_response(&mut parts.headers);
        parts.extensions.clear();
        let call = Call { lease, upload, slot };
        let key = LimitKey::HttpResponseBody;
        let (max, says) =
            (self.pool.connector().limits.response_body_bytes_max, incoming.size_hint().lower());
        if says > max && !self.guard.observes(key) {
            self.guard.exceeded(key, says).map_err(download::too_large)?;
        }
        let body = if incoming.is_end_stream() {
            call.end();
            Body::Empty
        } else {
            let tally = Tally::new(key, max);
            let guard = self.guard.clone();
            Body::stream(Download::new(incoming, tally, guard, options.between_bytes_timeout, call))
        };
        Ok(Response::from_parts(parts, body))
    }

    fn log(&self, error: &EgressError) {
        let plugin = &self.pool.connector().plugin;
        let refused = matches!(
            error.code(),
            EgressCode::HttpRequestDenied
                | EgressCode::DestinationIpProhibited
                | EgressCode::HttpRequestUriInvalid
        );
        if !refused {
            tracing::debug!(plugin, error = error.code().name(), "{}", error.detail());
        } else if let Some(unlogged) = self.refusals.lock().next(Instant::now()) {
            tracing::warn!(plugin, error = error.code().name(), unlogged, "{}", error.detail());
        }
    }
}

/// A guest may ask for 500 years, and no clock can add them.
fn bounded(options: EgressOptions) -> EgressOptions {
    EgressOptions {
        connect_timeout: options.connect_timeout.min(TIMEOUT_MAX),
        first_byte_timeout: options.first_byte_timeout.min(TIMEOUT_MAX),
        between_bytes_timeout: options.between_bytes_timeout.min(TIMEOUT_MAX),
        ..options
    }
}

/// Counts a call when it is over, one that the plugin drops included.
struct Watched<'a> {
    metrics: &'a EgressMetrics,
    began: Instant,
    outcome: Option<Result<u16, EgressCode>>,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.metrics.ended(self.outcome, self.began.elapsed());
    }
}
