//! The host, built in one function from top to bottom: the only place where ports meet their
//! implementations.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use wharf_admin::{AdminServer, Token};
use wharf_budget::Budget;
use wharf_call::{AccessLog, Memory};
use wharf_engine::{Engine, EngineConfig, Ports};
use wharf_gateway::{Gateway, Listener, Routes};
use wharf_telemetry::Telemetry;
use wharf_upstream::Upstream;

use crate::access::AccessLines;
use crate::buckets::Buckets;
use crate::compile_worker;
use crate::manifest::Manifest;
use crate::reload::{Controls, Reloader};
use crate::watch::Watcher;

/// How long the admin API may take to answer what it was asked before it stops.
const ADMIN_PATIENCE: Duration = Duration::from_secs(1);

/// A running host. Dropping it stops everything at once; [`Host::drain`] does so in good order.
pub(crate) struct Host {
    http: SocketAddr,
    admin_address: SocketAddr,
    drain_timeout: Duration,
    // In the order in which they are stopped.
    watcher: Watcher,
    gateway: Gateway,
    reloader: Arc<Reloader>,
    admin: AdminServer,
}

impl Host {
    /// Loads every plugin of the manifest, then opens the ports.
    ///
    /// # Errors
    /// Everything that is wrong, each as a message for the operator. Nothing is bound then.
    pub(crate) async fn start(manifest: Manifest, telemetry: &Telemetry) -> Result<Host, Vec<String>> {
        let one = |message: String| vec![message];

        let data = manifest.app.data.clone();
        // The admin token and compiled code are in it: nobody else's business.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data)
            .map_err(|error| one(format!("[app] data = {:?} cannot be made: {error}", data.display())))?;
        let token = Token::create_or_read(&data).map_err(|error| one(error.to_string()))?;

        let budget = manifest.memory_total.map_or_else(Budget::for_machine, Budget::new);
        let memory: Arc<dyn Memory> = Arc::new(budget.clone());
        let buckets = Buckets::new(&manifest);
        let outbound = Arc::new(Upstream::new(wharf_upstream::Config::default(), memory.clone()));
        let ports = Ports {
            memory: memory.clone(),
            outbound,
            key_value: buckets.clone(),
            when_quiet: wharf_allocator::give_back,
        };
        let engine = EngineConfig {
            compile_command: compile_worker::command(),
            core_dumps_dir: data.join("cores"),
            ..manifest.engine.clone()
        };
        let engine = Engine::new(engine, ports).map_err(one)?;

        let http_config = manifest.http.clone();
        let admin_listen = manifest.admin.listen;
        let hosts = manifest.admin.hosts.clone();
        let component_bytes_max = manifest.engine.component_bytes_max;
        let (reloader, table) = Reloader::start(engine, buckets, memory.clone(), manifest).await?;
        let routes = Routes::new(table);
        reloader.serve(routes.clone());

        let listener = Listener::bind(&http_config)
            .map_err(|error| one(cannot_listen("http", http_config.listen, &error)))?;
        let admin_listener = TcpListener::bind(admin_listen)
            .await
            .map_err(|error| one(cannot_listen("admin", admin_listen, &error)))?;
        let http = listener.local_addr();
        let drain_timeout = http_config.drain_timeout;
        let access = telemetry.access_log().map(|log| Arc::new(AccessLines(log)) as Arc<dyn AccessLog>);
        let gateway = Gateway::start(listener, http_config, routes, memory, access);

        wharf_doors::call::describe_metrics();
        metrics::describe_gauge!("wharf_tasks", "Tasks of the executor that have not ended");
        let metrics = {
            let (render, reloader) = (telemetry.metrics_renderer(), reloader.clone());
            Arc::new(move || {
                reloader.publish();
                budget.publish();
                render()
            })
        };
        let admin_config = wharf_admin::Config { token, component_bytes_max, hosts };
        let admin =
            AdminServer::start(admin_listener, admin_config, Arc::new(Controls(reloader.clone())), metrics)
                .map_err(|error| one(format!("the admin API cannot start: {error}")))?;
        let admin_address = admin.address();
        wharf_admin::write_address(&data, admin_address).map_err(|error| one(error.to_string()))?;

        let watcher = Watcher::start(reloader.clone());
        reloader.ready();
        Ok(Host { http, admin_address, drain_timeout, watcher, gateway, reloader, admin })
    }

    /// Where HTTP is served.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the admin API is served.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin_address
    }

    /// What changes it while it runs.
    pub(crate) fn reloader(&self) -> Arc<Reloader> {
        self.reloader.clone()
    }

    /// Stops taking requests, lets those in flight finish within `[http] drain_timeout`, stops the plugins'
    /// instances, and ends. True when nothing had to be cut.
    pub(crate) async fn drain(self) -> bool {
        let Host { watcher, gateway, reloader, admin, drain_timeout, .. } = self;
        drop(watcher);
        reloader.draining();
        let drained = gateway.drain(drain_timeout).await;
        if !drained.finished {
            tracing::warn!(
                connections = drained.connections_cut,
                "connections were cut when the drain deadline passed"
            );
        }
        reloader.retire_all(drain_timeout).await;
        admin.stop(ADMIN_PATIENCE).await;
        drained.finished
    }
}

fn cannot_listen(key: &str, address: SocketAddr, error: &std::io::Error) -> String {
    let fix = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "; something else listens there: stop it, or change [listen] {key} (port 0 takes a free one)"
            )
        }
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "; ports below 1024 need a privilege: change [listen] {key}, or grant CAP_NET_BIND_SERVICE"
            )
        }
        _ => format!("; change [listen] {key}"),
    };
    format!("cannot listen on {address}: {error}{fix}")
}
