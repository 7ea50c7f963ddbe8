//! Uses files and sockets through the standard library, as the fields of the request ask for: see `explore`. Nothing
//! in it knows of Wharf.

use wstd::http::{Body, Error, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let explored = explore::explore(request.uri().path(), |name| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Ok(Response::new(explored.into()))
}
