use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use wharf_call::Control;

use crate::api::{Peer, router};
use crate::{Config, RenderMetrics, Shared};

/// Open connections; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 64;
/// From the first moment of a connection, or the end of the request before, to the end of a head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of a request's head in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// After an error that concerns the process rather than one connection, such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The admin API, listening. Dropping it ends the listener and every connection at once;
/// [`AdminServer::stop`] lets requests finish first.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Owns the connections' tasks: they end with it.
    accepting: JoinHandle<()>,
}

impl AdminServer {
    /// Serves on `listener` until it is stopped or dropped. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the listener does not know its address.
    pub fn start(
        listener: TcpListener,
        config: Config,
        control: Arc<dyn Control>,
        metrics: RenderMetrics,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let upload = tokio::sync::Mutex::new(());
        let router = router(Arc::new(Shared { config, control, metrics, upload }));
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, router, stopped));
        Ok(AdminServer { address, stop, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests in flight finish for at most `patience`, then ends what is left.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(patience, &mut self.accepting).await;
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Outlives every bad connection. Returns when all connections have ended after a stop.
async fn accept(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept_one(&listener, &slots) => accepted,
            () = told_to_stop(&mut stopped) => break,
        };
        match accepted {
            Some((stream, peer, slot)) => {
                let serve = serve(stream, peer, router.clone(), stopped.clone());
                connections.spawn(async move {
                    serve.await;
                    drop(slot);
                });
            }
            None => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        // Forget those that have ended.
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept_one(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(target: "wharf::admin", %error, "a connection could not be accepted");
            None
        }
    }
}

/// The sender gone means the same as a stop.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, mut stopped: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(target: "wharf::admin", %peer, %error, "a connection ended badly");
    }
}
