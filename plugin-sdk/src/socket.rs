//! Sockets: the plugin speaks to a browser, or any other client, over WebSocket.
//!
//! # A first socket
//!
//! A socket plugin is a function from what the client sends to what it is sent. The host has the handshake, the pings and the
//! frames; the plugin has [`Message`]s:
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::socket::{Message, Stream, Streaming};
//! use wharf::{Failure, Path, Result};
//!
//! #[wharf::socket]
//! async fn greet(
//!     Path(name): Path<String>,
//!     mut incoming: Streaming<Message>,
//! ) -> Result<impl Stream<Item = Message>> {
//!     if name == "nobody" {
//!         return Err(Failure::not_found("nobody is not here"));
//!     }
//!     Ok(Streaming::from_fn(async move |client| {
//!         client.send(format!("Hello, {name}!").into()).await;
//!         while let Some(message) = incoming.next().await {
//!             match message {
//!                 Message::Text(text) if text == "bye" => break,
//!                 other => client.send(other).await,
//!             }
//!         }
//!     }))
//! }
//! # wharf::testing::block_on(async {
//! # let sent = greet(Path("Ann".into()), Streaming::of(["a", "bye", "b"].map(Message::from))).await.unwrap();
//! # let mut sent = Streaming::new(sent);
//! # assert_eq!(sent.next().await, Some("Hello, Ann!".into()));
//! # assert_eq!(sent.next().await, Some("a".into()));
//! # assert_eq!(sent.next().await, None);
//! # });
//! ```
//!
//! `Cargo.toml` asks for the feature, and `wharf.toml` leads a route to the plugin:
//!
//! ```toml
//! [dependencies]
//! wharf = { package = "wharf-sdk", path = "../wharf/plugin-sdk", features = ["socket"] }
//! ```
//!
//! ```toml
//! [plugin.greet]
//! component = "target/wasm32-wasip2/release/greet.wasm"
//! build     = "cargo build --release --target wasm32-wasip2"
//!
//! [plugin.greet.pool]
//! max = 100                   # as many sockets as may be open at once
//!
//! [[route]]
//! path   = "/greet/{name}"
//! plugin = "greet"
//! ```
//!
//! And a page of the same host speaks to it:
//!
//! ```js
//! const socket = new WebSocket("/greet/Ann");
//! socket.onmessage = (event) => console.log(event.data);
//! socket.onopen = () => socket.send("are you there?");
//! ```
//!
//! # How a socket ends
//!
//! - The function returns a failure: there is no socket, and the client gets a problem document, as from a handler.
//! - The stream that it returned ends: the host closes the socket with 1000.
//! - The client closes it, or goes away, or the host shuts down: what comes in ends. The plugin has `limits.wall` for what it
//!   still wants to do; what it sends is thrown away, and whatever makes it is dropped then. So tidy up first.
//! - A panic, or an exceeded limit, closes it with 1011; silence of both sides for `limits.stream_idle` with 1001. The instance
//!   is dropped.
//!
//! Dropping what comes in says that no more is wanted, and leaves the socket open.
//!
//! # Waiting
//!
//! Nothing runs ahead: [`Sender::send`] waits until the message before was taken, which is when it is on its way to the client; and
//! the next message of the client is read when the plugin asks for it.
//!
//! Each socket has an instance of its own while it is open, and keeps it when the plugin is swapped for another version. What
//! sockets have in common is therefore not in the plugin's memory; [`kv`](crate::kv) is one place for it.
//!
//! # Testing
//!
//! The function is a function: [`Streaming::of`] makes a client of messages, and what comes out is a stream.
//!
//! ```
//! # use wharf_sdk as wharf;
//! # use wharf::Result;
//! # use wharf::socket::{Message, Stream, Streaming};
//! # async fn echo(incoming: Streaming<Message>) -> Result<impl Stream<Item = Message>> { Ok(incoming) }
//! # /*
//! #[wharf::test]
//! # */
//! async fn what_is_said_comes_back() {
//!     let mut sent = Streaming::new(echo(Streaming::of([Message::from("hello")])).await.unwrap());
//!     assert_eq!(sent.next().await, Some("hello".into()));
//!     assert_eq!(sent.next().await, None);
//! }
//! # wharf::testing::block_on(what_is_said_comes_back());
//! ```

use bytes::Bytes;

pub use crate::streaming::{Items, Sender, Streaming, next};
pub use futures_core::Stream;

/// A message of either kind, whole. A client in a browser sends what `WebSocket.send` was given: text for a string, bytes for a
/// buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// The text, if it is that.
    pub fn text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// What is in it, of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Message::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::Binary(bytes.into())
    }
}

/// For the code that the macro writes.
#[doc(hidden)]
pub mod private {
    use std::fmt;
    use std::marker::PhantomData;
    use std::pin::Pin;
    use std::task::{Context as Waiting, Poll};

    use wit_bindgen::StreamReader;

    use super::{Message, Stream, Streaming};
    use crate::bindings::socket::exports::wharf::plugin::socket;
    use crate::bindings::socket::wit_stream;
    use crate::bindings::wharf::plugin::types as raw;
    pub use crate::streaming::wire::{read, write};
    use crate::{Context, Request, Result, request};

    /// What `#[wharf::socket]` implements.
    pub trait Open: 'static {
        /// Opens a socket.
        fn open(
            request: Request,
            context: Context,
            incoming: Streaming<Message>,
        ) -> impl Future<Output = Result<Streaming<Message>>>;
    }

    /// What a function returned, as one type.
    ///
    /// # Errors
    /// The function's.
    pub fn outgoing<S>(returned: Result<S>) -> Result<Streaming<Message>>
    where
        S: Stream<Item: Into<Message>> + 'static,
    {
        Ok(Streaming::new(Map(Box::pin(returned?), Into::into)))
    }

    /// The component's exports, in terms of `T`.
    pub struct Export<T>(PhantomData<T>);

    impl<T> fmt::Debug for Export<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Export")
        }
    }

    impl<T: Open> socket::Guest for Export<T> {
        async fn open(
            request: raw::Request,
            context: raw::Context,
            incoming: StreamReader<socket::Message>,
        ) -> Result<StreamReader<socket::Message>, raw::Failure> {
            crate::log::install();
            let incoming = Streaming::new(Map(Box::pin(read(incoming)), from_wit));
            let outgoing = T::open(request::from_wit(request)?, context.into(), incoming).await?;
            let (writer, reader) = wit_stream::new();
            write(Map(Box::pin(outgoing), to_wit), writer);
            Ok(reader)
        }
    }

    fn from_wit(message: socket::Message) -> Message {
        match message {
            socket::Message::Text(text) => Message::Text(text),
            socket::Message::Binary(bytes) => Message::Binary(bytes.into()),
        }
    }

    fn to_wit(message: Message) -> socket::Message {
        match message {
            Message::Text(text) => socket::Message::Text(text),
            Message::Binary(bytes) => socket::Message::Binary(bytes.into()),
        }
    }

    /// A stream of what a function makes of another one's items.
    struct Map<S, T, U>(Pin<Box<S>>, fn(T) -> U);

    impl<S: Stream<Item = T>, T, U> Stream for Map<S, T, U> {
        type Item = U;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Waiting<'_>) -> Poll<Option<U>> {
            let Map(stream, map) = &mut *self;
            stream.as_mut().poll_next(cx).map(|item| item.map(map))
        }
    }
}
