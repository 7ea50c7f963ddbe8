//! `wasi:http/handler@0.3`: the world `service`.

use std::pin::Pin;

use http::uri::{Authority, Scheme};
use http::{Request, Uri, header};
use http_body_util::BodyExt;
use wasmtime::component::{Accessor, GuestTaskId, Resource, TypedFuncCallConcurrent};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi_http::{Error as HttpError, WasiHttpView, p3};
use wharf_bindings::wasi_http_0_3::Service;
use wharf_bindings::wasi_http_0_3::http::types::ErrorCode;
use wharf_call::{Body, Failure, Kind};

use crate::answer::Answer;
use crate::request_body::{RequestBody, to_wasi};
use crate::response_body::from_wasi;
use crate::state::State;

/// Resolves when the guest is done with the request's body.
type Received = Pin<Box<dyn Future<Output = Result<(), HttpError>> + Send>>;

type Params = (Resource<p3::Request>,);
type Returned = (Result<Resource<p3::Response>, ErrorCode>,);

/// The queued call of `handle`, and what resolves when its request was received.
pub(crate) struct Begun {
    call: TypedFuncCallConcurrent<State, Params, Returned>,
    received: Received,
}

pub(super) fn begin(
    guest: &Service,
    mut store: StoreContextMut<'_, State>,
    mut request: Request<RequestBody>,
) -> wasmtime::Result<Begun> {
    make_absolute(&mut request);
    let view = store.data_mut().http();
    let (request, received) = p3::Request::from_http(view.hooks, request.map(|body| body.map_err(to_wasi)));
    // Boxed, because its type borrows from the hooks, which its value does not.
    let received: Received = Box::pin(received);
    let request = view.table.push(request)?;
    let handle = guest.wasi_http_handler().func_handle();
    Ok(Begun { call: handle.start_call_concurrent(store, (request,))?, received })
}

impl Begun {
    pub(super) fn task(&self) -> GuestTaskId {
        self.call.task()
    }
}

pub(super) async fn answer(
    guest: &Service,
    accessor: &Accessor<State>,
    begun: Begun,
    answer: &Answer,
) -> wasmtime::Result<()> {
    let handle = guest.wasi_http_handler().func_handle();
    let Begun { call, received } = begun;
    match handle.finish_call_concurrent(accessor, call).await? {
        (Ok(response),) => {
            let response = accessor.with(|mut access| {
                let response = access.get().http().table.delete(response)?;
                response.into_http_with_getter(access.as_context_mut(), received, State::http)
            })?;
            let checked =
                accessor.with(|mut access| access.get().enforcer.check_response_headers(response.headers()));
            match checked {
                Ok(()) => answer.streamed(response.map(|body| Body::stream(body.map_err(from_wasi)))),
                Err(exceeded) => answer.fail(exceeded.into_failure()),
            }
        }
        (Err(code),) => answer.fail(lift_failure(&code)),
    }
    Ok(())
}

fn lift_failure(code: &ErrorCode) -> Failure {
    Failure::new(Kind::GuestFailed, "the plugin failed")
        .with_private(format!("the handler returned the error code {code:?}"))
}

/// Puts scheme and authority where `wasi:http/types.request` looks for them.
fn make_absolute<B>(request: &mut Request<B>) {
    let mut parts = request.uri().clone().into_parts();
    if parts.scheme.is_none() && parts.authority.is_none() {
        let host = request.headers().get(header::HOST);
        parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        parts.scheme = parts.authority.is_some().then_some(Scheme::HTTP);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}
