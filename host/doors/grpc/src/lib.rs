//! The gRPC door: functions of plugins as services of protobuf, over HTTP/2 and gRPC-Web.
//!
//! [`GrpcDoor::new`] takes the plugins that are served together and compiles what they export, once: names and descriptors as
//! `MAPPING.md` has them, and beside each a plan of how its values lie on the wire. A call then goes from bytes to
//! [`Value`](wharf_call::Value)s and back by that plan; there is no message object in between, and no name is looked up but that of the
//! method. From the same descriptors come reflection (v1 and v1alpha), and the `.proto` files of [`GrpcDoor::protos`].
//!
//! | of the protocol | here |
//! |---|---|
//! | unary and all three kinds of streaming | one path: `door.rs`; `input.rs` is what the client streams, `body.rs` what it gets |
//! | message framing, gzip, size limits | `frame.rs`: a limit is checked at the five bytes before a message, and while unpacking |
//! | `grpc-timeout` | narrows the deadline of the call, and bounds the whole exchange, streams included |
//! | cancellation | the future or the body is dropped, and with it the plugin's call |
//! | status | `status.rs`: code by `wharf_doors::errors`, `google.rpc.Status` with `ErrorInfo`, `RetryInfo` and the declared error |
//! | gRPC-Web, binary and text | `web.rs`, around everything else |
//! | reflection, health | `builtin.rs`: tonic's own; every service of a door is SERVING, because a swap makes a new door |
//! | not gRPC | 415; a method that is not there is UNIMPLEMENTED |
//!
//! What the client sends is bounded before it is used: messages by their length, what a message unfolds to by what it would
//! take in memory, nesting by the type, which is finite. A message is refused with the path of the field that is wrong.
//!
//! What it deliberately does not do: connections, CORS, authentication, the limits of a body as a whole (the gateway's), running plugins
//! (the engine's). Plugins set no trailing metadata, only the initial; the request id goes back as `x-request-id`, by the
//! gateway.
//!
//! Start with `plan.rs`, then `compile.rs`, `decode.rs` and `door.rs`.

mod body;
mod builtin;
mod compile;
mod config;
mod decode;
mod door;
mod encode;
mod error;
mod file;
mod files;
mod frame;
mod input;
mod merge;
mod naming;
mod plan;
mod print;
mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod web;

#[cfg(test)]
mod tests;

pub use config::GrpcConfig;
pub use door::{GrpcDoor, NoMethods, protos};
pub use files::ProtoFiles;
