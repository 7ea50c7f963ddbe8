//! Keeps values, reads its configuration and logs, in our own world.

use wharf::{Request, Response, Result};

#[wharf::handler]
async fn state(mut request: Request) -> Result<Response> {
    let body = request.body_mut().bytes().await?.to_vec();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let method = request.method().as_str();
    let answer = shared_state::answer(shared_state::Request { method, target, body });
    Ok(Response::builder().status(answer.status).body(answer.body.into())?)
}
