//! Sockets of a plugin that speaks in messages itself: the world `socket`, over WebSocket.
//!
//! The plugin is asked before the handshake is answered, so that it can refuse with a status of HTTP. From then on messages
//! go both ways with back-pressure: the next one of the client is read when the plugin has taken the one before, and the
//! plugin makes its next one when the client's system has taken the one before.
//!
//! | the socket is closed with | because |
//! |---|---|
//! | 1000 | the plugin's messages have ended |
//! | 1001 | the host shuts down; the client does not answer pings; the socket was silent, or open, for as long as its limits allow |
//! | 1002, 1007, 1009 | the client broke the protocol, sent text that is not UTF-8, or a message that is too long |
//! | 1011 | the plugin trapped, broke a limit, or sent a message that is too long |
//! | 1013 | the host has no memory for a message |

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use http::header::UPGRADE;
use http::{HeaderValue, Request, Response};
use tokio::sync::mpsc::{Sender, channel};
use wharf_call::{
    Body, BoxFuture, Failure, HttpService, Invocation, Kind, Memory, MessageStream, RequestId, SocketMessage,
    SocketService, problem,
};

use crate::websocket::{self, Socket, SocketLimits};

const OPEN: &str = "wharf_sockets_open";
const CLOSED: &str = "wharf_sockets_closed_total";

/// Says what the metrics of sockets are.
pub(crate) fn describe_metrics() {
    metrics::describe_gauge!(OPEN, "Sockets of plugins that are open");
    metrics::describe_counter!(
        CLOSED,
        "Sockets of plugins that were closed, by the host's code or by the client"
    );
}

/// Leads clients to the sockets of one plugin.
pub struct SocketDoor {
    plugin: Arc<dyn SocketService>,
    limits: SocketLimits,
    memory: Arc<dyn Memory>,
}

/// How a socket came to its end.
enum End {
    /// The client has closed it, or has been told why it is.
    Over,
    /// The plugin has no more messages.
    Well,
    Cut(Failure),
}

impl SocketDoor {
    /// A door to `plugin`. A message is held to [`SocketLimits::message_bytes_max`] in either direction, and paid for from
    /// `memory`.
    pub fn new(plugin: Arc<dyn SocketService>, limits: SocketLimits, memory: Arc<dyn Memory>) -> Self {
        SocketDoor { plugin, limits, memory }
    }

    async fn open(&self, request: Request<Body>, invocation: Invocation) -> Result<Response<Body>, Failure> {
        if !websocket::is_offered(&request) {
            let text = "This address speaks WebSocket: send GET with `upgrade: websocket`.";
            return Err(Failure::new(Kind::UpgradeRequired, text));
        }
        let handshake = websocket::check(&request, &[])?;
        let (sender, mut receiver) = channel(1);
        let incoming = Box::pin(poll_fn(move |cx| receiver.poll_recv(cx).map(|message| message.map(Ok))));
        let session = Session {
            plugin: self.plugin.name().to_owned(),
            request_id: invocation.request_id.clone(),
            message_bytes_max: self.limits.message_bytes_max,
        };
        let outgoing = self.plugin.open(request, invocation, incoming).await?;
        Ok(handshake
            .answer(self.limits, &self.memory, move |socket, _| session.run(socket, sender, outgoing)))
    }
}

impl HttpService for SocketDoor {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(self.open(request, invocation))
    }

    /// With what to upgrade to (RFC 9110, section 15.5.22).
    fn refuse(&self, failure: &Failure, request_id: &str) -> Option<Response<Body>> {
        let mut response = problem::response(failure, request_id, None);
        if failure.kind() == Kind::UpgradeRequired {
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        Some(response)
    }
}

/// One socket.
struct Session {
    plugin: String,
    request_id: RequestId,
    message_bytes_max: usize,
}

impl Session {
    async fn run(self, mut socket: Socket, incoming: Sender<SocketMessage>, mut outgoing: MessageStream) {
        let open = metrics::gauge!(OPEN, "plugin" => self.plugin.clone());
        open.increment(1);
        let _open = OnDrop(|| open.decrement(1));
        let end = self.pump(&mut socket, incoming, &mut outgoing).await;
        // The plugin finishes while the client is told.
        drop(outgoing);
        match end {
            End::Over => socket.depart().await,
            End::Well => socket.close(1000, "").await,
            End::Cut(failure) => {
                self.tell(&failure);
                let (code, reason) = verdict(&failure);
                socket.close(code, reason).await;
            }
        }
        let code = socket.code().map_or_else(|| "client".to_owned(), |code| code.to_string());
        metrics::counter!(CLOSED, "plugin" => self.plugin, "code" => code).increment(1);
    }

    async fn pump(
        &self,
        socket: &mut Socket,
        incoming: Sender<SocketMessage>,
        outgoing: &mut MessageStream,
    ) -> End {
        loop {
            tokio::select! {
                message = outgoing.next() => match message {
                    Some(Ok(message)) if message.len() > self.message_bytes_max => {
                        return End::Cut(self.too_long(message.len()));
                    }
                    Some(Ok(message)) => if !socket.send(message).await {
                        return End::Over;
                    },
                    Some(Err(failure)) => return End::Cut(failure),
                    None => return End::Well,
                },
                goes_on = receive(socket, &incoming) => if !goes_on {
                    return End::Over;
                },
            }
        }
    }

    fn too_long(&self, bytes: usize) -> Failure {
        let text = "The plugin sent a message that is too long.";
        Failure::new(Kind::ResponseTooLarge, text).with_private(format!(
            "a message of {bytes} bytes; [doors] message_bytes allows {}",
            self.message_bytes_max
        ))
    }

    /// The log is told what the client is not.
    fn tell(&self, failure: &Failure) {
        let (plugin, request_id) = (&*self.plugin, self.request_id.as_str());
        let (kind, origin, private) = (failure.kind_name(), failure.origin().name(), failure.private());
        let text = failure.public();
        if failure.kind().status() >= 500 && failure.kind() != Kind::Timeout {
            tracing::warn!(request_id, plugin, kind, origin, private, "a socket was cut: {text}");
        } else {
            tracing::info!(request_id, plugin, kind, origin, private, "a socket was cut: {text}");
        }
    }
}

/// Hands one message of the client on when there is room for it; false when the socket is over. Cancel safe.
async fn receive(socket: &mut Socket, incoming: &Sender<SocketMessage>) -> bool {
    let room = tokio::select! {
        room = incoming.reserve() => room,
        () = socket.pause() => return false,
    };
    let Some(message) = socket.next().await else { return false };
    // A plugin that reads no more is not to keep the client from being heard.
    if let Ok(room) = room {
        room.send(message);
    }
    true
}

/// What a client is told of a failure.
fn verdict(failure: &Failure) -> (u16, &'static str) {
    match failure.kind() {
        Kind::PayloadTooLarge => (1009, "the message is too long"),
        Kind::Timeout => (1001, "the socket was silent, or open, for too long"),
        Kind::Overloaded => (1013, "the host has no room for this message now"),
        _ => (1011, "the plugin failed"),
    }
}

/// Whatever ends a task.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests;
