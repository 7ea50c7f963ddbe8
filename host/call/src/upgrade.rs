//! Leaving HTTP for another protocol on the same connection (RFC 9110, section 7.8).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::BoxFuture;

/// An extension of a request whose client offers to go on in another protocol: the value of its `upgrade` field.
/// The field itself is one of the connection, and is not handed on.
#[derive(Clone, Debug)]
pub struct UpgradeOffer(pub HeaderValue);

/// What is left of the connection when HTTP is over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What goes on on the connection after HTTP. The second argument resolves when the host shuts down, and soon
/// after that the connection is cut. Dropping the future closes the connection.
pub type Run = Box<dyn FnOnce(Box<dyn Wire>, BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send>;

/// An extension of a response with status 101: what takes over.
#[derive(Clone)]
pub struct Upgrade {
    protocol: HeaderValue,
    run: Arc<Mutex<Option<Run>>>,
}

impl Upgrade {
    /// Goes on in `protocol`, such as `websocket`, with `run`.
    pub fn new(protocol: HeaderValue, run: Run) -> Self {
        Upgrade { protocol, run: Arc::new(Mutex::new(Some(run))) }
    }

    /// The value of the `upgrade` field.
    pub fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }

    /// What takes over; once.
    pub fn take(&self) -> Option<Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upgrade({:?})", self.protocol)
    }
}
