//! The measure of gRPC: a unary method of tonic, over hyper like the bare server.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::net::TcpListener;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

use crate::Result;

/// The argument that makes this program the server.
pub(crate) const SUBCOMMAND: &str = "tonic-server";

/// What `hello` of `greeter-service` returns.
#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    value: String,
}

struct Hello;

impl UnaryService<()> for Hello {
    type Response = Text;
    type Future = Ready<std::result::Result<tonic::Response<Text>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<()>) -> Self::Future {
        ready(Ok(tonic::Response::new(Text { value: "Hello!".to_owned() })))
    }
}

/// Serves until it is killed.
#[tokio::main]
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut server = http2::Builder::new(TokioExecutor::new());
            server.timer(TokioTimer::new());
            // A client that goes away is no error here.
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> std::result::Result<Response<tonic::body::Body>, Infallible> {
    Ok(Grpc::new(ProstCodec::<Text, ()>::default()).unary(Hello, request).await)
}
