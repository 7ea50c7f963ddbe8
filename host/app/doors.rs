//! The doors, built from the manifest and from what the plugins export. They are values of one state of the host: a swap
//! builds new ones beside them, and the table of routes that leads to them is what is swapped.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use wharf_call::{HttpService, Memory, Service, SocketService};
use wharf_doors::DoorConfig;
use wharf_doors::jsonrpc::{JsonRpcConfig, JsonRpcDoor};
use wharf_doors::rest::{BindingSpec, RestDoor};
use wharf_doors::socket::SocketDoor;
use wharf_doors::websocket::SocketLimits;
use wharf_gateway::{RoutePattern, RouteSpec};
use wharf_graphql::{GraphqlDoor, LinkSpec, LoadSpec, PluginOptions};
use wharf_grpc::{GrpcConfig, GrpcDoor, NoMethods, ProtoFiles};

use crate::manifest::{Diagnostics, FunctionEntry, LinkEntry, Manifest, RouteEntry};

/// The functions of each plugin that has any, by its name.
pub(crate) type Services = BTreeMap<String, Arc<dyn Service>>;

/// Doors that are ready to be routed to.
#[derive(Default)]
pub(crate) struct Doors {
    /// Their own routes.
    pub(crate) routes: Vec<RouteSpec>,
    /// Who answers the routes of the manifest that lead to a function, by their place in it.
    pub(crate) functions: BTreeMap<usize, Arc<dyn HttpService>>,
    /// What answers calls of gRPC that no route matches.
    pub(crate) grpc: Option<Arc<dyn HttpService>>,
}

/// Builds the doors of `services`.
///
/// # Errors
/// Everything that does not fit together: functions and links that do not exist, and plugins that export the same.
pub(crate) fn build(
    manifest: &Manifest,
    services: &Services,
    memory: &Arc<dyn Memory>,
) -> Result<Doors, Diagnostics> {
    let mut built = Builder { manifest, services, doors: Doors::default(), problems: Diagnostics::default() };
    built.rest(memory);
    built.grpc(memory);
    built.graphql(memory);
    built.json_rpc(memory);
    if built.problems.errors() > 0 { Err(built.problems) } else { Ok(built.doors) }
}

/// What the doors of JSON are given.
pub(crate) fn rest_config(manifest: &Manifest, memory: &Arc<dyn Memory>) -> DoorConfig {
    let queries = manifest.plugins.iter().flat_map(|(name, plugin)| {
        plugin.doors.queries.iter().map(|function| (name.clone(), function.clone()))
    });
    DoorConfig {
        body_bytes_max: manifest.doors.message_bytes_max,
        queries: queries.collect(),
        rpc: manifest.doors.rest,
        ..DoorConfig::new(memory.clone())
    }
}

/// The way to a plugin that opens sockets, for the routes that lead to it.
pub(crate) fn socket_door(
    manifest: &Manifest,
    plugin: Arc<dyn SocketService>,
    memory: &Arc<dyn Memory>,
) -> Arc<dyn HttpService> {
    let limits = SocketLimits {
        message_bytes_max: manifest.doors.message_bytes_max as usize,
        ..SocketLimits::default()
    };
    Arc::new(SocketDoor::new(plugin, limits, memory.clone()))
}

struct Builder<'a> {
    manifest: &'a Manifest,
    services: &'a Services,
    doors: Doors,
    problems: Diagnostics,
}

impl Builder<'_> {
    /// JSON over HTTP: by name, and by the routes of the manifest.
    fn rest(&mut self, memory: &Arc<dyn Memory>) {
        let services = self.through("rest");
        let bound = self.manifest.routes.iter().any(|route| route.function.is_some());
        if services.is_empty() && !bound {
            return;
        }
        let Some(door) = self.checked(RestDoor::new(&services, rest_config(self.manifest, memory))) else {
            return;
        };
        for (index, route) in self.manifest.routes.iter().enumerate() {
            let Some(function) = &route.function else { continue };
            match door.bind(binding(route, function)) {
                Ok(bound) => drop(self.doors.functions.insert(index, bound)),
                Err(wrong) => self.problems.extend([self.manifest.diagnostic(&function.at, wrong)]),
            }
        }
        let door: Arc<dyn HttpService> = Arc::new(door);
        let doors = &self.manifest.doors;
        if doors.rest {
            self.route("/rpc/{*function}", &[], &door);
        }
        if doors.openapi {
            for path in ["/openapi.json", "/docs/{*file}"] {
                self.route(path, &[Method::GET], &door);
            }
        }
    }

    fn grpc(&mut self, memory: &Arc<dyn Memory>) {
        let doors = &self.manifest.doors;
        let services = self.through("grpc");
        if !doors.grpc || services.is_empty() {
            return;
        }
        let bytes_max = doors.message_bytes_max as usize;
        let config = GrpcConfig {
            message_in_bytes_max: bytes_max,
            message_out_bytes_max: bytes_max,
            reflection: doors.reflection,
            ..GrpcConfig::new(memory.clone())
        };
        let Some(door) = self.checked(GrpcDoor::new(&services, config)) else { return };
        let (names, files) = (door.service_names().to_vec(), door.protos());
        let door: Arc<dyn HttpService> = Arc::new(door);
        for name in names {
            self.route(&format!("/{name}/{{method}}"), &[Method::POST], &door);
        }
        if doors.reflection {
            let files: Arc<dyn HttpService> = Arc::new(ProtoFiles::new("/proto/", files));
            self.route("/proto/{*file}", &[Method::GET], &files);
        }
        // Not the door itself: that is at its host alone.
        self.doors.grpc = Some(Arc::new(NoMethods));
    }

    fn graphql(&mut self, memory: &Arc<dyn Memory>) {
        let services = self.through("graphql");
        if !self.manifest.doors.graphql || services.is_empty() {
            return;
        }
        let links: Vec<LinkSpec> = self.manifest.links.iter().map(link).collect();
        let door = GraphqlDoor::new(&services, &links, graphql_config(self.manifest), memory.clone());
        let Some(door) = self.checked(door) else { return };
        let door: Arc<dyn HttpService> = Arc::new(door);
        self.route("/graphql", &[Method::GET, Method::POST], &door);
    }

    fn json_rpc(&mut self, memory: &Arc<dyn Memory>) {
        let services = self.through("jsonrpc");
        if !self.manifest.doors.jsonrpc || services.is_empty() {
            return;
        }
        let config = JsonRpcConfig {
            batch_max: self.manifest.doors.batch_max,
            ..JsonRpcConfig::new(rest_config(self.manifest, memory))
        };
        let Some(door) = self.checked(JsonRpcDoor::new(&services, config)) else { return };
        let door: Arc<dyn HttpService> = Arc::new(door);
        self.route("/jsonrpc", &[Method::GET, Method::POST], &door);
    }

    /// The functions that are served through `door`.
    fn through(&self, door: &str) -> Vec<Arc<dyn Service>> {
        let plugins = &self.manifest.plugins;
        let serves = |name: &str| plugins.get(name).is_none_or(|plugin| plugin.doors.has(door));
        let services = self.services.iter().filter(|(name, _)| serves(name));
        services.map(|(_, service)| service.clone()).collect()
    }

    fn checked<T>(&mut self, made: Result<T, Vec<String>>) -> Option<T> {
        let manifest = self.manifest;
        made.map_err(|wrong| {
            self.problems.extend(wrong.into_iter().map(|wrong| manifest.diagnostic(&(0..0), wrong)));
        })
        .ok()
    }

    fn route(&mut self, path: &str, methods: &[Method], door: &Arc<dyn HttpService>) {
        let Ok(pattern) = RoutePattern::parse(path) else { return };
        self.doors.routes.push(RouteSpec {
            host: self.manifest.doors.host.clone(),
            methods: methods.to_vec(),
            pattern,
            target: door.clone(),
            idempotent: false,
        });
    }
}

fn binding(route: &RouteEntry, function: &FunctionEntry) -> BindingSpec {
    BindingSpec {
        plugin: route.plugin.clone(),
        function: function.name.clone(),
        path: route.pattern.as_str().to_owned(),
        path_params: route.pattern.params().map(str::to_owned).collect(),
        methods: route.methods.clone(),
        body: function.body.clone(),
        query: function.query.clone().into_iter().collect(),
        header: function.headers.clone().into_iter().collect(),
        status: function.status,
    }
}

fn link(link: &LinkEntry) -> LinkSpec {
    LinkSpec {
        plugin: link.field.plugin.clone(),
        type_name: link.field.within.clone(),
        field: link.field.name.clone(),
        as_name: link.name.clone(),
        load: LoadSpec {
            plugin: link.load.plugin.clone(),
            interface: link.load.within.clone(),
            function: link.load.name.clone(),
        },
    }
}

fn graphql_config(manifest: &Manifest) -> wharf_graphql::GraphqlConfig {
    let default = wharf_graphql::GraphqlConfig::default();
    let entry = &manifest.graphql;
    let plugins = manifest.plugins.iter().map(|(name, plugin)| {
        let doors = &plugin.doors;
        let options = PluginOptions { prefix: doors.graphql_prefix.clone(), queries: doors.queries.clone() };
        (name.clone(), options)
    });
    // What is said of a plugin must be of one with functions.
    let plugins = plugins.filter(|(_, options)| options.prefix.is_some() || !options.queries.is_empty());
    let trusted =
        entry.documents.values().map(|text| (wharf_engine::sha256_hex(text.as_bytes()), text.clone()));
    wharf_graphql::GraphqlConfig {
        plugins: plugins.collect(),
        introspection: entry.introspection,
        graphiql: entry.graphiql,
        body_bytes_max: manifest.doors.message_bytes_max,
        tokens_max: entry.tokens_max,
        depth_max: entry.depth_max,
        complexity_max: entry.complexity_max,
        aliases_max: entry.aliases_max,
        directives_max: entry.directives_max,
        batch_max: entry.batch_max,
        load_batch_max: entry.link_batch_max,
        persisted: wharf_graphql::PersistedConfig {
            trusted: trusted.collect(),
            only: entry.documents_only,
            ..default.persisted.clone()
        },
        ..default
    }
}
