use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use wharf_call::BoxFuture;
use wharf_call::egress::{DestinationHost, PeerError, PeerGrant, PeerGrants, Peers};

use crate::address::{self, AddressKind};
use crate::refusals::Refusals;
use crate::resolve::Lookups;

/// How long a lookup may take; a guest has no way to say.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How many addresses of one name are remembered: those of the last lookups, of any instance.
const KNOWN_MAX: usize = 64;

/// The peers of one generation of a plugin.
pub struct PluginPeers {
    plugin: String,
    grants: PeerGrants,
    lookups: Lookups,
    /// What granted names were resolved to, and checked.
    known: Mutex<HashMap<String, VecDeque<IpAddr>>>,
    refusals: Mutex<Refusals>,
}

impl PluginPeers {
    pub(crate) fn new(plugin: &str, grants: PeerGrants, lookups: Lookups) -> Self {
        PluginPeers {
            plugin: plugin.to_owned(),
            grants,
            lookups,
            known: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, PeerError> {
        let host = match name.parse() {
            Ok(ip) => DestinationHost::Ip(ip),
            Err(_) => DestinationHost::parse(name).map_err(|_| PeerError::Invalid)?,
        };
        let granted: Vec<&PeerGrant> =
            self.grants.peers.iter().filter(|grant| *grant.host() == host).collect();
        if granted.is_empty() {
            let plugin = &self.plugin;
            self.refuse(format!(
                "plugin {plugin:?} looks up {host}, which is no peer that it was granted. Write in wharf.toml, in \
                 [plugin.{plugin}.grants], with the port: tcp = [\"{host}:PORT\"]"
            ));
            return Err(PeerError::Denied);
        }
        let found = match &host {
            DestinationHost::Ip(ip) => return Ok(vec![*ip]),
            host if host.is_localhost() => {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            DestinationHost::Name(name) => match timeout(LOOKUP_TIMEOUT, self.lookups.look_up(name)).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => return Err(PeerError::Unresolvable),
                Err(_) => return Err(PeerError::Timeout),
            },
        };
        let permits = |ip: &IpAddr| granted.iter().any(|grant| address::permits(&host, grant.private(), *ip));
        let permitted: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).filter(permits).collect();
        match found.first() {
            None => return Err(PeerError::Unresolvable),
            Some(ip) if permitted.is_empty() => {
                self.refuse_address(granted[0], *ip);
                return Err(PeerError::Denied);
            }
            Some(_) => {}
        }
        self.remember(&host, &permitted);
        Ok(permitted)
    }

    fn remember(&self, host: &DestinationHost, addresses: &[IpAddr]) {
        let mut known = self.known.lock();
        let known = known.entry(host.to_string()).or_default();
        known.retain(|ip| !addresses.contains(ip));
        known.extend(addresses);
        let surplus = known.len().saturating_sub(KNOWN_MAX);
        known.drain(..surplus);
    }

    fn covers(&self, grant: &PeerGrant, address: SocketAddr) -> bool {
        let ip = address.ip();
        grant.port() == address.port()
            && match grant.host() {
                DestinationHost::Ip(granted) => *granted == ip,
                host if host.is_localhost() => AddressKind::of(ip) == AddressKind::Loopback,
                host => {
                    let known = self.known.lock();
                    known.get(&host.to_string()).is_some_and(|known| known.contains(&ip.to_canonical()))
                }
            }
    }

    fn refuse_address(&self, grant: &PeerGrant, ip: IpAddr) {
        let (plugin, kind) = (&self.plugin, AddressKind::of(ip));
        let mut detail =
            format!("plugin {plugin:?} looks up {}, which is at {ip}, {}", grant.host(), kind.phrase());
        if matches!(kind, AddressKind::Loopback | AddressKind::Private) {
            let line = self.grants.line_with(&grant.clone().with_private(true));
            detail += &format!(". If it may, write in wharf.toml, in [plugin.{plugin}.grants]: {line}");
        }
        self.refuse(detail);
    }

    fn refuse(&self, detail: String) {
        if let Some(unlogged) = self.refusals.lock().next(Instant::now()) {
            tracing::warn!(plugin = self.plugin, unlogged, "{detail}");
        }
    }
}

impl Peers for PluginPeers {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, PeerError>> {
        Box::pin(self.addresses(name))
    }

    fn may_connect(&self, address: SocketAddr) -> bool {
        let granted = self.grants.peers.iter().any(|grant| self.covers(grant, address));
        if !granted {
            let (plugin, kind) = (&self.plugin, AddressKind::of(address.ip()));
            let line = self.grants.line_with(&PeerGrant::of(address));
            self.refuse(format!(
                "plugin {plugin:?} connects to {address}, {}, which it was not granted. Write in wharf.toml, in \
                 [plugin.{plugin}.grants]: {line}",
                kind.phrase()
            ));
        }
        granted
    }
}
