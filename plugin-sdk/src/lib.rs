//! Write plugins for the Wharf host.
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
//! # Answers
//!
//! Whatever implements [`IntoResponse`] is an answer: text, bytes, a [`StatusCode`], a [`Response`], or a
//! [`Result`] of those. [`Request`] and [`Response`] are the [`http`] crate's types.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{IntoResponse, Method, Request, Response, Result, StatusCode};
//!
//! #[wharf::handler]
//! async fn teapot(request: Request) -> Result<Response> {
//!     match request.method() {
//!         &Method::GET => (StatusCode::IM_A_TEAPOT, "short and stout\n").into_response(),
//!         _ => Ok(Response::builder().status(405).header("allow", "GET").body(().into())?),
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
//! # Bodies and streams
//!
//! [`Body`] reads whole bodies and streams alike, with trailers. [`Body::stream`] sends a response while it
//! is made: server-sent events, large files, an echo of the request.
//!
//! # State and hooks
//!
//! A plugin with something to open, keep or close implements [`Handler`] instead of writing a function.
//!
//! # The rest of the system
//!
//! The standard library works as far as the manifest grants it: `println!` and `eprintln!` go to the host's
//! log, `std::env::var` sees `grants.env`, clocks and randomness are real. There are no threads.
#![deny(missing_docs)]

// So that the macros can name the crate from inside it too.
extern crate self as wharf_sdk;

mod body;
mod context;
mod failure;
mod fields;
mod handler;
mod request;
mod response;

pub mod bindings;

#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use body::{Body, ReaderGone, Trailers, Writer};
pub use context::{Caller, Context};
pub use failure::{Failure, OrFail, Result};
pub use handler::Handler;
pub use request::Request;
pub use response::{IntoResponse, Response};

pub use bytes::Bytes;
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

/// Makes a handler plugin of an `async fn`, or of an `impl Handler for T`.
///
/// The function takes nothing, the [`Request`], or the [`Request`] and the [`Context`], and returns
/// anything that is [`IntoResponse`]. For a plugin with state or hooks, put it on an implementation of
/// [`Handler`]. A component has one handler: two of these in one crate do not link.
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

/// For the code that the macros write; not an interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::handler::Export;
}
