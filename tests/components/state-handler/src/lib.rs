//! Keeps values, reads its configuration and logs, in our own world.

use std::time::Duration;

use wharf::{Request, Response, Result};

#[wharf::handler]
async fn state(mut request: Request) -> Result<Response> {
    let body = request.body_mut().bytes().await?.to_vec();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let method = request.method().as_str();
    let answer = shared_state::answer(shared_state::Request { method, target, body });
    match request.uri().query() {
        Some("then=wait") => wharf::time::sleep(Duration::from_millis(700)).await,
        Some("then=trap") => core::arch::wasm32::unreachable(),
        _ => {}
    }
    Ok(Response::builder().status(answer.status).body(answer.body.into())?)
}
