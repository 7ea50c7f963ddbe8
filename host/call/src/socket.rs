//! A plugin that speaks to its clients in messages, seen from the door: the port [`SocketService`].

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use http::Request;

use crate::{Body, BoxFuture, Failure, Invocation};

/// A message of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl SocketMessage {
    /// The payload's length in bytes.
    pub fn len(&self) -> usize {
        match self {
            SocketMessage::Text(text) => text.len(),
            SocketMessage::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Messages that come one after the other, and end well or with the [`Failure`] that cut them short. They are taken as
/// there is room for them: that is the back-pressure.
pub type MessageStream = Pin<Box<dyn Stream<Item = Result<SocketMessage, Failure>> + Send>>;

/// A plugin that clients open sockets to.
///
/// Implemented by the engine for each plugin, by fakes in tests.
pub trait SocketService: Send + Sync + 'static {
    /// The plugin's name in the manifest. It is the `plugin` label of metrics.
    fn name(&self) -> &str;

    /// Asks the plugin to open a socket, through its pool and within its limits. What it is asked with is the request of the
    /// handshake; `incoming` is what the client will send.
    ///
    /// The future resolves with what the plugin sends. Dropping the future abandons the call. When the stream is dropped, the
    /// socket is over: `incoming` should have ended then, too, and the plugin gets `limits.wall` to finish with it. Each socket
    /// stays with the generation that opened it.
    ///
    /// # Errors
    /// The plugin refuses, or what else keeps a call from an answer.
    fn open<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
        incoming: MessageStream,
    ) -> BoxFuture<'a, Result<MessageStream, Failure>>;
}
