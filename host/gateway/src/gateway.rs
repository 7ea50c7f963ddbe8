use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use wharf_call::{AccessLog, Memory};

use crate::config::Config;
use crate::connection::{self, Drain, Front};
use crate::listener::{Complaint, Listener};
use crate::metrics::{self, GatewayMetrics};
use crate::router::Routes;

/// The front, serving. Dropping it stops listening and cuts every connection at once.
pub struct Gateway {
    drain: watch::Sender<Option<Instant>>,
    accepting: Option<JoinHandle<usize>>,
}

/// How a [`Gateway::drain`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Whether every request in flight has ended by itself.
    pub finished: bool,
    /// Connections that were cut when the deadline passed.
    pub connections_cut: usize,
}

impl Gateway {
    /// Starts to serve on the current tokio runtime. `access` is told of each request that has ended.
    ///
    /// Metrics are registered with the recorder that is installed now.
    pub fn start(
        listener: Listener,
        config: Config,
        routes: Routes,
        memory: Arc<dyn Memory>,
        access: Option<Arc<dyn AccessLog>>,
    ) -> Self {
        let (drain, draining) = watch::channel(None);
        let front = Arc::new(Front { config, routes, memory, access, metrics: GatewayMetrics::register() });
        let accepting = tokio::spawn(accept(listener, front, draining));
        Gateway { drain, accepting: Some(accepting) }
    }

    /// Stops listening, tells every client to go (`connection: close`, GOAWAY), waits until the requests in
    /// flight have ended or `deadline` has passed, and cuts what is left.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        self.drain.send_replace(Some(Instant::now() + deadline));
        let connections_cut = match &mut self.accepting {
            Some(accepting) => accepting.await.unwrap_or_default(),
            None => 0,
        };
        Drained { finished: connections_cut == 0, connections_cut }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            // The connections belong to that task and end with it.
            accepting.abort();
        }
    }
}

/// Accepts clients until the gateway drains; returns how many connections had to be cut.
async fn accept(listener: Listener, front: Arc<Front>, mut drain: Drain) -> usize {
    let places = Arc::new(Semaphore::new(front.config.connections_max));
    let mut connections = JoinSet::new();
    let mut complaint = Complaint::default();
    let mut draining = drain.clone();
    let mut drain_begins = std::pin::pin!(draining.wait_for(Option::is_some));
    loop {
        // A place first: while there is none, clients wait in the kernel's backlog and cost us nothing.
        let next = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept(&mut complaint).await)
        };
        tokio::select! {
            biased;
            _ = &mut drain_begins => break,
            Some(ended) = connections.join_next() => reap(ended),
            (place, (stream, peer)) = next => {
                let (front, drain) = (front.clone(), drain.clone());
                connections.spawn(async move {
                    connection::serve(stream, peer.ip(), front, drain).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    let deadline = drain.borrow_and_update().unwrap_or_else(Instant::now);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            reap(ended);
        }
    };
    match tokio::time::timeout_at(deadline, all_ended).await {
        Ok(()) => 0,
        Err(_) => {
            let cut = connections.len();
            connections.shutdown().await;
            cut
        }
    }
}

fn reap(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        metrics::connection_panicked();
        tracing::error!(%error, "a connection panicked");
    }
}
