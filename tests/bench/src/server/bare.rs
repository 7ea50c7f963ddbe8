//! The measure of all things: as little as an HTTP server can do with tokio and hyper.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::Result;

/// The argument that makes this program the server.
pub(crate) const SUBCOMMAND: &str = "bare-server";

/// Serves until it is killed.
#[tokio::main]
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            // A client that goes away is no error here.
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

/// `/echo` sends the body back as it comes; everything else is `hello`.
async fn answer(
    request: Request<Incoming>,
) -> std::result::Result<Response<Either<Full<Bytes>, Incoming>>, Infallible> {
    Ok(Response::new(match request.uri().path() {
        "/echo" => Either::Right(request.into_body()),
        _ => Either::Left(Full::new(Bytes::from_static(b"hello\n"))),
    }))
}
