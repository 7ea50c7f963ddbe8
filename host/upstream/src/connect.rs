use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use wharf_call::egress::{Destination, DestinationHost, Scheme};
use wharf_call::{
    EgressCode, EgressError, EgressGrants, EgressLimits, LimitGuard, LimitKey, Memory, MemoryUse, Reservation,
};

use crate::address::{self, AddressKind};
use crate::resolve::Lookups;
use crate::upload::Upload;
use crate::{failures, tls};

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;
/// What a connection is paid for from the host's memory: buffers of hyper and of TLS.
const CONNECTION_BYTES: u64 = 128 << 10;
/// What an HTTP/2 peer may send before it is read, for one stream and for the connection.
const H2_STREAM_WINDOW: u32 = 128 << 10;
const H2_CONNECTION_WINDOW: u32 = 256 << 10;
/// An HTTP/2 connection with calls whose peer answers no ping for this long after one is closed.
const H2_PING_INTERVAL: std::time::Duration = std::time::Duration::from_secs(20);

/// Opens connections to destinations that are granted, at addresses that are permitted.
pub(crate) struct Connector {
    pub(crate) plugin: String,
    pub(crate) grants: EgressGrants,
    pub(crate) limits: EgressLimits,
    /// Decides over what exceeds them.
    pub(crate) guard: Arc<dyn LimitGuard>,
    /// `None` when no https origin is granted.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) memory: Arc<dyn Memory>,
    pub(crate) lookups: Lookups,
}

/// What sends requests on a connection.
pub(crate) enum Sender {
    H1(http1::SendRequest<Upload>),
    H2(http2::SendRequest<Upload>),
}

/// What a connection occupies until its socket is closed.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    memory: Reservation,
}

impl Connector {
    /// The place of one more connection: one of the plugin's, and some of the host's memory.
    pub(crate) fn place(&self, permit: OwnedSemaphorePermit) -> Result<Place, EgressError> {
        let memory = self.memory.reserve(MemoryUse::Connections, CONNECTION_BYTES).ok_or_else(no_memory)?;
        Ok(Place { _permit: permit, memory })
    }

    /// What the peer's header fields are held to while they are read: their bytes, and how many they are. The
    /// number that the plugin may have is looked at when they are there: hyper does not say which one it was.
    fn header_bounds(&self) -> (usize, usize) {
        let bytes = self.limits.response_header_bytes_max as u64;
        let bytes = self.guard.bound(LimitKey::HttpResponseHeaders, bytes);
        let narrow = |bound: u64| usize::try_from(bound).unwrap_or(usize::MAX);
        (narrow(bytes), narrow(LimitKey::HttpResponseHeaderCount.ceiling()))
    }

    /// Whether the manifest grants requests to `destination` at all.
    ///
    /// # Errors
    /// [`EgressCode::HttpRequestDenied`] with the line to add.
    pub(crate) fn check_grant(&self, destination: &Destination) -> Result<(), EgressError> {
        if self.grants.covering(destination).next().is_some() {
            return Ok(());
        }
        let plugin = &self.plugin;
        let wanted = wharf_call::OriginGrant::of(destination);
        Err(EgressError::new(
            EgressCode::HttpRequestDenied,
            format!(
                "plugin {plugin:?} calls {destination}, which it was not granted. Write in wharf.toml, in \
                 [plugin.{plugin}.grants]: {}",
                self.grants.line_with(&wanted)
            ),
        ))
    }

    /// A new connection, ready for requests. It lives until its senders are dropped and its calls have
    /// ended, or until `closed` says that its pool is gone.
    pub(crate) async fn open(
        &self,
        destination: &Destination,
        place: Place,
        closed: watch::Receiver<()>,
        until: Instant,
    ) -> Result<Sender, EgressError> {
        let lookup = timeout_at(until, self.addresses(destination)).await;
        let addresses = lookup.unwrap_or_else(|_| {
            let detail = format!("{} was not resolved in time", destination.host);
            Err(EgressError::new(EgressCode::DnsTimeout, detail))
        })?;
        let tcp = dial(&addresses, destination, until).await?;
        let secured = timeout_at(until, self.secure(tcp, destination, place, closed)).await;
        secured.unwrap_or_else(|_| Err(slow(&format!("the handshake with {destination} took too long"))))
    }

    /// The addresses of `destination` that may be connected to, in the resolver's order.
    async fn addresses(&self, destination: &Destination) -> Result<Vec<SocketAddr>, EgressError> {
        let found = match &destination.host {
            DestinationHost::Ip(ip) => vec![*ip],
            host if host.is_localhost() => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            DestinationHost::Name(name) => self.look_up(name).await?,
        };
        let permitted = |ip: &IpAddr| {
            let mut granted = self.grants.covering(destination);
            granted.any(|grant| address::permits(grant.host(), grant.private(), *ip))
        };
        // The canonical form is what is connected to: an IPv4-mapped address is not a second way.
        let addresses: Vec<SocketAddr> = found
            .iter()
            .map(
                |ip| if matches!(destination.host, DestinationHost::Ip(_)) { *ip } else { ip.to_canonical() },
            )
            .filter(permitted)
            .take(ADDRESSES_MAX)
            .map(|ip| SocketAddr::new(ip, destination.port))
            .collect();
        match found.first() {
            _ if !addresses.is_empty() => Ok(addresses),
            Some(ip) => Err(self.prohibited(destination, *ip)),
            None => {
                Err(EgressError::new(EgressCode::DnsError, format!("{} has no addresses", destination.host)))
            }
        }
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, EgressError> {
        let found = self.lookups.look_up(name).await;
        found.map_err(|error| EgressError::new(EgressCode::DnsError, format!("{name}: {error}")))
    }

    fn prohibited(&self, destination: &Destination, ip: IpAddr) -> EgressError {
        let (plugin, kind) = (&self.plugin, AddressKind::of(ip));
        let wanted = match kind {
            AddressKind::Loopback | AddressKind::Private => {
                Some(wharf_call::OriginGrant::of(destination).with_private(true))
            }
            AddressKind::LinkLocal | AddressKind::Metadata => {
                let host = DestinationHost::Ip(ip.to_canonical());
                Some(wharf_call::OriginGrant::of(&Destination { host, ..destination.clone() }))
            }
            AddressKind::Public | AddressKind::Reserved => None,
        };
        let mut detail =
            format!("plugin {plugin:?} calls {destination}, which is at {ip}, {}", kind.phrase());
        match wanted {
            Some(wanted) => {
                let line = self.grants.line_with(&wanted);
                detail += &format!(". If it may, write in wharf.toml, in [plugin.{plugin}.grants]: {line}");
            }
            None => detail += ", which cannot be granted",
        }
        EgressError::new(EgressCode::DestinationIpProhibited, detail)
    }

    async fn secure(
        &self,
        tcp: TcpStream,
        destination: &Destination,
        place: Place,
        closed: watch::Receiver<()>,
    ) -> Result<Sender, EgressError> {
        let config = match (destination.scheme, &self.tls) {
            (Scheme::Http, _) => return self.speak_h1(tcp, place, closed).await,
            (Scheme::Https, Some(config)) => config.clone(),
            (Scheme::Https, None) => {
                return Err(EgressError::new(
                    EgressCode::InternalError,
                    "TLS was not set up for this plugin",
                ));
            }
        };
        let name = tls::server_name(&destination.host)?;
        let stream = TlsConnector::from(config).connect(name, tcp).await;
        let stream = stream.map_err(|error| failures::of_io(&error, &format!("TLS with {destination}")))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => self.speak_h2(stream, place, closed).await,
            _ => self.speak_h1(stream, place, closed).await,
        }
    }

    async fn speak_h1<S>(
        &self,
        io: S,
        place: Place,
        closed: watch::Receiver<()>,
    ) -> Result<Sender, EgressError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (header_bytes, header_count) = self.header_bounds();
        let handshake = http1::Builder::new()
            .max_buf_size(header_bytes.max(8 << 10)) // hyper's minimum
            .max_headers(header_count)
            .handshake(TokioIo::new(io))
            .await;
        let (sender, connection) = handshake.map_err(|error| failures::of_head(&error))?;
        drive(connection, place, closed);
        Ok(Sender::H1(sender))
    }

    async fn speak_h2<S>(
        &self,
        io: S,
        mut place: Place,
        closed: watch::Receiver<()>,
    ) -> Result<Sender, EgressError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if !place.memory.grow(u64::from(H2_CONNECTION_WINDOW)) {
            return Err(no_memory());
        }
        let header_bytes = u32::try_from(self.header_bounds().0).unwrap_or(u32::MAX);
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .max_header_list_size(header_bytes)
            .keep_alive_interval(H2_PING_INTERVAL)
            .handshake(TokioIo::new(io))
            .await;
        let (sender, connection) = handshake.map_err(|error| failures::of_head(&error))?;
        drive(connection, place, closed);
        Ok(Sender::H2(sender))
    }
}

/// Opens a socket to the first address that answers. Each may take an equal part of the time that is left,
/// so that one that swallows packets does not use it up.
async fn dial(
    addresses: &[SocketAddr],
    destination: &Destination,
    until: Instant,
) -> Result<TcpStream, EgressError> {
    let mut last = slow(&format!("there was no time left to connect to {destination}"));
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let part = until.saturating_duration_since(now) / (addresses.len() - tried) as u32;
        last = match timeout_at(now + part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small requests must not wait for acknowledgements; a socket that refuses works as well.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failures::of_io(&error, &format!("{destination} at {address}")),
            Err(_) => slow(&format!("{destination} at {address} does not answer")),
        };
    }
    Err(last)
}

/// Runs a connection in a task of its own, which ends with it or with its pool.
fn drive<C>(connection: C, place: Place, mut closed: watch::Receiver<()>)
where
    C: Future<Output = hyper::Result<()>> + Send + 'static,
{
    tokio::spawn(async move {
        let _place = place;
        tokio::select! {
            // How it ended is told to those who wait for an answer on it.
            _ = connection => {}
            _ = closed.changed() => {}
        }
    });
}

fn slow(what: &str) -> EgressError {
    EgressError::new(EgressCode::ConnectionTimeout, what)
}

fn no_memory() -> EgressError {
    EgressError::new(EgressCode::ConnectionLimitReached, "the host has no memory for one more connection")
}
