//! What `wharf check` looks at beyond the manifest's text: its components and its routes.

use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response};
use wharf_budget::Budget;
use wharf_call::ports::{Refusal, Stage};
use wharf_call::{
    Body, BoxFuture, Call, Failure, HttpService, Invocation, Kind, Memory, Reply, Schema, Service,
};
use wharf_engine::{Inspection, inspect};

use crate::component;
use crate::doors::Services;
use crate::manifest::{Diagnostics, Manifest, PluginEntry};
use crate::routes;

/// What was found about one plugin's component.
#[derive(Debug)]
pub(crate) struct ComponentReport {
    /// The plugin's name.
    pub(crate) plugin: String,
    /// The component file.
    pub(crate) component: PathBuf,
    /// What it is, or why it could not be loaded.
    pub(crate) found: Result<Inspection, Refusal>,
}

/// Looks at every component as a load would, short of compiling and running it.
pub(crate) fn components(manifest: &Manifest) -> Vec<ComponentReport> {
    let plugins = manifest.plugins.iter();
    plugins
        .map(|(name, entry)| ComponentReport {
            plugin: name.clone(),
            component: entry.component.clone(),
            found: component(manifest, entry),
        })
        .collect()
}

fn component(manifest: &Manifest, entry: &PluginEntry) -> Result<Inspection, Refusal> {
    let bytes = component::read(&entry.component)?;
    let max = manifest.engine.component_bytes_max;
    if bytes.len() as u64 > max {
        return Err(Refusal::new(
            Stage::Inspect,
            format!("the component has {} bytes; [engine] component_bytes allows {max}", bytes.len()),
        ));
    }
    component::check_pin(entry, &bytes)?;
    let inspection = inspect(&bytes)?;
    if inspection.world.is_none() {
        let problem = inspection.problem.unwrap_or_else(|| "it implements no known world".to_owned());
        return Err(Refusal::new(Stage::Inspect, problem));
    }
    inspection.check_grants(&entry.config)?;
    let (dirs, name) = (&entry.config.grants.dirs, &entry.config.name);
    dirs.check().map_err(|what| Refusal::new(Stage::Grant, format!("plugin {name:?}: {what}")))?;
    Ok(inspection)
}

/// Finds routes that are ambiguous, and what does not fit between the functions of `components`, routes and doors.
pub(crate) fn routes(manifest: &Manifest, components: &[ComponentReport]) -> Result<(), Diagnostics> {
    let memory: Arc<dyn Memory> = Arc::new(Budget::new(0));
    // Without one of them it is not known what is missing because of that.
    let all = components.iter().all(|report| report.found.is_ok());
    let services = components.iter().filter_map(|report| Some((&report.plugin, report.found.as_ref().ok()?)));
    let services: Services = services
        .filter(|(_, found)| all && !found.schema.is_empty())
        .map(|(name, found)| {
            let unloaded = Unloaded { name: name.clone(), schema: found.schema.clone() };
            (name.clone(), Arc::new(unloaded) as Arc<dyn Service>)
        })
        .collect();
    let target = |name: &str| {
        let unloaded = Unloaded { name: name.to_owned(), schema: Arc::default() };
        Some(Arc::new(unloaded) as Arc<dyn HttpService>)
    };
    if all {
        return routes::table(manifest, target, &services, &memory).map(|_| ());
    }
    routes::table(&manifest.clone().without_functions(), target, &services, &memory).map(|_| ())
}

/// Stands for a plugin in a table that serves nobody.
struct Unloaded {
    name: String,
    schema: Arc<Schema>,
}

impl Service for Unloaded {
    fn plugin(&self) -> &str {
        &self.name
    }

    fn generation(&self) -> u64 {
        0
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn invoke<'a>(&'a self, _call: Call, _invocation: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async { Err(Failure::new(Kind::Unavailable, "the plugin is not loaded")) })
    }
}

impl HttpService for Unloaded {
    fn name(&self) -> &str {
        &self.name
    }

    fn call<'a>(
        &'a self,
        _request: Request<Body>,
        _invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(async { Err(Failure::new(Kind::Unavailable, "the plugin is not loaded")) })
    }
}
