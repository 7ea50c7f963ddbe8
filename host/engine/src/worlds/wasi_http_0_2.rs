//! `wasi:http/incoming-handler@0.2`: the world `proxy`.

use http::Request;
use http_body_util::BodyExt;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Resource, TypedFuncCallConcurrent};
use wasmtime_wasi_http::WasiHttpView;
use wharf_bindings::wasi_http_0_2::Proxy;
use wharf_bindings::wasi_http_0_2::http::types::{IncomingRequest, ResponseOutparam, Scheme};
use wharf_call::{Body, Failure, Kind};

use crate::answer::Answer;
use crate::request_body::{RequestBody, to_wasi};
use crate::response_body::from_wasi;
use crate::state::State;

/// The queued call of `handle`.
pub(crate) type Begun =
    TypedFuncCallConcurrent<State, (Resource<IncomingRequest>, Resource<ResponseOutparam>), ()>;

pub(super) fn begin(
    guest: &Proxy,
    mut store: StoreContextMut<'_, State>,
    request: Request<RequestBody>,
    answer: Answer,
) -> wasmtime::Result<Begun> {
    let meter = store.data().meter.clone();
    let mut view = store.data_mut().http();
    let request = view.new_incoming_request(Scheme::Http, request.map(|body| body.map_err(to_wasi)))?;
    let out = view.new_response_outparam_from_callback(move |response| match response {
        Ok(response) => match meter.enforcer().check_response_headers(response.headers()) {
            Ok(()) => answer.streamed(response.map(|body| Body::stream(body.map_err(from_wasi)))),
            Err(exceeded) => answer.fail(exceeded.into_failure()),
        },
        Err(code) => answer.fail(
            Failure::new(Kind::GuestFailed, "the plugin failed")
                .with_private(format!("the handler set the error code {code:?}")),
        ),
    })?;
    guest.wasi_http_incoming_handler().func_handle().start_call_concurrent(store, (request, out))
}

pub(super) async fn answer(
    guest: &Proxy,
    accessor: &Accessor<State>,
    call: Begun,
    answer: &Answer,
) -> wasmtime::Result<()> {
    let handle = guest.wasi_http_incoming_handler().func_handle();
    handle.finish_call_concurrent(accessor, call).await?;
    if !answer.given() {
        answer.fail(
            Failure::new(Kind::InvalidResponse, "the plugin sent no response")
                .with_private("the handler returned without setting its response-outparam"),
        );
    }
    Ok(())
}
