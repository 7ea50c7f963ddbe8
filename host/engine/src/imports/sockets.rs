//! `wasi:sockets` 0.2 and 0.3: TCP to the peers of `grants.tcp`.
//!
//! wasmtime-wasi makes the sockets. What is ours is who may be connected to, and the lookup of names, which here
//! knows granted names only. A plugin does not listen, and has no UDP; those interfaces are there because C
//! libraries import them together.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::vec;

use tokio::task::JoinHandle;
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup as lookup_0_2;
use wasmtime_wasi::p2::bindings::sockets::network::{
    self as network_0_2, ErrorCode as ErrorCode02, IpAddress as IpAddress02, Network,
};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup as lookup_0_3;
use wasmtime_wasi::p3::bindings::sockets::types::IpAddress as IpAddress03;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsView};
use wasmtime_wasi::{WasiCtxBuilder, WasiView, async_trait};
use wharf_call::Peers;
use wharf_call::egress::PeerError;

use crate::state::State;

/// Lets an instance connect to its peers, if it has any.
pub(crate) fn give(peers: Option<&Arc<dyn Peers>>, wasi: &mut WasiCtxBuilder) {
    let Some(peers) = peers.cloned() else { return };
    wasi.allow_tcp(true).socket_addr_check(move |address, used| {
        let may = may(&*peers, address, used);
        Box::pin(async move { may })
    });
}

fn may(peers: &dyn Peers, address: SocketAddr, used: SocketAddrUse) -> bool {
    match used {
        SocketAddrUse::TcpConnect => peers.may_connect(address),
        // Before it connects, a socket is bound to any port of any address.
        SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
        _ => false,
    }
}

/// Puts our lookup in the place of the one that knows every name.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    lookup_0_2::add_to_linker::<_, Names>(linker, |state: &mut State| state)?;
    lookup_0_3::add_to_linker::<_, Names>(linker, |state: &mut State| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Makes the lookup find the state of its instance.
struct Names;

impl HasData for Names {
    type Data<'a> = &'a mut State;
}

impl lookup_0_3::Host for State {}

impl<T> lookup_0_3::HostWithStore<T> for Names {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress03>, lookup_0_3::ErrorCode>> {
        let mut lookup = store.with(|mut access| Lookup::start(access.get(), name));
        Ok(match (&mut lookup.0).await.unwrap_or(Err(PeerError::Unresolvable)) {
            Ok(found) => Ok(found.into_iter().map(IpAddress03::from).collect()),
            Err(PeerError::Denied) => Err(lookup_0_3::ErrorCode::AccessDenied),
            Err(PeerError::Invalid) => Err(lookup_0_3::ErrorCode::InvalidArgument),
            Err(PeerError::Unresolvable) => Err(lookup_0_3::ErrorCode::NameUnresolvable),
            Err(PeerError::Timeout) => Err(lookup_0_3::ErrorCode::TemporaryResolverFailure),
        })
    }
}

/// The name that the bindings have for what is a [`Resolving`] here.
type Stream = lookup_0_2::ResolveAddressStream;

/// The addresses of a name, one by one.
enum Resolving {
    Pending(Lookup),
    Ready(Result<vec::IntoIter<IpAddr>, PeerError>),
}

impl lookup_0_2::Host for State {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<Stream>, SocketError> {
        self.ctx().table.get(&network)?;
        let lookup = Resolving::Pending(Lookup::start(self, name));
        let stream = self.ctx().table.push(lookup)?;
        Ok(Resource::new_own(stream.rep()))
    }
}

impl lookup_0_2::HostResolveAddressStream for State {
    fn resolve_next_address(&mut self, stream: Resource<Stream>) -> Result<Option<IpAddress02>, SocketError> {
        let resolving = self.ctx().table.get_mut(&Resource::<Resolving>::new_borrow(stream.rep()))?;
        let code = match resolving.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(addresses)) => return Ok(addresses.next().map(IpAddress02::from)),
            Poll::Pending => ErrorCode02::WouldBlock,
            Poll::Ready(Err(PeerError::Denied)) => ErrorCode02::AccessDenied,
            Poll::Ready(Err(PeerError::Invalid)) => ErrorCode02::InvalidArgument,
            Poll::Ready(Err(PeerError::Unresolvable)) => ErrorCode02::NameUnresolvable,
            Poll::Ready(Err(PeerError::Timeout)) => ErrorCode02::TemporaryResolverFailure,
        };
        Err(code.into())
    }

    fn subscribe(&mut self, stream: Resource<Stream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.ctx().table, Resource::<Resolving>::new_borrow(stream.rep()))
    }

    fn drop(&mut self, stream: Resource<Stream>) -> wasmtime::Result<()> {
        self.ctx().table.delete(Resource::<Resolving>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// What the bindings of the lookup convert their errors with.
impl network_0_2::Host for State {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode02> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode02>> {
        network_0_2::Host::network_error_code(&mut self.sockets(), error)
    }
}

impl network_0_2::HostNetwork for State {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network_0_2::HostNetwork::drop(&mut self.sockets(), network)
    }
}

impl Resolving {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&mut Result<vec::IntoIter<IpAddr>, PeerError>> {
        if let Resolving::Pending(lookup) = self {
            match std::pin::Pin::new(&mut lookup.0).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(found) => {
                    let found = found.unwrap_or(Err(PeerError::Unresolvable));
                    *self = Resolving::Ready(found.map(Vec::into_iter));
                }
            }
        }
        match self {
            Resolving::Ready(found) => Poll::Ready(found),
            Resolving::Pending(_) => Poll::Pending,
        }
    }
}

#[async_trait]
impl Pollable for Resolving {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx).map(drop)).await;
    }
}

/// A lookup in a task of its own, which ends with whoever waits for it.
struct Lookup(JoinHandle<Result<Vec<IpAddr>, PeerError>>);

impl Lookup {
    fn start(state: &State, name: String) -> Self {
        let peers = state.peers.clone();
        Lookup(tokio::spawn(async move {
            match peers {
                Some(peers) => peers.resolve(&name).await,
                None => Err(PeerError::Denied),
            }
        }))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.abort();
    }
}
