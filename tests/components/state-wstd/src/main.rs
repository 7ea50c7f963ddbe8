//! Keeps values, reads its configuration and logs, as a `wasi:http` 0.2 component: nothing in it knows of Wharf.

use wstd::http::body::{Body, util::BodyExt};
use wstd::http::{Error, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (head, body) = request.into_parts();
    let body = body.into_boxed_body().collect().await?.to_bytes().to_vec();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let answer = shared_state::answer(shared_state::Request { method: head.method.as_str(), target, body });
    Ok(Response::builder().status(answer.status).body(answer.body.into())?)
}
