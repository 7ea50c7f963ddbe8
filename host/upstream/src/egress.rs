use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wharf_call::egress::{Destination, Scheme};
use wharf_call::{
    Body, BoxFuture, Egress, EgressCode, EgressError, EgressGrants, EgressLimits, EgressOptions, Memory,
    Outbound, PeerGrants, Peers,
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
    /// For the first https grant it reads the system's roots, which blocks for some milliseconds: call it
    /// while a generation is prepared, not within a request.
    ///
    /// # Errors
    /// When an https origin is granted and there is no authority to trust.
    pub fn plugin(
        &self,
        name: &str,
        grants: EgressGrants,
        limits: EgressLimits,
    ) -> Result<PluginEgress, RootsError> {
        let tls = match grants.origins.iter().any(|grant| grant.scheme() == Scheme::Https) {
            true => Some(self.tls()?),
            false => None,
        };
        let pool = Pool::new(Connector {
            plugin: name.to_owned(),
            grants,
            limits,
            tls,
            memory: self.memory.clone(),
            lookups: Lookups::new(self.resolver.clone()),
        });
        let metrics = EgressMetrics::register(name);
        let calls = Arc::new(Semaphore::new(limits.calls_max));
        Ok(PluginEgress { pool, calls, metrics, refusals: Mutex::default() })
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
    ) -> Result<Arc<dyn Egress>, String> {
        match self.plugin(name, grants.clone(), limits) {
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
        let slot = self.calls.clone().try_acquire_owned().map_err(|_| {
            EgressError::new(
                EgressCode::ConnectionLimitReached,
                "the plugin has all its outbound calls in use",
            )
        })?;

        // The head: cleaned once, so that no hop sees what only the host decides.
        let (parts, body) = request.into_parts();
        let head = Head::new(parts);
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

            let spare = exchange::copy(&body);
            let answer = exchange::exchange(&self.pool, &destination, &head, body, options).await?;

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
        let bytes_max = self.pool.connector().limits.response_body_bytes_max;
        if incoming.size_hint().lower() > bytes_max {
            return Err(download::too_large());
        }
        let body = if incoming.is_end_stream() {
            call.end();
            Body::Empty
        } else {
            Body::stream(Download::new(incoming, bytes_max, options.between_bytes_timeout, call))
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
