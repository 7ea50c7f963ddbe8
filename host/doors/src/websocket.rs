//! WebSocket (RFC 6455) for the doors that speak it: the handshake, and messages within limits.

mod held;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message as Wire, Role, WebSocketConfig};
pub use wharf_call::SocketMessage as Message;
use wharf_call::{Body, BoxFuture, Failure, Kind, Memory, Upgrade, UpgradeOffer};

use self::held::Held;

/// What a client may send, and how long it may be silent.
#[derive(Clone, Copy, Debug)]
pub struct SocketLimits {
    /// The most bytes of a message; fragments count together. Default 1 MiB.
    pub message_bytes_max: usize,
    /// A client that has sent nothing for half of this is pinged; one that has not answered by the end of it is gone.
    /// Default 60 s.
    pub idle: Duration,
    /// How long a client may take to read one message. Default 10 s.
    pub write: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        SocketLimits {
            message_bytes_max: 1 << 20,
            idle: Duration::from_secs(60),
            write: Duration::from_secs(10),
        }
    }
}

/// The host's end of a WebSocket.
pub struct Socket {
    stream: WebSocketStream<Held>,
    draining: Option<BoxFuture<'static, ()>>,
    limits: SocketLimits,
    heard: Instant,
    pinged: bool,
    closed: bool,
    /// Whether the library reads no further. A connection that is closed with something unread is reset, and what the client
    /// was told is lost with it.
    broken: bool,
    /// What the client is still to be told.
    parting: Option<CloseFrame>,
    departed: bool,
}

/// Whether a request asks for a WebSocket.
pub fn is_offered(request: &Request<Body>) -> bool {
    request
        .extensions()
        .get::<UpgradeOffer>()
        .is_some_and(|offer| offer.0.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// A handshake that is as it should be, and not answered yet.
pub struct Handshake {
    accept: String,
    protocol: Option<&'static str>,
}

/// Answers the handshake; `run` has the socket once the client has the answer. The subprotocol is the client's first one
/// that is among `protocols`; with none in common the client is refused, unless `protocols` is empty. Messages are paid for
/// from `memory`.
///
/// # Errors
/// As of [`check`].
pub fn accept<F>(
    request: &Request<Body>,
    protocols: &[&'static str],
    limits: SocketLimits,
    memory: &Arc<dyn Memory>,
    run: impl FnOnce(Socket, Option<&'static str>) -> F + Send + 'static,
) -> Result<Response<Body>, Failure>
where
    F: Future<Output = ()> + Send + 'static,
{
    Ok(check(request, protocols)?.answer(limits, memory, run))
}

/// Checks the handshake, for somebody who has a say in it before it is answered.
///
/// # Errors
/// [`Kind::BadRequest`] when the handshake is not one of RFC 6455, section 4.2.1, or of version 13;
/// [`Kind::Forbidden`] when a page of another origin asks: a browser sends its cookies along, and asks nobody before.
pub fn check(request: &Request<Body>, protocols: &[&'static str]) -> Result<Handshake, Failure> {
    let bad = |text: &'static str| Failure::new(Kind::BadRequest, text);
    let headers = request.headers();
    if request.method() != Method::GET || !is_offered(request) {
        return Err(bad("This address speaks WebSocket: send GET with `upgrade: websocket`."));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("The WebSocket version must be 13: send `sec-websocket-version: 13`."));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| bad("`sec-websocket-key` must be 16 bytes in base64."))?;
    if !same_origin(request) {
        return Err(Failure::new(Kind::Forbidden, "A page of another origin may not open a WebSocket here."));
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered =
        offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',').map(str::trim));
    let protocol = offered.find_map(|wants| protocols.iter().find(|has| **has == wants).copied());
    if protocol.is_none() && !protocols.is_empty() {
        let known = protocols.join(", ");
        let text = format!("Name one of these in `sec-websocket-protocol`: {known}.");
        return Err(Failure::new(Kind::BadRequest, text));
    }
    Ok(Handshake { accept: derive_accept_key(key.as_bytes()), protocol })
}

impl Handshake {
    /// The answer, after which `run` has the socket and the subprotocol. Messages are paid for from `memory`.
    pub fn answer<F>(
        self,
        limits: SocketLimits,
        memory: &Arc<dyn Memory>,
        run: impl FnOnce(Socket, Option<&'static str>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Handshake { accept, protocol } = self;
        let mut answer = Response::new(Body::Empty);
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = protocol {
            answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        let memory = memory.clone();
        let upgrade = Upgrade::new(
            HeaderValue::from_static("websocket"),
            Box::new(move |connection, draining| {
                let connection = Held::new(connection, memory);
                Box::pin(async move {
                    run(Socket::new(connection, draining, limits).await, protocol).await;
                })
            }),
        );
        answer.extensions_mut().insert(upgrade);
        answer
    }
}

/// Whether the page that asks, if it is one, is of the host that it asks.
fn same_origin(request: &Request<Body>) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

impl Socket {
    /// What every socket has to read into, however quiet it is.
    const READ_BUFFER: usize = 8 << 10;
    /// What waits to be written of one message that the client does not read.
    const WRITE_BUFFER: usize = 64 << 10;

    async fn new(connection: Held, draining: BoxFuture<'static, ()>, limits: SocketLimits) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.message_bytes_max))
            .max_frame_size(Some(limits.message_bytes_max))
            .read_buffer_size(Self::READ_BUFFER)
            .write_buffer_size(Self::WRITE_BUFFER);
        let stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        Socket {
            stream,
            draining: Some(draining),
            limits,
            heard: Instant::now(),
            pinged: false,
            closed: false,
            broken: false,
            parting: None,
            departed: false,
        }
    }

    /// The next message. `None` when the socket is over, for whatever reason: the client closed it, broke the protocol or a
    /// limit, has been silent for too long, or the host shuts down. The client has been told why, as far as it listens.
    ///
    /// Cancel safe: no message is lost when the future is dropped, and what the client was being told is still told by
    /// [`Socket::depart`].
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if self.closed {
                return None;
            }
            let alarm = self.heard + if self.pinged { self.limits.idle } else { self.limits.idle / 2 };
            let received = tokio::select! {
                biased;
                () = drained(&mut self.draining) => {
                    self.shut_down().await;
                    return None;
                }
                // Before the alarm: who is not asked for the next message for a while has not been silent.
                received = self.stream.next() => received,
                () = sleep_until(alarm) => {
                    if self.pinged {
                        self.close(1001, "silent for too long").await;
                        return None;
                    }
                    self.pinged = true;
                    self.write(Wire::Ping(Bytes::new())).await;
                    continue;
                }
            };
            self.heard = Instant::now();
            self.pinged = false;
            self.stream.get_mut().received();
            match received {
                Some(Ok(Wire::Text(text))) => return Some(Message::Text(text.as_str().to_owned())),
                Some(Ok(Wire::Binary(bytes))) => return Some(Message::Binary(bytes)),
                // Answered by the library, with the next write or flush.
                Some(Ok(Wire::Ping(_))) => {
                    let _ = timeout(self.limits.write, self.stream.flush()).await;
                }
                Some(Ok(Wire::Pong(_) | Wire::Frame(_))) => {}
                Some(Ok(Wire::Close(_))) | None => {
                    self.closed = true;
                    // The library has its answer ready.
                    self.depart().await;
                }
                Some(Err(error)) => {
                    self.broken = true;
                    let (code, reason) = verdict(&error);
                    self.close(code, reason).await;
                }
            }
        }
    }

    /// Waits until the host shuts down, and takes no message meanwhile; what comes after it is over, too. For who has no room
    /// for another message.
    pub async fn pause(&mut self) {
        if self.closed {
            return;
        }
        drained(&mut self.draining).await;
        self.shut_down().await;
    }

    async fn shut_down(&mut self) {
        self.draining = None;
        self.close(1001, "the host shuts down").await;
    }

    /// Sends a message and waits until it is on its way; that is the back-pressure. False when the socket is over, which it is
    /// with 1013 when the host has no memory for the message.
    pub async fn send(&mut self, message: Message) -> bool {
        if !self.stream.get_mut().can_send(message.len()) {
            self.close(1013, NO_MEMORY).await;
            return false;
        }
        let wire = match message {
            Message::Text(text) => Wire::Text(text.into()),
            Message::Binary(bytes) => Wire::Binary(bytes),
        };
        self.write(wire).await
    }

    /// Closes with `code` (RFC 6455, section 7.4) and `reason`, of which as much is sent as fits: 123 bytes.
    pub async fn close(&mut self, code: u16, reason: &str) {
        if self.closed {
            return;
        }
        self.closed = true;
        let reason = &reason[..reason.floor_char_boundary(123)];
        self.parting = Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() });
        self.depart().await;
    }

    /// Goes on with what was begun when the socket came to its end, if that was dropped half-way.
    pub async fn depart(&mut self) {
        if !self.closed || self.departed {
            return;
        }
        let goodbye = async {
            if self.parting.is_some() {
                // A second one changes nothing.
                let _ = self.stream.close(self.parting.clone()).await;
            }
            let _ = self.stream.flush().await;
            // What the client had sent before is read and thrown away, so that it gets to see our frame.
            while let Some(Ok(_)) = self.stream.next().await {}
            if self.broken {
                self.stream.get_mut().discard().await;
            }
        };
        let _ = timeout(self.limits.write.min(Duration::from_secs(1)), goodbye).await;
        self.departed = true;
    }

    /// What the client was told that the socket is over for, if it was not its own doing.
    pub fn code(&self) -> Option<u16> {
        self.parting.as_ref().map(|frame| frame.code.into())
    }

    async fn write(&mut self, message: Wire) -> bool {
        if self.closed {
            return false;
        }
        let sent = timeout(self.limits.write, self.stream.send(message)).await;
        self.closed |= !matches!(sent, Ok(Ok(())));
        !self.closed
    }
}

/// When the host shuts down; never again after that.
async fn drained(draining: &mut Option<BoxFuture<'static, ()>>) {
    match draining {
        Some(draining) => draining.await,
        None => std::future::pending().await,
    }
}

/// What a client is told with 1013.
const NO_MEMORY: &str = "the host has no memory for this message now";

/// What a client is told of its mistake, or of the host's trouble.
fn verdict(error: &Error) -> (u16, &'static str) {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => (1009, "the message is too long"),
        Error::Utf8(_) => (1007, "text must be UTF-8"),
        Error::Io(error) if error.kind() == io::ErrorKind::OutOfMemory => (1013, NO_MEMORY),
        _ => (1002, "this is not WebSocket as of RFC 6455"),
    }
}

#[cfg(test)]
mod tests;
