//! One loaded version of a plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::component::InstancePre;
use wharf_call::ports::{GenerationStatus, Refusal, Stage};
use wharf_call::{Failure, Kind};

use crate::berth::Berth;
use crate::capabilities::Capabilities;
use crate::config::PluginConfig;
use crate::instance::{Hook, HookError, Instance};
use crate::lease::stop;
use crate::metrics::PluginMetrics;
use crate::pool::Pool;
use crate::runtime::Artifact;
use crate::state::State;
use crate::worlds::Exports;

pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) plugin: Arc<PluginConfig>,
    pub(crate) artifact: Arc<Artifact>,
    pub(crate) pool: Pool,
    pub(crate) in_flight: AtomicU64,
    pub(crate) metrics: PluginMetrics,
    source: String,
    loaded_at_s: u64,
    pre: InstancePre<State>,
    exports: Exports,
    berth: Arc<Berth>,
    granted: Arc<Capabilities>,
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
        let (pre, exports) = artifact.link()?;
        let granted = Capabilities::open(&plugin, artifact.ports()).await?;
        let generation = Arc::new(Generation {
            number,
            pool: Pool::new(plugin.pool.clone()),
            in_flight: AtomicU64::new(0),
            metrics: PluginMetrics::new(&plugin.name),
            source,
            loaded_at_s: now_s(),
            pre,
            exports,
            plugin,
            artifact,
            berth,
            granted,
        });
        let mut first = generation
            .instance()
            .await
            .map_err(|failure| Refusal::new(Stage::Instantiate, failure.to_string()))?;
        let checked = match first.hook(Hook::Start).await {
            Err(error) => Err((Stage::Start, error)),
            Ok(()) => first.hook(Hook::Health).await.map_err(|error| (Stage::Health, error)),
        };
        match checked {
            Ok(()) => {
                if let Some(spent) = generation.pool.keep(first) {
                    stop(&generation, spent);
                }
                Ok(generation)
            }
            Err((stage, error)) => {
                drop(first);
                generation.pool.gone();
                Err(Refusal::new(stage, format!("lifecycle.{}: {}", stage.name(), error.describe())))
            }
        }
    }

    /// A new instance, started.
    pub(crate) async fn started_instance(self: &Arc<Self>) -> Result<Box<Instance>, Failure> {
        let mut instance = self.instance().await?;
        match instance.hook(Hook::Start).await {
            Ok(()) => Ok(instance),
            Err(error) => {
                drop(instance);
                self.pool.gone();
                tracing::error!(
                    plugin = self.plugin.name,
                    generation = self.number,
                    "lifecycle.start of a new instance: {}",
                    error.describe()
                );
                Err(match error {
                    HookError::Ended(failure) => failure,
                    HookError::Failed(_) => {
                        Failure::new(Kind::GuestFailed, "the plugin could not be started")
                            .with_private(error.describe())
                    }
                })
            }
        }
    }

    async fn instance(&self) -> Result<Box<Instance>, Failure> {
        let instance =
            Instance::new(&self.pre, &self.exports, &self.plugin, self.number, &self.berth, &self.granted)
                .await?;
        self.pool.made();
        self.metrics.made.increment(1);
        Ok(Box::new(instance))
    }

    /// Stops what is idle; what works is stopped when its call ends.
    pub(crate) fn retire(self: &Arc<Self>) {
        for instance in self.pool.retire() {
            stop(self, instance);
        }
    }

    pub(crate) fn status(&self) -> GenerationStatus {
        GenerationStatus {
            generation: self.number,
            world: self.artifact.world().to_owned(),
            sha256: self.artifact.sha256().to_owned(),
            bytes: self.artifact.bytes(),
            source: self.source.clone(),
            loaded_at_s: self.loaded_at_s,
            instances: self.pool.instances(),
            in_flight: self.in_flight.load(Relaxed),
        }
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
