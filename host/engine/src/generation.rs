//! One loaded version of a plugin.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::InstancePre;
use wharf_call::ports::{GenerationStatus, Refusal, Stage};
use wharf_call::{Failure, Kind};

use crate::berth::Berth;
use crate::capabilities::Capabilities;
use crate::config::PluginConfig;
use crate::enforcer::Enforcer;
use crate::instance::{Hook, HookError, Instance};
use crate::lease::stop;
use crate::metrics::PluginMetrics;
use crate::pool::{Placed, Pool};
use crate::restarts::{Crash, Restarts};
use crate::runtime::Artifact;
use crate::service::ServiceExports;
use crate::shared::Seats;
use crate::state::State;
use crate::upkeep::Upkeep;
use crate::worlds::Exports;

pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) plugin: Arc<PluginConfig>,
    pub(crate) artifact: Arc<Artifact>,
    pub(crate) pool: Arc<Pool<Box<Instance>>>,
    /// Where instances serve several requests at once. Then `pool` counts their calls, and has the instances of typed
    /// calls only.
    pub(crate) seats: Option<Seats>,
    /// Whether nothing that it was granted can be changed without the host seeing it.
    pub(crate) may_be_called_again: bool,
    pub(crate) restarts: Restarts,
    pub(crate) metrics: PluginMetrics,
    source: String,
    loaded_at_s: u64,
    pre: InstancePre<State>,
    exports: Exports,
    /// What its callers can call, if it has interfaces of its own.
    service: Option<Arc<ServiceExports>>,
    pub(crate) enforcer: Arc<Enforcer>,
    granted: Arc<Capabilities>,
    upkeep: OnceLock<Upkeep>,
}

impl Generation {
    /// Links a component with its grants and proves that it works: one instance is made, started and asked
    /// for its health. It is kept, so the first request finds it warm.
    ///
    /// # Errors
    /// The step that refused; nothing serves then.
    pub(crate) async fn prepare(
        number: u64,
        plugin: Arc<PluginConfig>,
        artifact: Arc<Artifact>,
        source: String,
        berth: Arc<Berth>,
    ) -> Result<Arc<Self>, Refusal> {
        artifact.inspection().check_grants(&plugin)?;
        if plugin.pool.concurrency > 1 {
            artifact.check_concurrency()?;
        }
        let (pre, exports) = artifact.link()?;
        let service = artifact.service()?;
        let enforcer = artifact.enforcer(plugin.clone(), number, berth);
        let granted = Capabilities::open(&enforcer).await?;
        let generation = Arc::new(Generation {
            number,
            pool: Pool::new(&plugin.pool, artifact.shards()),
            seats: (plugin.pool.concurrency > 1 && artifact.serves_http())
                .then(|| Seats::new(&plugin.pool, artifact.shards())),
            may_be_called_again: plugin.grants.tcp.peers.is_empty()
                && plugin.grants.dirs.dirs.iter().all(|dir| !dir.write),
            restarts: Restarts::default(),
            metrics: PluginMetrics::new(&plugin.name),
            source,
            loaded_at_s: now_s(),
            pre,
            exports,
            service,
            plugin,
            artifact,
            enforcer,
            granted,
            upkeep: OnceLock::new(),
        });
        let mut first = generation
            .instance()
            .await
            .map_err(|failure| Refusal::new(Stage::Instantiate, failure.to_string()))?;
        let checked = match first.hook(Hook::Start).await {
            Err(error) => Err((Stage::Start, error)),
            Ok(()) => first.hook(Hook::Health).await.map_err(|error| (Stage::Health, error)),
        };
        checked.map_err(|(stage, error)| {
            Refusal::new(stage, format!("lifecycle.{}: {}", stage.name(), error.describe()))
        })?;
        generation.add(first);
        let _ = generation.upkeep.set(Upkeep::begin(&generation));
        Ok(generation)
    }

    /// The functions of the component's own interfaces.
    pub(crate) fn service(&self) -> Option<&Arc<ServiceExports>> {
        self.service.as_ref()
    }

    /// A new instance, started.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] while the plugin is held back because it only crashes, and what the instance
    /// itself came to.
    pub(crate) async fn started_instance(&self) -> Result<Box<Instance>, Failure> {
        self.restarts.admit(Instant::now()).map_err(|left| self.held_back(left))?;
        let mut instance = self.instance().await.inspect_err(|failure| {
            // A host without room for one more instance says nothing about the plugin.
            if failure.kind() != Kind::Overloaded {
                self.crashed(Crash::Start);
            }
        })?;
        let Err(error) = instance.hook(Hook::Start).await else { return Ok(instance) };
        drop(instance);
        self.crashed(Crash::Start);
        tracing::error!(
            plugin = self.plugin.name,
            generation = self.number,
            "lifecycle.start of a new instance: {}",
            error.describe()
        );
        Err(match error {
            HookError::Ended(failure) => failure,
            HookError::Failed(_) => Failure::new(Kind::GuestFailed, "the plugin could not be started")
                .with_private(error.describe()),
        })
    }

    /// A new instance, which has not been started.
    pub(crate) async fn instance(&self) -> Result<Box<Instance>, Failure> {
        let instance = Instance::new(&self.pre, &self.exports, &self.enforcer, &self.granted).await?;
        self.metrics.made.increment(1);
        Ok(Box::new(instance))
    }

    /// Adds an instance to those that are idle, if there is room for it, or stops it.
    pub(crate) fn add(self: &Arc<Self>, instance: Box<Instance>) {
        match &self.seats {
            Some(seats) => {
                if let Some(place) = seats.pool.try_place() {
                    seats.keep(seats.open(self, instance, place));
                }
            }
            None => match self.pool.try_place() {
                Some(place) => self.keep(place.fill(instance)),
                None => stop(self, instance, None),
            },
        }
    }

    /// Gives an instance to the pool, or stops it when the pool takes nothing any more.
    fn keep(self: &Arc<Self>, placed: Placed<Box<Instance>>) {
        if let Some(unwanted) = self.pool.keep(placed) {
            self.stop(unwanted);
        }
    }

    fn stop(self: &Arc<Self>, placed: Placed<Box<Instance>>) {
        let (instance, place) = placed.clear();
        stop(self, instance, Some(place));
    }

    /// Stops what was idle for more than `sweeps` calls of this, beyond `pool.min`.
    pub(crate) fn sweep(self: &Arc<Self>, sweeps: u32) {
        let min = self.plugin.pool.min;
        let mut min_alone = min;
        if let Some(seats) = &self.seats {
            // An instance ends with its last seat.
            drop(seats.pool.sweep(sweeps, seats.of(min)));
            min_alone = 0;
        }
        self.pool.sweep(sweeps, min_alone).into_iter().for_each(|expired| self.stop(expired));
    }

    /// Stops what is idle; what works is stopped when its call ends.
    pub(crate) fn retire(self: &Arc<Self>) {
        self.pool.retire().into_iter().for_each(|idle| self.stop(idle));
        if let Some(seats) = &self.seats {
            drop(seats.pool.retire());
        }
    }

    /// Instances, idle or working.
    pub(crate) fn instances(&self) -> u32 {
        self.pool.instances() + self.seats.as_ref().map_or(0, Seats::instances)
    }

    /// Instances that nobody uses; where several calls share one, the seats that nobody uses.
    pub(crate) fn idle(&self) -> usize {
        self.pool.idle() + self.seats.as_ref().map_or(0, |seats| seats.pool.idle())
    }

    /// Calls that wait for an instance.
    pub(crate) fn waiting(&self) -> u32 {
        self.pool.waiting() + self.seats.as_ref().map_or(0, |seats| seats.pool.waiting())
    }

    /// An instance crashed: see [`Restarts`].
    pub(crate) fn crashed(&self, crash: Crash) {
        if self.restarts.crashed(crash, Instant::now()) {
            tracing::error!(
                plugin = self.plugin.name,
                generation = self.number,
                "the plugin is degraded: {}",
                self.restarts.degraded().unwrap_or_default()
            );
        }
    }

    /// A call ended well after a time in which the plugin was held back.
    pub(crate) fn report_recovery(&self) {
        tracing::info!(
            plugin = self.plugin.name,
            generation = self.number,
            "the plugin serves again and is no longer degraded"
        );
    }

    fn held_back(&self, left: Duration) -> Failure {
        let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Failure::new(Kind::Unavailable, "the plugin keeps crashing and is started again after a pause")
            .with_retry_after_s(seconds)
            .with_private(self.restarts.degraded().unwrap_or_default())
    }

    pub(crate) fn status(&self) -> GenerationStatus {
        GenerationStatus {
            generation: self.number,
            world: self.artifact.world().to_owned(),
            sha256: self.artifact.sha256().to_owned(),
            bytes: self.artifact.bytes(),
            source: self.source.clone(),
            loaded_at_s: self.loaded_at_s,
            instances: u64::from(self.instances()),
            in_flight: self.pool.in_flight(),
            degraded: self.restarts.degraded(),
        }
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
