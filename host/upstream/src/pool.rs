use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use hyper::client::conn::{http1, http2};
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use wharf_call::egress::Destination;
use wharf_call::{EgressCode, EgressError, Exceeded, LimitKey};

use crate::connect::{Connector, Sender};
use crate::upload::Upload;

/// The connections of one plugin, by origin.
///
/// An HTTP/1.1 connection is either leased to one call or idle here. An HTTP/2 connection stays here and is
/// shared by its calls. Dropping the pool closes everything; a [`Lease`] keeps it alive.
pub(crate) struct Pool {
    connector: Connector,
    state: Mutex<State>,
    places: Arc<Semaphore>,
    /// A connection became idle: somebody who waits for a place may take it, or have it closed.
    returned: Notify,
    /// Connections and the reaper listen for its end.
    alive: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// The one that is idle longest comes first.
    idle: VecDeque<Idle>,
    shared: HashMap<Destination, Arc<Shared>>,
    /// Whether a task waits to close what is idle for too long.
    reaping: bool,
}

struct Idle {
    destination: Destination,
    sender: http1::SendRequest<Upload>,
    since: Instant,
}

/// An HTTP/2 connection. Each lease holds a clone, so it is idle when there is one reference left.
struct Shared {
    sender: http2::SendRequest<Upload>,
    last_used: Mutex<Instant>,
}

/// A connection for one call. Dropping it closes an HTTP/1.1 connection; [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    destination: Destination,
    /// Taken by the drop.
    connection: Option<Connection>,
    /// It has served calls before, so the peer may have closed it unnoticed.
    pub(crate) reused: bool,
    kept: bool,
}

enum Connection {
    Own(http1::SendRequest<Upload>),
    Shared(Arc<Shared>),
}

impl Pool {
    pub(crate) fn new(connector: Connector) -> Arc<Self> {
        let places =
            connector.guard.bound(LimitKey::HttpConnections, connector.limits.connections_max as u64);
        let places = Arc::new(Semaphore::new(places as usize));
        let (alive, _) = watch::channel(());
        Arc::new(Pool { connector, state: Mutex::default(), places, returned: Notify::new(), alive })
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// A connection to `destination`: an idle or shared one, or a new one.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        destination: &Destination,
        until: Instant,
    ) -> Result<Lease, EgressError> {
        let full = || match self.one_too_many() {
            Err(exceeded) => EgressError::new(EgressCode::ConnectionLimitReached, exceeded.to_string()),
            Ok(()) => EgressError::new(EgressCode::ConnectionLimitReached, "no connection came free"),
        };
        let permit = loop {
            if let Some(lease) = self.reuse(destination, until).await {
                return Ok(lease);
            }
            if let Ok(permit) = self.places.clone().try_acquire_owned() {
                break permit;
            }
            // Its place comes free in a moment, when its task has closed the socket.
            self.evict_one();
            tokio::select! {
                permit = self.places.clone().acquire_owned() => break permit.map_err(|_| full())?,
                () = self.returned.notified() => {}
                () = sleep_until(until) => return Err(full()),
            }
        };
        let Connector { guard, limits, .. } = &self.connector;
        let bound = guard.bound(LimitKey::HttpConnections, limits.connections_max as u64) as usize;
        if bound - self.places.available_permits() > limits.connections_max {
            // It passes: the limit is observed.
            let _ = self.one_too_many();
        }
        let place = self.connector.place(permit)?;
        let sender = self.connector.open(destination, place, self.alive.subscribe(), until).await?;
        let connection = match sender {
            Sender::H1(sender) => Connection::Own(sender),
            Sender::H2(sender) => Connection::Shared(self.share(destination, sender)),
        };
        Ok(Lease::new(self, destination, connection, false))
    }

    fn one_too_many(&self) -> Result<(), Exceeded> {
        let Connector { guard, limits, .. } = &self.connector;
        guard.exceeded(LimitKey::HttpConnections, limits.connections_max as u64 + 1)
    }

    async fn reuse(self: &Arc<Self>, destination: &Destination, until: Instant) -> Option<Lease> {
        loop {
            let connection = {
                let mut state = self.state.lock();
                state.drop_dead();
                match state.shared.get(destination) {
                    Some(shared) => Connection::Shared(shared.clone()),
                    None => {
                        // The newest: it is the least likely to have been closed by the peer.
                        let place = state.idle.iter().rposition(|idle| idle.destination == *destination)?;
                        Connection::Own(state.idle.remove(place)?.sender)
                    }
                }
            };
            let mut lease = Lease::new(self, destination, connection, true);
            // It may still be busy with the end of the call before, or learn now that the peer closed it.
            if let Ok(Ok(())) = timeout_at(until, lease.ready()).await {
                return Some(lease);
            }
        }
    }

    /// Two calls may have connected at once: the first connection is kept for those to come.
    fn share(&self, destination: &Destination, sender: http2::SendRequest<Upload>) -> Arc<Shared> {
        let new = Arc::new(Shared { sender, last_used: Mutex::new(Instant::now()) });
        let mut state = self.state.lock();
        state.drop_dead();
        state.shared.entry(destination.clone()).or_insert(new).clone()
    }

    /// Closes the connection that is idle longest, if there is one.
    fn evict_one(&self) {
        let mut state = self.state.lock();
        let shared = state.idle_shared().min_by_key(|(_, since)| *since);
        let shared = shared.map(|(destination, since)| (destination.clone(), since));
        match (state.idle.front().map(|idle| idle.since), shared) {
            (Some(since), Some((destination, shared))) if shared < since => {
                state.shared.remove(&destination);
            }
            (Some(_), _) => drop(state.idle.pop_front()),
            (None, Some((destination, _))) => drop(state.shared.remove(&destination)),
            (None, None) => {}
        }
    }

    fn keep(self: &Arc<Self>, idle: Idle) {
        let mut state = self.state.lock();
        state.idle.push_back(idle);
        self.became_idle(state);
    }

    /// Sees to it that what is idle now is taken by somebody who waits, or closed in time.
    fn became_idle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        // Without a runtime the host is going down, and its connections with it.
        if let Ok(runtime) = Handle::try_current()
            && !std::mem::replace(&mut state.reaping, true)
        {
            runtime.spawn(reap(Arc::downgrade(self), self.alive.subscribe()));
        }
        drop(state);
        self.returned.notify_one();
    }

    /// Closes what has been idle for too long, and says when to look again.
    fn reap_once(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        state.drop_dead();
        let (now, timeout) = (Instant::now(), self.connector.limits.idle_timeout);
        state.idle.retain(|idle| idle.since + timeout > now);
        let old: Vec<_> = state.idle_shared().filter(|(_, since)| *since + timeout <= now).collect();
        let old: Vec<_> = old.into_iter().map(|(destination, _)| destination.clone()).collect();
        for destination in &old {
            state.shared.remove(destination);
        }
        let first = state.idle.front().map(|idle| idle.since);
        let shared = state.idle_shared().map(|(_, since)| since).min();
        let next = first.into_iter().chain(shared).min().map(|since| since + timeout);
        state.reaping = next.is_some();
        next
    }
}

/// Runs while something is idle, and no longer than the pool.
async fn reap(pool: Weak<Pool>, mut closed: watch::Receiver<()>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.reap_once()) {
        tokio::select! {
            () = sleep_until(next) => {}
            _ = closed.changed() => return,
        }
    }
}

impl State {
    /// Forgets the connections that their peers have closed.
    fn drop_dead(&mut self) {
        self.idle.retain(|idle| !idle.sender.is_closed());
        self.shared.retain(|_, shared| !shared.sender.is_closed());
    }

    fn idle_shared(&self) -> impl Iterator<Item = (&Destination, Instant)> {
        self.shared
            .iter()
            .filter(|(_, shared)| Arc::strong_count(shared) == 1)
            .map(|(destination, shared)| (destination, *shared.last_used.lock()))
    }
}

impl Lease {
    fn new(pool: &Arc<Pool>, destination: &Destination, connection: Connection, reused: bool) -> Self {
        let (pool, destination) = (pool.clone(), destination.clone());
        Lease { pool, destination, connection: Some(connection), reused, kept: false }
    }

    async fn ready(&mut self) -> hyper::Result<()> {
        match self.sender() {
            SenderRef::H1(sender) => sender.ready().await,
            SenderRef::H2(mut sender) => sender.ready().await,
        }
    }

    /// The sender for this call.
    pub(crate) fn sender(&mut self) -> SenderRef<'_> {
        match self.connection.as_mut().expect("only the drop takes it") {
            Connection::Own(sender) => SenderRef::H1(sender),
            Connection::Shared(shared) => SenderRef::H2(shared.sender.clone()),
        }
    }

    /// Keeps the connection for the next call. To be called when both bodies have ended.
    pub(crate) fn give_back(mut self) {
        self.kept = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(Connection::Own(sender)) if self.kept && !sender.is_closed() => {
                self.pool.keep(Idle { destination: self.destination.clone(), sender, since: Instant::now() });
            }
            Some(Connection::Own(_)) | None => {}
            Some(Connection::Shared(shared)) => {
                *shared.last_used.lock() = Instant::now();
                drop(shared);
                self.pool.became_idle(self.pool.state.lock());
            }
        }
    }
}

/// What a call sends with.
pub(crate) enum SenderRef<'a> {
    H1(&'a mut http1::SendRequest<Upload>),
    H2(http2::SendRequest<Upload>),
}
