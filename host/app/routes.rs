//! From the manifest's routes to the gateway's table.

use std::sync::Arc;

use wharf_call::HttpService;
use wharf_gateway::{RouteSpec, RouteTable};

use crate::manifest::{Diagnostics, Manifest};

/// Builds the table, with `target` finding each route's plugin.
///
/// # Errors
/// Routes that are ambiguous, each with both of its lines.
pub(crate) fn table(
    manifest: &Manifest,
    target: impl Fn(&str) -> Option<Arc<dyn HttpService>>,
) -> Result<RouteTable, Diagnostics> {
    let specs = manifest
        .routes
        .iter()
        // The manifest has been checked: every route names a plugin that there is.
        .filter_map(|route| {
            Some(RouteSpec {
                host: route.host.clone(),
                methods: route.methods.clone(),
                pattern: route.pattern.clone(),
                target: target(&route.plugin)?,
                idempotent: route.idempotent,
            })
        })
        .collect();
    RouteTable::build(specs).map_err(|ambiguities| {
        ambiguities
            .into_iter()
            .map(|ambiguity| {
                manifest.route_diagnostic(ambiguity.second, Some(ambiguity.first), ambiguity.message)
            })
            .collect()
    })
}
