//! What is loaded now: a plugin, the generation that it serves, and the way from one to the next.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use wharf_call::ports::{GenerationStatus, PluginStatus, Refusal, RefusedLoad, Stage};
use wharf_call::{
    Body, BoxFuture, Failure, HttpService, Invocation, Kind, MessageStream, Service, SocketService,
};

use crate::berth::Berth;
use crate::config::PluginConfig;
use crate::exchange;
use crate::generation::{Generation, now_s};
use crate::metrics;
use crate::profile;
use crate::runtime::Artifact;
use crate::service::ServiceHandle;
use crate::shared;
use crate::socket;

/// A plugin of the manifest. Routes point at it; what it serves changes under them.
///
/// Exactly one generation serves at a time. A request takes the one that serves when it arrives and keeps
/// it to its end, so each answer is entirely from one generation.
pub struct Plugin {
    name: String,
    berth: Arc<Berth>,
    serving: ArcSwap<Generation>,
    history: Mutex<History>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct History {
    previous: Option<Previous>,
    /// Replaced generations, until their last lease has ended.
    replaced: Vec<Weak<Generation>>,
    refused: Option<RefusedLoad>,
}

/// What a rollback goes back to. It keeps the code, not the generation, whose instances are to go.
struct Previous {
    artifact: Arc<Artifact>,
    status: GenerationStatus,
}

/// A generation that has proven itself and does not serve yet. Dropping it drops its instance.
pub struct Candidate(Arc<Generation>);

impl Candidate {
    /// Its functions, for the doors, as of [`Plugin::service`]. What is prepared with them before the swap is served
    /// with it. Keeping them keeps the generation.
    pub fn service(&self) -> Option<Arc<dyn Service>> {
        ServiceHandle::of(&self.0)
    }

    /// Whether clients open sockets to it.
    pub fn opens_sockets(&self) -> bool {
        self.0.artifact.opens_sockets()
    }
}

impl Plugin {
    /// Makes the first generation of a plugin.
    ///
    /// # Errors
    /// The step that refused, from [`Stage::Grant`] to [`Stage::Health`].
    pub async fn load(
        config: PluginConfig,
        artifact: Arc<Artifact>,
        source: &str,
    ) -> Result<Arc<Self>, Refusal> {
        let name = config.name.clone();
        let berth = Berth::new(artifact.ports().clone(), artifact.cores().clone());
        let first = Generation::prepare(1, Arc::new(config), artifact, source.to_owned(), berth.clone())
            .await
            .inspect_err(|refusal| report(&name, source, refusal))?;
        metrics::loaded(&name, "serving");
        tracing::info!(
            plugin = name,
            generation = 1,
            sha256 = first.artifact.sha256(),
            source,
            "plugin loaded"
        );
        Ok(Arc::new(Plugin {
            name,
            berth,
            serving: ArcSwap::new(first),
            history: Mutex::default(),
            numbers: AtomicU64::new(1),
        }))
    }

    /// Makes a new generation beside the one that serves, and proves that it works.
    ///
    /// # Errors
    /// The step that refused. It is kept for [`Plugin::status`]; the serving generation goes on.
    pub async fn prepare(
        &self,
        config: PluginConfig,
        artifact: Arc<Artifact>,
        source: &str,
    ) -> Result<Candidate, Refusal> {
        let number = self.numbers.fetch_add(1, Relaxed) + 1;
        Generation::prepare(number, Arc::new(config), artifact, source.to_owned(), self.berth.clone())
            .await
            .map(Candidate)
            .inspect_err(|refusal| self.refused(source, refusal))
    }

    /// Makes a new generation of the component that served before the current one, with the current
    /// configuration.
    ///
    /// # Errors
    /// [`Stage::Find`] when there is none; otherwise as [`Plugin::prepare`].
    pub async fn prepare_rollback(&self) -> Result<Candidate, Refusal> {
        let earlier = {
            let history = self.history.lock();
            history.previous.as_ref().map(|previous| {
                let from = previous.status.generation;
                (previous.artifact.clone(), format!("rollback to generation {from}"))
            })
        };
        let Some((artifact, source)) = earlier else {
            return Err(Refusal::new(
                Stage::Find,
                format!("plugin {:?} has no earlier component to go back to", self.name),
            ));
        };
        self.prepare(self.config(), artifact, &source).await
    }

    /// Lets a candidate serve, from the next request on. What is in flight ends on the old generation.
    pub fn swap(&self, candidate: Candidate) {
        let new = candidate.0;
        let mut history = self.history.lock();
        let old = self.serving.swap(new.clone());
        let status = old.status();
        if old.artifact.sha256() != new.artifact.sha256() {
            history.previous = Some(Previous { artifact: old.artifact.clone(), status });
        }
        history.refused = None;
        history.replaced.retain(|generation| generation.strong_count() > 0);
        history.replaced.push(Arc::downgrade(&old));
        drop(history);
        old.retire();
        metrics::loaded(&self.name, "serving");
        tracing::info!(
            plugin = self.name,
            generation = new.number,
            replaced = old.number,
            sha256 = new.artifact.sha256(),
            source = new.status().source,
            "generation swapped in"
        );
    }

    /// Records a load that was refused before there was a candidate, such as a file that is no component.
    pub fn refused(&self, source: &str, refusal: &Refusal) {
        report(&self.name, source, refusal);
        self.history.lock().refused =
            Some(RefusedLoad { at_s: now_s(), source: source.to_owned(), refusal: refusal.clone() });
    }

    /// The plugin left the manifest, or the host shuts down: instances are stopped as their calls end.
    pub fn retire(&self) {
        self.serving.load().retire();
    }

    /// The configuration of the serving generation.
    pub fn config(&self) -> PluginConfig {
        PluginConfig::clone(&self.serving.load().plugin)
    }

    /// The component of the serving generation.
    pub fn artifact(&self) -> Arc<Artifact> {
        self.serving.load().artifact.clone()
    }

    /// The functions of the serving generation, for the doors: none, if the component has no interface of its own. They
    /// stay those of this generation when another one is swapped in.
    pub fn service(&self) -> Option<Arc<dyn Service>> {
        ServiceHandle::of(&self.serving.load())
    }

    /// Whether clients open sockets to the serving generation.
    pub fn opens_sockets(&self) -> bool {
        self.serving.load().artifact.opens_sockets()
    }

    /// Records what the serving generation computes for as long as `time`: a profile in the JSON format of the
    /// Firefox profiler. What a generation that is swapped in meanwhile computes is not in it. Dropping the future
    /// ends the recording.
    ///
    /// # Errors
    /// [`Stage::Profile`] when one is being recorded already, or there is no memory for it.
    pub async fn profile(&self, time: Duration) -> Result<Bytes, Refusal> {
        let serving = self.serving.load_full();
        profile::record(&self.berth, serving.number, serving.artifact.clone(), &self.name, time).await
    }

    /// Instances of all generations that are still there.
    pub fn instances(&self) -> u64 {
        let replaced = |generation: Arc<Generation>| u64::from(generation.instances());
        let history = self.history.lock();
        u64::from(self.serving.load().instances())
            + history.replaced.iter().filter_map(Weak::upgrade).map(replaced).sum::<u64>()
    }

    /// The generation that serves now.
    pub(crate) fn serving(&self) -> Arc<Generation> {
        self.serving.load_full()
    }

    /// What is known of it now.
    pub fn status(&self) -> PluginStatus {
        let history = self.history.lock();
        let busy = |generation: &Arc<Generation>| generation.pool.in_flight() > 0;
        PluginStatus {
            name: self.name.clone(),
            serving: self.serving.load().status(),
            previous: history.previous.as_ref().map(|previous| previous.status.clone()),
            draining: history
                .replaced
                .iter()
                .filter_map(Weak::upgrade)
                .filter(busy)
                .map(|generation| generation.number)
                .collect(),
            refused: history.refused.clone(),
        }
    }

    /// Sets the gauges that describe the serving generation; called before metrics are read.
    pub fn publish(&self) {
        let serving = self.serving.load();
        metrics::serving(&self.name, &serving.status(), serving.idle(), serving.waiting());
    }
}

fn report(plugin: &str, source: &str, refusal: &Refusal) {
    metrics::loaded(plugin, "refused");
    tracing::error!(
        plugin,
        source,
        stage = refusal.stage.name(),
        "a new generation does not serve: {}",
        refusal.message
    );
}

impl HttpService for Plugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        let generation = self.serving.load_full();
        if !generation.artifact.serves_http() {
            let failure = Failure::new(Kind::NotImplemented, "the plugin takes no HTTP requests")
                .with_private(
                    "it has functions or opens sockets: give the route a function, or open a socket",
                );
            return Box::pin(async { Err(failure) });
        }
        generation.metrics.calls.increment(1);
        if generation.seats.is_some() {
            return Box::pin(shared::call(generation, request, invocation));
        }
        Box::pin(exchange::call(generation, request, invocation))
    }
}

impl SocketService for Plugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn open<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
        incoming: MessageStream,
    ) -> BoxFuture<'a, Result<MessageStream, Failure>> {
        let generation = self.serving.load_full();
        if !generation.artifact.opens_sockets() {
            let failure = Failure::new(Kind::NotImplemented, "the plugin opens no sockets");
            return Box::pin(async { Err(failure) });
        }
        generation.metrics.calls.increment(1);
        Box::pin(socket::open(generation, request, invocation, incoming))
    }
}
