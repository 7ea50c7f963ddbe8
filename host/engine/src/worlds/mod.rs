//! One file per world: how a call is handed to a guest that implements it, and its answer taken back.
//!
//! Each that answers requests has two functions. `begin` lowers the request and queues the call of the guest's export. `answer` waits
//! for it within the instance's event loop and gives the head of the response to
//! [`Answer`](crate::answer::Answer). They are two because a future is moved as a whole: what `begin` has used up
//! need not be carried along.
//!
//! [`World::finish`] is that event loop for one call: it goes on until nothing of the call is left. Whoever
//! drives it may stop after the head and spawn the rest.

mod handler;
pub(crate) mod socket;
mod wasi_http_0_2;
mod wasi_http_0_3;

use std::future::poll_fn;

use http::Request;
use wasmtime::component::{Accessor, GuestTaskId, Instance, InstancePre};
use wasmtime::{Store, StoreContextMut};
use wharf_bindings::{lifecycle_0_1, socket_0_1, wasi_http_0_2 as http_0_2, wasi_http_0_3 as http_0_3};
use wharf_call::Invocation;

use crate::answer::Answer;
use crate::request_body::RequestBody;
use crate::state::State;

/// The optional export beside the one that decides.
pub(crate) const LIFECYCLE: &str = "wharf:plugin/lifecycle@0.1.0";

/// The worlds that the host runs. What a component exports decides which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorldKind {
    /// `wharf:plugin/handler@0.1.0`.
    Handler,
    /// `wasi:http/handler@0.3`: the world `service`.
    WasiHttp03,
    /// `wasi:http/incoming-handler@0.2`: the world `proxy`.
    WasiHttp02,
    /// `wharf:plugin/socket@0.1.0`.
    Socket,
    /// None of them, but interfaces of its own.
    Service,
}

impl WorldKind {
    pub(crate) const ALL: [WorldKind; 5] = [
        WorldKind::Handler,
        WorldKind::WasiHttp03,
        WorldKind::WasiHttp02,
        WorldKind::Socket,
        WorldKind::Service,
    ];

    /// The export that decides, as documentation names it, if there is one.
    pub(crate) fn export(self) -> Option<&'static str> {
        match self {
            WorldKind::Handler => Some("wharf:plugin/handler@0.1.0"),
            WorldKind::WasiHttp03 => Some("wasi:http/handler@0.3"),
            WorldKind::WasiHttp02 => Some("wasi:http/incoming-handler@0.2"),
            WorldKind::Socket => Some("wharf:plugin/socket@0.1.0"),
            WorldKind::Service => None,
        }
    }

    /// The world whose deciding export is `name`.
    pub(crate) fn of_export(name: &str) -> Option<WorldKind> {
        let (interface, version) = name.split_once('@')?;
        match interface {
            "wharf:plugin/handler" if version == "0.1.0" => Some(WorldKind::Handler),
            "wharf:plugin/socket" if version == "0.1.0" => Some(WorldKind::Socket),
            "wasi:http/handler" if version.starts_with("0.3.") && !version.contains('-') => {
                Some(WorldKind::WasiHttp03)
            }
            "wasi:http/incoming-handler" if version.starts_with("0.2.") && !version.contains('-') => {
                Some(WorldKind::WasiHttp02)
            }
            _ => None,
        }
    }

    /// Says what is wrong with an export that is nearly one of the deciding ones.
    pub(crate) fn near_miss(name: &str) -> Option<String> {
        let (interface, version) = name.split_once('@').unwrap_or((name, "no version"));
        let kind = match interface {
            "wharf:plugin/handler" => WorldKind::Handler,
            "wharf:plugin/socket" => WorldKind::Socket,
            "wasi:http/handler" => WorldKind::WasiHttp03,
            "wasi:http/incoming-handler" => WorldKind::WasiHttp02,
            "wasi:cli/run" => {
                return Some("it is a command (it exports wasi:cli/run), not a service".to_owned());
            }
            _ => return None,
        };
        let runs = kind.export()?;
        Some(format!("it exports {interface} in version {version}; this host runs {runs}"))
    }
}

/// Where the exports are in a component: looked up once for a generation.
pub(crate) struct Exports {
    world: WorldIndices,
    lifecycle: Option<lifecycle_0_1::LifecyclePluginIndices>,
}

enum WorldIndices {
    Handler(handler::Indices),
    WasiHttp03(http_0_3::ServiceIndices),
    WasiHttp02(http_0_2::ProxyIndices),
    Socket(socket_0_1::SocketOnlyIndices),
    Service,
}

impl Exports {
    /// Fails when an export has another type than its contract says.
    pub(crate) fn find(kind: WorldKind, lifecycle: bool, pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        let world = match kind {
            WorldKind::Handler => WorldIndices::Handler(handler::Indices::new(pre)?),
            WorldKind::WasiHttp03 => WorldIndices::WasiHttp03(http_0_3::ServiceIndices::new(pre)?),
            WorldKind::WasiHttp02 => WorldIndices::WasiHttp02(http_0_2::ProxyIndices::new(pre)?),
            WorldKind::Socket => WorldIndices::Socket(socket_0_1::SocketOnlyIndices::new(pre)?),
            WorldKind::Service => WorldIndices::Service,
        };
        let lifecycle = lifecycle.then(|| lifecycle_0_1::LifecyclePluginIndices::new(pre)).transpose()?;
        Ok(Exports { world, lifecycle })
    }

    pub(crate) fn load(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Loaded> {
        Ok(Loaded {
            world: match &self.world {
                WorldIndices::Handler(indices) => World::Handler(indices.load(store, instance)?),
                WorldIndices::WasiHttp03(indices) => World::WasiHttp03(indices.load(&mut *store, instance)?),
                WorldIndices::WasiHttp02(indices) => World::WasiHttp02(indices.load(&mut *store, instance)?),
                WorldIndices::Socket(indices) => {
                    let guest = indices.load(&mut *store, instance)?;
                    World::Socket(socket::load(&guest, store)?)
                }
                WorldIndices::Service => World::Service,
            },
            lifecycle: match &self.lifecycle {
                Some(indices) => Some(indices.load(&mut *store, instance)?),
                None => None,
            },
        })
    }
}

/// The exports of one instance.
pub(crate) struct Loaded {
    pub(crate) world: World,
    pub(crate) lifecycle: Option<lifecycle_0_1::LifecyclePlugin>,
}

pub(crate) enum World {
    Handler(handler::Handle),
    WasiHttp03(http_0_3::Service),
    WasiHttp02(http_0_2::Proxy),
    /// What it is asked is more than a request: see [`socket::run`].
    Socket(socket::Open),
    /// What it does, its own interfaces say: see [`crate::service`].
    Service,
}

/// A call that the guest has not been entered for yet.
pub(crate) enum Begun {
    Handler(handler::Begun),
    WasiHttp03(wasi_http_0_3::Begun),
    WasiHttp02(wasi_http_0_2::Begun),
}

impl World {
    /// Lowers one request and queues the call.
    pub(crate) fn begin(
        &self,
        store: StoreContextMut<'_, State>,
        mut request: Request<RequestBody>,
        invocation: Invocation,
        answer: &Answer,
    ) -> wasmtime::Result<Begun> {
        if !matches!(self, World::Handler(_)) {
            // Their contract has no other place for it.
            invocation.write_fields(request.headers_mut());
        }
        Ok(match self {
            World::Handler(handle) => Begun::Handler(handler::begin(handle, store, request, invocation)?),
            World::WasiHttp03(guest) => Begun::WasiHttp03(wasi_http_0_3::begin(guest, store, request)?),
            World::WasiHttp02(guest) => {
                Begun::WasiHttp02(wasi_http_0_2::begin(guest, store, request, answer.clone())?)
            }
            World::Socket(_) | World::Service => {
                return Err(wasmtime::format_err!("a plugin of this world takes no requests"));
            }
        })
    }

    /// Has the guest answer. An error is a trap: the store must not be used again.
    pub(crate) async fn finish(
        &self,
        store: &mut Store<State>,
        begun: Begun,
        answer: &Answer,
    ) -> wasmtime::Result<()> {
        store
            .run_concurrent(async |accessor| {
                self.answer(accessor, begun, answer).await?;
                settled(accessor, answer).await;
                Ok(())
            })
            .await?
    }

    /// The part of [`World::finish`] up to the head of the response.
    pub(crate) async fn answer(
        &self,
        accessor: &Accessor<State>,
        begun: Begun,
        answer: &Answer,
    ) -> wasmtime::Result<()> {
        match (self, begun) {
            (World::Handler(handle), Begun::Handler(call)) => {
                handler::answer(handle, accessor, call, answer).await
            }
            // Boxed, so that the narrow contract does not carry their size.
            (World::WasiHttp03(guest), Begun::WasiHttp03(call)) => {
                Box::pin(wasi_http_0_3::answer(guest, accessor, call, answer)).await
            }
            (World::WasiHttp02(guest), Begun::WasiHttp02(call)) => {
                Box::pin(wasi_http_0_2::answer(guest, accessor, call, answer)).await
            }
            _ => Err(wasmtime::format_err!("a call of another world")),
        }
    }
}

impl Begun {
    /// The task of the guest that works on the call.
    pub(crate) fn task(&self) -> GuestTaskId {
        match self {
            Begun::Handler(call) => call.task(),
            Begun::WasiHttp03(call) => call.task(),
            Begun::WasiHttp02(call) => call.task(),
        }
    }
}

/// Waits until nothing of the call is left: its body has ended, and no task of the guest runs.
pub(crate) async fn settled<T: Send + 'static>(accessor: &Accessor<State>, answer: &Answer<T>) {
    if !answer.has_ended() {
        // Boxed, because it would make every call's future larger.
        Box::pin(answer.ended()).await;
    }
    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
}
