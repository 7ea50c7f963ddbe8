//! `wasi:http/handler@0.3`: the world `service`.

use std::pin::Pin;

use http::uri::{Authority, Scheme};
use http::{Request, Uri, header};
use http_body_util::BodyExt;
use wasmtime::{AsContextMut, Store};
use wasmtime_wasi_http::{Error as HttpError, WasiHttpView, p3};
use wharf_bindings::wasi_http_0_3::Service;
use wharf_bindings::wasi_http_0_3::http::types::ErrorCode;
use wharf_call::{Body, Failure, Kind};

use super::settled;
use crate::answer::Answer;
use crate::request_body::{RequestBody, to_wasi};
use crate::response_body::from_wasi;
use crate::state::State;

/// Resolves when the guest is done with the request's body.
type Received = Pin<Box<dyn Future<Output = Result<(), HttpError>> + Send>>;

pub(super) async fn run(
    guest: &Service,
    store: &mut Store<State>,
    mut request: Request<RequestBody>,
    answer: Answer,
) -> wasmtime::Result<()> {
    make_absolute(&mut request);
    let handle = guest.wasi_http_handler().func_handle();
    store
        .run_concurrent(async |accessor| {
            let (call, received) = accessor.with(|mut access| {
                let view = access.get().http();
                let (request, received) =
                    p3::Request::from_http(view.hooks, request.map(|body| body.map_err(to_wasi)));
                // Boxed, because its type borrows from the hooks, which its value does not.
                let received: Received = Box::pin(received);
                let request = view.table.push(request)?;
                Ok::<_, wasmtime::Error>((handle.start_call_concurrent(access, (request,))?, received))
            })?;
            match handle.finish_call_concurrent(accessor, call).await? {
                (Ok(response),) => {
                    let response = accessor.with(|mut access| {
                        let response = access.get().http().table.delete(response)?;
                        response.into_http_with_getter(access.as_context_mut(), received, State::http)
                    })?;
                    answer.streamed(response.map(|body| Body::stream(body.map_err(from_wasi))));
                }
                (Err(code),) => answer.fail(lift_failure(&code)),
            }
            settled(accessor, &answer).await;
            Ok(())
        })
        .await?
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
