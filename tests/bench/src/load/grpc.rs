//! A closed loop of unary gRPC calls without arguments: several at once on each connection.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Uri;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Driven, Request, Waiting, all, nanoseconds};
use crate::Result;

/// A message without fields: not compressed, no bytes.
const EMPTY: &[u8] = &[0; 5];

/// Keeps `streams` calls going on each of `connections` for `duration`. Any status but OK ends it.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn drive(
    addr: SocketAddr,
    request: Request,
    connections: usize,
    streams: usize,
    waiting: Waiting,
    duration: Duration,
) -> Result<Driven> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let caller = Caller::connect(addr, &format!("http://{addr}{}", request.path)).await?;
        for _ in 0..streams {
            running.spawn(calls(caller.clone(), begun + duration));
        }
    }
    all(begun, waiting, running).await
}

async fn calls(mut caller: Caller, end: Instant) -> io::Result<Vec<u64>> {
    let mut latencies_ns = Vec::new();
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(latencies_ns);
        }
        caller.call().await?;
        latencies_ns.push(nanoseconds(sent.elapsed()));
    }
}

/// One connection to a method. Clones share it.
#[derive(Clone)]
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    method: Uri,
}

impl Caller {
    /// Connects to `addr`, to call the method with the URL `method`.
    pub(crate) async fn connect(addr: SocketAddr, method: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with the last sender.
        tokio::spawn(connection);
        Ok(Caller { sender, method: method.parse()? })
    }

    /// One call. Any status but OK is an error.
    pub(crate) async fn call(&mut self) -> io::Result<()> {
        let failed = |error: hyper::Error| io::Error::other(error);
        let request = hyper::Request::post(self.method.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(EMPTY)))
            .map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await.map_err(failed)?;
        let answer = response.into_body().collect().await.map_err(failed)?;
        let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status"));
        if status.is_none_or(|status| status != "0") {
            return Err(io::Error::other(format!("a call ended with the status {status:?}")));
        }
        Ok(())
    }
}
