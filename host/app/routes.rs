//! From the manifest's routes to the gateway's table.

use std::sync::Arc;

use wharf_call::{HttpService, Memory};
use wharf_gateway::{Ambiguity, RouteSpec, RouteTable};

use crate::doors::{self, Services};
use crate::manifest::{Diagnostics, Manifest};

/// Builds the table, with `target` finding each route's plugin, and the doors of `services`.
///
/// # Errors
/// Routes that are ambiguous, each with both of its lines, and what does not fit between functions, routes and doors.
pub(crate) fn table(
    manifest: &Manifest,
    target: impl Fn(&str) -> Option<Arc<dyn HttpService>>,
    services: &Services,
    memory: &Arc<dyn Memory>,
) -> Result<RouteTable, Diagnostics> {
    let doors = doors::build(manifest, services, memory)?;
    let mut specs: Vec<RouteSpec> = manifest
        .routes
        .iter()
        .enumerate()
        // The manifest has been checked: every route names a plugin that there is.
        .filter_map(|(index, route)| {
            let function = doors.functions.get(&index);
            Some(RouteSpec {
                host: route.host.clone(),
                methods: route.methods.clone(),
                pattern: route.pattern.clone(),
                target: function.cloned().or_else(|| target(&route.plugin))?,
                idempotent: route.idempotent,
            })
        })
        .collect();
    // Of two that are ambiguous, the door's is the later one.
    let own = specs.len();
    specs.extend(doors.routes);
    let table = RouteTable::build(specs).map_err(|ambiguities| {
        ambiguities
            .into_iter()
            .map(|Ambiguity { first, second, message }| {
                if second < own {
                    return manifest.route_diagnostic(second, Some(first), message);
                }
                let mut problem = manifest.route_diagnostic(first, None, message);
                problem.help("give the route another path, the doors a host of their own with `host` in [doors], or switch off what is there");
                problem
            })
            .collect::<Diagnostics>()
    })?;
    Ok(match doors.grpc {
        Some(grpc) => table.with_grpc(grpc),
        None => table,
    })
}
