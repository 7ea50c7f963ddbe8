//! What the grants of one generation open: its ways to the rest of the host.

use std::sync::Arc;

use wharf_call::ports::{Refusal, Stage};
use wharf_call::{Egress, KeyValue, Memory, Outbound, Peers};

use crate::enforcer::Enforcer;
use crate::imports::dirs::OpenDir;

/// What the engine uses of the rest of the host. `app/wiring.rs` gives it.
#[derive(Clone)]
pub struct Ports {
    /// Pays for what grows.
    pub memory: Arc<dyn Memory>,
    /// Where plugins get their ways out from.
    pub outbound: Arc<dyn Outbound>,
    /// The buckets that plugins are granted.
    pub key_value: Arc<dyn KeyValue>,
    /// Called on a thread of its own, once, whenever no guest has run for five seconds: a good moment to give
    /// memory back to the system.
    pub when_quiet: fn(),
}

/// Made once for a generation, shared by its instances, and gone with the last of them: what one generation
/// was granted is not used by the next.
pub(crate) struct Capabilities {
    /// `None` when no origin is granted.
    pub(crate) egress: Option<Arc<dyn Egress>>,
    pub(crate) dirs: Vec<OpenDir>,
    /// `None` when no peer is granted.
    pub(crate) peers: Option<Arc<dyn Peers>>,
}

impl Capabilities {
    /// # Errors
    /// [`Stage::Grant`], when something that was granted is not there.
    pub(crate) async fn open(enforcer: &Arc<Enforcer>) -> Result<Arc<Self>, Refusal> {
        let enforcer = enforcer.clone();
        // Files are read, and no executor waits for those.
        tokio::task::spawn_blocking(move || Self::open_blocking(&enforcer))
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Stage::Grant, "opening what was granted panicked")))
    }

    fn open_blocking(enforcer: &Arc<Enforcer>) -> Result<Arc<Self>, Refusal> {
        let (plugin, ports) = (&enforcer.plugin, &enforcer.berth.ports);
        let refused = |what: String| Refusal::new(Stage::Grant, format!("plugin {:?}: {what}", plugin.name));
        let (name, grants, limits) = (&plugin.name, &plugin.grants, &plugin.limits);
        let egress = match grants.http.origins.is_empty() {
            true => None,
            false => {
                let opened = ports.outbound.open(name, &grants.http, limits.egress, enforcer.clone());
                Some(opened.map_err(refused)?)
            }
        };
        let dirs = OpenDir::open_all(&grants.dirs).map_err(refused)?;
        let peers = (!grants.tcp.peers.is_empty()).then(|| ports.outbound.peers(name, &grants.tcp));
        Ok(Arc::new(Capabilities { egress, dirs, peers }))
    }
}
