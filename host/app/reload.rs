//! From one state of the host to the next while it serves: a plugin's component, or the whole manifest.
//!
//! Every change follows the same three steps: prepare everything that is new beside what serves, refuse
//! all of it if any of it is not good, and only then swap. Changes happen one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use parking_lot::Mutex;
use wharf_call::ports::{HostStatus, PluginStatus, Refusal, RefusedLoad, Stage};
use wharf_call::{Body, BoxFuture, Control, HttpService, Memory};
use wharf_engine::{Artifact, Candidate, Engine, Plugin, sha256_hex};
use wharf_gateway::{RouteTable, Routes};

use crate::buckets::Buckets;
use crate::doors::{Services, rest_config, socket_door};
use crate::manifest::{Diagnostics, Manifest, PluginEntry};
use crate::progress::spinner;
use crate::routes;

/// The name of the admin API as a source of components.
const ADMIN: &str = "admin API";

/// How long loading a plugin may take before the command line says what it is doing.
const QUIET: Duration = Duration::from_secs(1);

/// The plugins that serve now, by name.
type Plugins = BTreeMap<String, Arc<Plugin>>;

/// Changes the running host, one change at a time; the admin API sees it as [`Control`].
pub(crate) struct Reloader {
    engine: Engine,
    buckets: Arc<Buckets>,
    memory: Arc<dyn Memory>,
    path: PathBuf,
    routes: OnceLock<Routes>,
    /// Held while a change is made.
    state: tokio::sync::Mutex<State>,
    /// What serves, for those who only look.
    plugins: ArcSwap<Plugins>,
    phase: Mutex<Phase>,
    manifest_refused: Mutex<Option<RefusedLoad>>,
}

struct State {
    manifest: Manifest,
    /// The digest of each component file as it was last read, so that a file that did not change does not
    /// undo a load through the admin API.
    files: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Draining,
}

/// What a change has prepared for one plugin.
enum Prepared {
    /// It was not there before.
    New(Arc<Plugin>),
    /// It gets a new generation.
    Next(Arc<Plugin>, Candidate),
    /// It goes on as it is.
    Same(Arc<Plugin>),
}

impl Reloader {
    /// Loads every plugin of the manifest.
    ///
    /// # Errors
    /// What is wrong with each plugin that does not load.
    pub(crate) async fn start(
        engine: Engine,
        buckets: Arc<Buckets>,
        memory: Arc<dyn Memory>,
        manifest: Manifest,
    ) -> Result<(Arc<Self>, RouteTable), Vec<String>> {
        buckets.provide(&manifest).await.map_err(|error| vec![error])?;
        let mut plugins = Plugins::new();
        let mut files = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, entry) in &manifest.plugins {
            match with_progress(name, load_new(&engine, entry)).await {
                Ok((plugin, digest)) => {
                    plugins.insert(name.clone(), plugin);
                    files.insert(name.clone(), digest);
                }
                Err(refusal) => wrong.push(format!("plugin {name:?}: {refusal}")),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let offered = Offered::by(&plugins);
        let table =
            route_table(&manifest, &plugins, &offered, &memory).map_err(|wrong| vec![wrong.to_string()])?;
        eprint!("{}", manifest.idle_plugins(|name| offered.services.contains_key(name)));
        let reloader = Reloader {
            engine,
            buckets,
            memory,
            path: manifest.path.clone(),
            routes: OnceLock::new(),
            state: tokio::sync::Mutex::new(State { manifest, files }),
            plugins: ArcSwap::from_pointee(plugins),
            phase: Mutex::new(Phase::Starting),
            manifest_refused: Mutex::default(),
        };
        Ok((Arc::new(reloader), table))
    }

    /// The routes that a change of the manifest swaps.
    pub(crate) fn serve(&self, routes: Routes) {
        let _ = self.routes.set(routes);
    }

    /// From now on requests are served.
    pub(crate) fn ready(&self) {
        *self.phase.lock() = Phase::Ready;
    }

    /// From now on the host is on its way out, and says so to whoever balances load.
    pub(crate) fn draining(&self) {
        *self.phase.lock() = Phase::Draining;
    }

    /// Sets the gauges that are computed when metrics are read.
    pub(crate) fn publish(&self) {
        // Each connection is a task, and so is each answer that goes on: what is left of them shows here.
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        metrics::gauge!("wharf_tasks").set(tasks as f64);
        self.plugins.load().values().for_each(|plugin| plugin.publish());
    }

    /// The manifest file, then the component file of each plugin by name: what is worth watching.
    pub(crate) async fn watched(&self) -> (PathBuf, Vec<(String, PathBuf)>) {
        let state = self.state.lock().await;
        let components = state.manifest.plugins.iter();
        let components = components.map(|(name, entry)| (name.clone(), entry.component.clone())).collect();
        (self.path.clone(), components)
    }

    /// The manifest that is in force.
    pub(crate) async fn manifest(&self) -> Manifest {
        self.state.lock().await.manifest.clone()
    }

    /// What serves as the plugin `name`, and what was refused last.
    pub(crate) fn status(&self, name: &str) -> Option<PluginStatus> {
        self.plugin(name).map(|plugin| plugin.status())
    }

    /// The component file of a plugin may have changed: loads it if it did.
    pub(crate) async fn component_changed(&self, name: &str) {
        let mut state = self.state.lock().await;
        let (Some(plugin), Some(entry)) = (self.plugin(name), state.manifest.plugins.get(name).cloned())
        else {
            return;
        };
        let source = entry.component.display().to_string();
        let bytes = match read(&entry).await {
            Ok(bytes) => bytes,
            Err(refusal) => return plugin.refused(&source, &refusal),
        };
        let digest = sha256_hex(&bytes);
        if state.files.get(name) == Some(&digest) {
            return;
        }
        state.files.insert(name.to_owned(), digest);
        // Refusals are kept and logged by the plugin.
        if let Ok(candidate) = self.prepare(&plugin, &entry, bytes, &source).await {
            let _ = self.swap(&state.manifest, &plugin, candidate, &source);
        }
    }

    /// The manifest may have changed: applies all of it, or nothing.
    pub(crate) async fn manifest_changed(&self) {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || Manifest::read(&path)).await;
        let applied = match read {
            Ok(Ok(new)) => self.apply(new).await,
            Ok(Err(diagnostics)) => Err(Refusal::new(Stage::Manifest, diagnostics.to_string())),
            Err(_) => Err(Refusal::new(Stage::Manifest, "reading it panicked")),
        };
        let source = self.path.display().to_string();
        let refused = match applied {
            Ok(false) => return,
            Ok(true) => {
                tracing::info!(manifest = source, "manifest applied");
                None
            }
            Err(refusal) => {
                tracing::error!(manifest = source, "the manifest was not applied: {}", refusal.message);
                Some(RefusedLoad { at_s: now_s(), source, refusal })
            }
        };
        *self.manifest_refused.lock() = refused;
    }

    /// True when something changed.
    async fn apply(&self, new: Manifest) -> Result<bool, Refusal> {
        let mut state = self.state.lock().await;
        let new =
            new.overridden_like(&state.manifest).map_err(|message| Refusal::new(Stage::Manifest, message))?;
        let needs_restart = state.manifest.restart_needed(&new);
        if !needs_restart.is_empty() {
            let why = needs_restart.join("\n");
            return Err(Refusal::new(Stage::Manifest, format!("{why}\nNothing was changed.")));
        }
        if state.manifest.same_as(&new) && self.manifest_refused.lock().is_none() {
            return Ok(false);
        }

        self.buckets
            .provide(&new)
            .await
            .map_err(|error| Refusal::new(Stage::Manifest, format!("{error}\nNothing was changed.")))?;
        let mut prepared = Vec::new();
        let mut files = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, entry) in &new.plugins {
            let known = state.files.get(name);
            match self.prepare_entry(entry, known).await {
                Ok((plugin, digest)) => {
                    prepared.push((name.clone(), plugin));
                    files.insert(name.clone(), digest);
                }
                Err(refusal) => wrong.push(format!("plugin {name:?}: {refusal}")),
            }
        }
        if !wrong.is_empty() {
            return Err(Refusal::new(Stage::Manifest, format!("{}\nNothing was changed.", wrong.join("\n"))));
        }
        let plugins: Plugins = prepared
            .iter()
            .map(|(name, prepared)| {
                let (Prepared::New(plugin) | Prepared::Next(plugin, _) | Prepared::Same(plugin)) = prepared;
                (name.clone(), plugin.clone())
            })
            .collect();
        let mut offered = Offered::by(&plugins);
        for (name, prepared) in &prepared {
            if let Prepared::Next(_, candidate) = prepared {
                offered.replace(name, candidate);
            }
        }
        let table = route_table(&new, &plugins, &offered, &self.memory)
            .map_err(|wrong| Refusal::new(Stage::Manifest, wrong.to_string()))?;

        // Everything is good: from here on nothing can fail.
        self.buckets.applied(&new);
        for (_, prepared) in prepared {
            if let Prepared::Next(plugin, candidate) = prepared {
                plugin.swap(candidate);
            }
        }
        let before = self.plugins.swap(Arc::new(plugins));
        if let Some(routes) = self.routes.get() {
            routes.swap(table);
        }
        let after = self.plugins.load();
        for (name, plugin) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            tracing::info!(plugin = name, "plugin removed");
            plugin.retire();
        }
        *state = State { manifest: new, files };
        Ok(true)
    }

    async fn prepare_entry(
        &self,
        entry: &PluginEntry,
        known: Option<&String>,
    ) -> Result<(Prepared, String), Refusal> {
        let Some(plugin) = self.plugin(&entry.config.name) else {
            let (plugin, digest) = load_new(&self.engine, entry).await?;
            return Ok((Prepared::New(plugin), digest));
        };
        let source = entry.component.display().to_string();
        let bytes = read(entry).await.inspect_err(|refusal| plugin.refused(&source, refusal))?;
        let digest = sha256_hex(&bytes);
        let serves = plugin.config();
        let candidate = if known != Some(&digest) || serves.debug_info != entry.config.debug_info {
            self.prepare(&plugin, entry, bytes, &source).await?
        } else if serves != entry.config {
            plugin.prepare(entry.config.clone(), plugin.artifact(), "wharf.toml").await?
        } else {
            return Ok((Prepared::Same(plugin), digest));
        };
        Ok((Prepared::Next(plugin, candidate), digest))
    }

    async fn prepare(
        &self,
        plugin: &Arc<Plugin>,
        entry: &PluginEntry,
        bytes: Bytes,
        source: &str,
    ) -> Result<Candidate, Refusal> {
        let artifact = compile(&self.engine, entry, bytes)
            .await
            .inspect_err(|refusal| plugin.refused(source, refusal))?;
        plugin.prepare(entry.config.clone(), artifact, source).await
    }

    async fn load_from_admin(&self, name: &str, bytes: Bytes) -> Result<PluginStatus, Refusal> {
        let state = self.state.lock().await;
        let (plugin, entry) = self.find(&state, name)?;
        let candidate = self.prepare(&plugin, &entry, bytes, ADMIN).await?;
        self.swap(&state.manifest, &plugin, candidate, ADMIN)?;
        Ok(plugin.status())
    }

    async fn rollback_from_admin(&self, name: &str) -> Result<PluginStatus, Refusal> {
        let state = self.state.lock().await;
        let (plugin, _) = self.find(&state, name)?;
        let candidate = plugin.prepare_rollback().await?;
        self.swap(&state.manifest, &plugin, candidate, "rollback")?;
        Ok(plugin.status())
    }

    /// Lets a candidate serve, with doors that are made for its functions. From one request to the next there is the new
    /// schema with the new code; what is in flight has kept the old of both.
    ///
    /// # Errors
    /// [`Stage::Contract`] when its functions do not go together with the manifest or with those of other plugins.
    fn swap(
        &self,
        manifest: &Manifest,
        plugin: &Arc<Plugin>,
        candidate: Candidate,
        source: &str,
    ) -> Result<(), Refusal> {
        let name = plugin.name().to_owned();
        let same_door = plugin.opens_sockets() == candidate.opens_sockets();
        if same_door && plugin.service().is_none() && candidate.service().is_none() {
            plugin.swap(candidate);
            return Ok(());
        }
        let plugins = self.plugins.load();
        let mut offered = Offered::by(&plugins);
        offered.replace(&name, &candidate);
        let table = route_table(manifest, &plugins, &offered, &self.memory).map_err(|wrong| {
            let refusal = Refusal::new(Stage::Contract, wrong.to_string());
            plugin.refused(source, &refusal);
            refusal
        })?;
        plugin.swap(candidate);
        if let Some(routes) = self.routes.get() {
            routes.swap(table);
        }
        Ok(())
    }

    fn plugin(&self, name: &str) -> Option<Arc<Plugin>> {
        self.plugins.load().get(name).cloned()
    }

    fn find(&self, state: &State, name: &str) -> Result<(Arc<Plugin>, PluginEntry), Refusal> {
        let found = self.plugin(name).zip(state.manifest.plugins.get(name).cloned());
        found.ok_or_else(|| {
            let names: Vec<&str> = state.manifest.plugins.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Refusal::new(Stage::Find, format!("there is no plugin {name:?} in wharf.toml; it has: {known}"))
        })
    }

    /// Stops all instances and waits, within `deadline`, until they are gone.
    pub(crate) async fn retire_all(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        let plugins = self.plugins.load_full();
        plugins.values().for_each(|plugin| plugin.retire());
        while plugins.values().any(|plugin| plugin.instances() > 0) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Change requests go on in a task of their own: a client that hangs up must not leave one half-done.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(change)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Stage::Find, "the change panicked; nothing was swapped")))
}

/// The admin API's view of the host.
#[derive(Clone)]
pub(crate) struct Controls(pub(crate) Arc<Reloader>);

impl Control for Controls {
    fn host(&self) -> HostStatus {
        HostStatus {
            manifest: self.0.path.display().to_string(),
            manifest_refused: self.0.manifest_refused.lock().clone(),
        }
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.0.plugins.load().values().map(|plugin| plugin.status()).collect()
    }

    fn load<'a>(&'a self, name: &'a str, component: Bytes) -> BoxFuture<'a, Result<PluginStatus, Refusal>> {
        let (reloader, name) = (self.0.clone(), name.to_owned());
        Box::pin(to_its_end(async move { reloader.load_from_admin(&name, component).await }))
    }

    fn rollback<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginStatus, Refusal>> {
        let (reloader, name) = (self.0.clone(), name.to_owned());
        Box::pin(to_its_end(async move { reloader.rollback_from_admin(&name).await }))
    }

    fn profile<'a>(&'a self, name: &'a str, time: Duration) -> BoxFuture<'a, Result<Bytes, Refusal>> {
        Box::pin(async move {
            let plugin = self.0.plugin(name).ok_or_else(|| {
                Refusal::new(
                    Stage::Find,
                    format!("there is no plugin {name:?}; `wharf plugin list` shows them"),
                )
            })?;
            plugin.profile(time).await
        })
    }

    fn call<'a>(
        &'a self,
        name: &'a str,
        function: &'a str,
        arguments: Bytes,
    ) -> BoxFuture<'a, Result<Response<Body>, Refusal>> {
        Box::pin(async move {
            let (plugin, config) = {
                let state = self.0.state.lock().await;
                let (plugin, _) = self.0.find(&state, name)?;
                (plugin, rest_config(&state.manifest, &self.0.memory))
            };
            crate::call::call(&plugin, function, arguments, config).await
        })
    }

    fn readiness(&self) -> Result<(), String> {
        match *self.0.phase.lock() {
            Phase::Ready => Ok(()),
            Phase::Starting => Err("the host is starting".to_owned()),
            Phase::Draining => Err("the host is shutting down".to_owned()),
        }
    }
}

/// Routes to handlers point at plugins, not at generations: a swap of a generation leaves them as they are. Doors are
/// made for the functions of one generation each.
fn route_table(
    manifest: &Manifest,
    plugins: &Plugins,
    offered: &Offered,
    memory: &Arc<dyn Memory>,
) -> Result<RouteTable, Diagnostics> {
    let target = |name: &str| {
        let plugin = plugins.get(name)?.clone();
        let is_socket = offered.sockets.contains(name);
        Some(if is_socket { socket_door(manifest, plugin, memory) } else { plugin as Arc<dyn HttpService> })
    };
    routes::table(manifest, target, &offered.services, memory)
}

/// What plugins are, beside handlers.
struct Offered {
    /// The functions of those that have any.
    services: Services,
    /// Those that open sockets.
    sockets: BTreeSet<String>,
}

impl Offered {
    /// What serves now.
    fn by(plugins: &Plugins) -> Self {
        let services =
            plugins.iter().filter_map(|(name, plugin)| Some((name.clone(), plugin.service()?))).collect();
        let sockets = plugins.iter().filter(|(_, plugin)| plugin.opens_sockets());
        Offered { services, sockets: sockets.map(|(name, _)| name.clone()).collect() }
    }

    /// What is there when `candidate` serves as the plugin `name`.
    fn replace(&mut self, name: &str, candidate: &Candidate) {
        match candidate.service() {
            Some(service) => drop(self.services.insert(name.to_owned(), service)),
            None => drop(self.services.remove(name)),
        }
        match candidate.opens_sockets() {
            true => drop(self.sockets.insert(name.to_owned())),
            false => drop(self.sockets.remove(name)),
        }
    }
}

async fn load_new(engine: &Engine, entry: &PluginEntry) -> Result<(Arc<Plugin>, String), Refusal> {
    let bytes = read(entry).await?;
    let digest = sha256_hex(&bytes);
    let artifact = compile(engine, entry, bytes).await?;
    let source = entry.component.display().to_string();
    Ok((Plugin::load(entry.config.clone(), artifact, &source).await?, digest))
}

/// Says so when a plugin takes longer than a moment: compiling a large component takes seconds.
async fn with_progress<T>(name: &str, load: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let mut load = std::pin::pin!(load);
    if let Ok(loaded) = tokio::time::timeout(QUIET, &mut load).await {
        return loaded;
    }
    let doing = format!("compiling {name} to native code; the next start takes it from the cache");
    let spinner = spinner(&doing);
    if spinner.is_hidden() {
        eprintln!("{doing}");
    }
    let loaded = load.await;
    spinner.finish_and_clear();
    eprintln!("compiled {name} in {:.1} s", begun.elapsed().as_secs_f64());
    loaded
}

/// Reads a component once: what is checked from here on is what is compiled.
async fn read(entry: &PluginEntry) -> Result<Bytes, Refusal> {
    let path = entry.component.clone();
    tokio::task::spawn_blocking(move || crate::component::read(&path))
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Stage::Read, "reading the component panicked")))
}

async fn compile(engine: &Engine, entry: &PluginEntry, bytes: Bytes) -> Result<Arc<Artifact>, Refusal> {
    crate::component::check_pin(entry, &bytes)?;
    engine.compile(bytes, entry.config.debug_info).await
}

fn now_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
