//! Write plugins for the Wharf host.
//!
//! # A first plugin
//!
//! A plugin is a function from a request to a response:
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{Context, OrFail, Request, Result};
//!
//! #[wharf::handler]
//! async fn hello(_request: Request, context: Context) -> Result<String> {
//!     let name = context.param("name").or_not_found("say hello to whom?")?;
//!     Ok(format!("Hello, {name}!\n"))
//! }
//! ```
//!
//! It is compiled to a WebAssembly component. `Cargo.toml`:
//!
//! ```toml
//! [package]
//! name = "hello"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! wharf = { package = "wharf-sdk", path = "../wharf/plugin-sdk" }
//! ```
//!
//! The host's manifest, `wharf.toml`, says where the component is and what it serves. `wharf up` builds it,
//! serves it, and swaps it when it changes:
//!
//! ```toml
//! [plugin.hello]
//! component = "target/wasm32-wasip2/release/hello.wasm"
//! build     = "cargo build --release --target wasm32-wasip2"
//!
//! [[route]]
//! path   = "/hello/{name}"
//! plugin = "hello"
//! ```
//!
//! # Arguments
//!
//! A handler takes up to eight arguments, each of a type that says what is wanted of the request:
//! [`Path`], [`Query`], [`Json`], [`Form`], [`Bytes`], [`String`], [`Body`], [`HeaderMap`], [`Request`],
//! [`Context`], and more: [`Extract`] has the list, and is what types of your own implement. What does not
//! parse is answered with a 400, 415 or 422 that says which parameter, field, line or column is wrong, and
//! the function is not called.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{Json, Path, Query, StatusCode};
//!
//! #[derive(serde::Deserialize)]
//! struct Options {
//!     #[serde(default)]
//!     dry_run: bool,
//! }
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Note {
//!     title: String,
//!     tags: Vec<String>,
//! }
//!
//! #[wharf::handler]
//! async fn write(
//!     Path(id): Path<u64>,
//!     Query(options): Query<Options>,
//!     Json(note): Json<Note>,
//! ) -> (StatusCode, Json<Note>) {
//!     if !options.dry_run {
//!         println!("note {id} is {}", note.title);
//!     }
//!     (StatusCode::CREATED, Json(note))
//! }
//! ```
//!
//! Types with `#[derive(serde::Deserialize)]` need `serde = { version = "1", features = ["derive"] }` in
//! `Cargo.toml`.
//!
//! # Answers
//!
//! Whatever implements [`IntoResponse`] is an answer: text, bytes, [`Json`], [`Html`], [`Redirect`],
//! [`NoContent`], a [`StatusCode`], a [`Response`], any of these with a status or header fields before it, or
//! a [`Result`] of those. [`Request`] and [`Response`] are the [`http`] crate's types.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{IntoResponse, Method, Request, Response, Result, StatusCode};
//!
//! #[wharf::handler]
//! async fn teapot(request: Request) -> Result<Response> {
//!     match request.method() {
//!         &Method::GET => (StatusCode::IM_A_TEAPOT, "short and stout\n").into_response(),
//!         _ => (StatusCode::METHOD_NOT_ALLOWED, [("allow", "GET")], ()).into_response(),
//!     }
//! }
//! ```
//!
//! # Failures
//!
//! `?` works on every error. The client gets a 500 that says nothing more, and the error goes to the host's
//! log. A [`Failure`] has a status and a message for the client; [`OrFail`] makes one of an [`Option`] or
//! another error. A panic is a trap: the call gets a 500, the message goes to the log, the instance is
//! dropped, and no other call notices.
//!
//! # Routes
//!
//! A plugin with several addresses has a [`Router`], or methods with their routes:
//!
//! ```
//! # use wharf_sdk as wharf;
//! use std::cell::RefCell;
//! use wharf::{NoContent, OrFail, Path, Result};
//!
//! #[derive(Default)]
//! struct Greetings {
//!     /// A cache: each instance has its own, and none lasts.
//!     recent: RefCell<Vec<String>>,
//! }
//!
//! #[wharf::router]
//! impl Greetings {
//!     #[get("/hello/{name}")]
//!     async fn hello(&self, Path(name): Path<String>) -> String {
//!         self.recent.borrow_mut().push(name.clone());
//!         format!("hello, {name}\n")
//!     }
//!
//!     #[get("/recent")]
//!     async fn recent(&self) -> Result<String> {
//!         self.recent.borrow().last().cloned().or_not_found("nobody yet")
//!     }
//!
//!     #[delete("/recent")]
//!     async fn forget(&self) -> NoContent {
//!         self.recent.borrow_mut().clear();
//!         NoContent
//!     }
//! }
//! ```
//!
//! ```toml
//! [[route]]
//! path   = "/{*rest}"
//! plugin = "greetings"
//! ```
//!
//! # Services
//!
//! A plugin may export functions rather than answer requests: an interface in WIT, which the host serves as REST, gRPC,
//! GraphQL and JSON-RPC. The feature `service` has what it takes, and [`service`](mod@service) is its tutorial.
//!
//! # Sockets
//!
//! A plugin may speak to a browser over WebSocket, message by message. The feature `socket` has what it takes, and
//! [`socket`](mod@socket) is its tutorial.
//!
//! # State and hooks
//!
//! A plugin with something to open, keep or close implements [`Handler`] instead of writing a function, or
//! has `start`, `health` and `stop` beside its routes.
//!
//! # Capabilities
//!
//! A plugin has what the manifest grants it, and nothing else. What it uses without a grant is refused when
//! it is loaded, or when it asks for it, with the line to write:
//!
//! | module | what | in the manifest, under `[plugin.NAME]` |
//! |---|---|---|
//! | [`kv`] | values that are kept | `grants.keyvalue = ["notes"]` |
//! | [`client`] | HTTP calls of its own | `grants.http = ["https://api.example.com"]` |
//! | [`config`] | settings | `config = { title = "My notes" }` |
//! | [`env`](mod@env) | environment variables | `grants.env = { REGION = "north" }` |
//! | [`service::call`] | who calls a service, and with what metadata | nothing |
//! | [`log`], `tracing` | lines in the host's log | nothing; `limits.log_lines` bounds them |
//! | [`time`] | waiting, the time of day | nothing |
//! | `std::fs` | a directory | `grants.dirs = [{ path = "data", at = "/data" }]` |
//! | `std::net` | TCP to named peers | `grants.tcp = ["db.internal:5432"]` |
//!
//! A component imports what its code uses: a plugin that does not call [`kv`] needs no bucket.
//!
//! # Bodies and streams
//!
//! [`Body`] reads whole bodies and streams alike, with trailers; [`Body::read`] lends the pieces without
//! copying them. [`Body::stream`] sends a response while it is made, and [`Sse`] server-sent events. A body
//! that is handed on untouched, from a request or from a call, does not pass through the plugin at all.
//!
//! # After the response
//!
//! [`background`] goes on with work that the client does not wait for.
//!
//! # Testing
//!
//! `wharf::testing::Plugin` runs a handler in a native test, with fakes of every
//! capability and a clock that does not wait:
//!
//! ```
//! # use wharf_sdk as wharf;
//! # use wharf::Path;
//! # async fn hello(Path(name): Path<String>) -> String { format!("hello, {name}\n") }
//! # wharf::testing::block_on(async {
//! let plugin = wharf::testing::Plugin::new(hello).route("/hello/{name}");
//! assert_eq!(plugin.get("/hello/Ann").await.text().await, "hello, Ann\n");
//! # });
//! ```
//!
//! # Limits
//!
//! The host holds each call to the manifest's `limits`: `cpu` is what it may compute, `wall` how long it may
//! take until the head of the response, `memory` what the instance may hold, `request_body` and
//! `response_body` how large bodies may be, `stream_idle` how long a stream may be silent, `log_lines` and
//! `log_bytes` what may be logged in a second, and `http_calls` how many calls may be made at once. Waiting
//! costs no CPU.
//!
//! # The rest of the system
//!
//! The standard library works as far as the manifest grants it: `println!` and `eprintln!` go to the host's
//! log, `std::env::var` sees `grants.env`, clocks and randomness are real. There are no threads.
//!
//! # Features
//!
//! All are on unless `default-features = false`: `allocator` (the plugin's `#[global_allocator]`, which keeps small
//! blocks for the next call; leave it out to have one of your own), `client` ([`client`]), `json` ([`Json`] and
//! JSON elsewhere), `log` (`tracing`). `service` ([`service`](mod@service)) and `socket` ([`socket`](mod@socket)) are off unless they are
//! asked for.
#![deny(missing_docs)]

// So that the macros can name the crate from inside it too.
extern crate self as wharf_sdk;

#[cfg(all(feature = "allocator", target_family = "wasm"))]
mod allocator;
mod answers;
mod background;
mod body;
mod call;
mod context;
mod endpoint;
mod extract;
mod failure;
mod fields;
mod handler;
mod pipe;
mod request;
mod response;
mod router;
#[cfg(any(feature = "service", feature = "socket"))]
mod streaming;
mod text;

pub mod bindings;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod env;
pub mod kv;
pub mod log;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "socket")]
pub mod socket;
pub mod sse;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod time;

pub use answers::{Html, IntoHeaders, NoContent, Redirect};
pub use background::{Outcome, background};
pub use body::{Body, ReaderGone, Trailers, Writer};
pub use call::Call;
pub use context::{Caller, Context};
pub use endpoint::Endpoint;
#[cfg(feature = "json")]
pub use extract::Json;
pub use extract::{Extract, Form, Path, Query, State, Takes};
pub use failure::{Failure, OrFail, Result};
pub use handler::Handler;
pub use request::Request;
pub use response::{IntoResponse, Response};
pub use router::{IntoRouter, Router};
#[cfg(feature = "service")]
pub use service::Lifecycle;
pub use sse::Sse;

pub use bytes::Bytes;
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
#[cfg(feature = "log")]
pub use tracing;

/// Makes a handler plugin of an `async fn`, or of an `impl Handler for T`.
///
/// The function takes up to eight arguments that implement [`Extract`], in any order, and returns anything
/// that is [`IntoResponse`]. For a plugin with state or hooks, put it on an implementation of [`Handler`],
/// whose `handle` may take such arguments as well. A component has one handler: two of these in one crate do
/// not link.
///
/// ```
/// # use wharf_sdk as wharf;
/// #[wharf::handler]
/// async fn ping() -> &'static str {
///     "pong\n"
/// }
/// ```
///
/// A handler is asynchronous, even when it has nothing to wait for:
///
/// ```compile_fail
/// # use wharf_sdk as wharf;
/// #[wharf::handler]
/// fn ping() -> &'static str {
///     "pong\n"
/// }
/// ```
pub use wharf_sdk_macros::handler;

/// Checks a function that a [`Router`] is given.
///
/// A router says no more of a function that it cannot take than that it cannot. With this attribute on it,
/// the compiler names the argument or the result that is not right. It changes nothing.
pub use wharf_sdk_macros::endpoint;

/// Makes a handler plugin of a [`Router`].
///
/// On a function that returns one, it is built once for each instance, before the first call:
///
/// ```
/// # use wharf_sdk as wharf;
/// # async fn hello() {}
/// #[wharf::router]
/// fn routes() -> wharf::Router {
///     wharf::Router::new().get("/hello", hello)
/// }
/// ```
///
/// The function may be `async`, and may return a [`Result`] of a router.
///
/// On an `impl`, the methods with `#[get("/pattern")]`, `post`, `put`, `patch`, `delete`, `head`, `options`
/// or `any` are the routes, and `self` is what they share. `start` makes it, or its `Default` if there is no
/// `start`; `health` and `stop` are [`Handler`]'s.
///
/// ```
/// # use wharf_sdk as wharf;
/// use std::cell::Cell;
/// use wharf::{Path, Result};
///
/// struct Counter {
///     count: Cell<i64>,
/// }
///
/// #[wharf::router]
/// impl Counter {
///     async fn start() -> Result<Self> {
///         Ok(Counter { count: Cell::new(0) })
///     }
///
///     #[get("/count")]
///     async fn show(&self) -> String {
///         format!("{}\n", self.count.get())
///     }
///
///     #[post("/count/{by}")]
///     async fn add(&self, Path(by): Path<i64>) -> String {
///         self.count.set(self.count.get() + by);
///         self.show().await
///     }
/// }
/// ```
pub use wharf_sdk_macros::router;

/// Serves an interface of the plugin's WIT with a type: see [`service`](mod@service).
///
/// It belongs on an implementation of the trait `Service` of the interface's module, which [`wit!`](crate::wit) has made:
///
/// ```
/// # use wharf_sdk as wharf;
/// wharf::wit!(inline = "
///     package demo:greetings@1.0.0;
///     interface greetings {
///         greet: async func(name: string) -> string;
///     }
/// ");
///
/// #[derive(Default)]
/// struct Greeter;
///
/// #[wharf::service]
/// impl greetings::Service for Greeter {
///     async fn greet(&self, name: String) -> String {
///         format!("Hello, {name}!")
///     }
/// }
/// # fn main() {}
/// ```
///
/// An interface that nothing serves is an error of the compiler's:
///
/// ```compile_fail
/// # use wharf_sdk as wharf;
/// wharf::wit!(inline = "package demo:greetings@1.0.0; interface greetings { greet: func() -> string; }");
/// # fn main() {}
/// ```
#[cfg(feature = "service")]
pub use wharf_sdk_macros::service;

/// Makes a socket plugin of an `async fn`: see [`socket`](mod@socket).
///
/// The function takes one argument that is what the client sends, [`Streaming<Message>`](socket::Streaming) or `impl Stream<Item =
/// Message>`, and up to eight that implement [`Extract`], in any order. It returns a [`Result`] of a stream of what the client
/// is sent, each item a [`Message`](socket::Message) or something that becomes one.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::Result;
/// use wharf::socket::{Message, Stream};
///
/// #[wharf::socket]
/// async fn echo(incoming: impl Stream<Item = Message> + 'static) -> Result<impl Stream<Item = Message>> {
///     Ok(incoming)
/// }
/// ```
#[cfg(feature = "socket")]
pub use wharf_sdk_macros::socket;

/// Makes Rust of the plugin's WIT: a module for each interface, with its types and, for those that the component
/// exports, the trait that [`#[wharf::service]`](macro@crate::service) is for. It is called once in a crate, at its root.
///
/// ```text
/// wharf::wit!();                                     // the folder `wit` of the crate
/// wharf::wit!("path/to/wit");                        // another folder or file, relative to the crate
/// wharf::wit!(inline = "package demo:a; …");         // the text itself
/// wharf::wit!("wit", world = "name");                // the world, where there are several
/// wharf::wit!("wit", derive(serde::Serialize, Eq));  // what types derive besides Debug, Clone and PartialEq
/// wharf::wit!("wit", handler);                       // the crate has a handler, whose hooks count
/// ```
#[cfg(feature = "service")]
pub use wharf_sdk_macros::wit;

/// Makes a test of an `async fn`: it runs in [`testing::block_on`].
#[cfg(not(target_family = "wasm"))]
pub use wharf_sdk_macros::test;

/// For the code that the macros write; not an interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::extract::{Takes, fill};
    pub use crate::handler::Export;
    pub use crate::router::{IntoRouter, Routed, RouterSource};
    #[cfg(feature = "service")]
    pub use crate::service::private as service;
    #[cfg(feature = "socket")]
    pub use crate::socket::private as socket;
    #[cfg(feature = "service")]
    pub use wit_bindgen;
}
