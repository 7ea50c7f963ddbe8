//! What `wharf check` looks at beyond the manifest's text: its components and its routes.

use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response};
use wharf_call::ports::{Refusal, Stage};
use wharf_call::{Body, BoxFuture, Failure, HttpService, Invocation, Kind};
use wharf_engine::{Inspection, inspect};

use crate::component;
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

/// Finds routes that are ambiguous.
pub(crate) fn routes(manifest: &Manifest) -> Result<(), Diagnostics> {
    routes::table(manifest, |name| Some(Arc::new(Unloaded(name.to_owned())))).map(|_| ())
}

/// Stands for a plugin in a table that serves nobody.
struct Unloaded(String);

impl HttpService for Unloaded {
    fn name(&self) -> &str {
        &self.0
    }

    fn call<'a>(
        &'a self,
        _request: Request<Body>,
        _invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(async { Err(Failure::new(Kind::Unavailable, "the plugin is not loaded")) })
    }
}
