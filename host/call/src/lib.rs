//! The words that the parts of the host share, and the ports that they offer each other.
//!
//! A gateway, a door or an admin page talks about an [`Invocation`], gets back a response or a
//! [`Failure`], and reaches a plugin through [`HttpService`], in typed values through [`Service`], or in messages through [`SocketService`]. None of them knows how a plugin is run.
//!
//! This crate deliberately does not: depend on wasmtime or on any other crate of the host, do I/O, start
//! tasks, or read the clock on its own beyond [`Deadline`].
//!
//! Start with [`Invocation`], then [`Failure`], then [`ports`].

mod access;
mod body;
mod deadline;
pub mod egress;
mod failure;
mod hex;
pub mod hop_by_hop;
mod invocation;
mod key_value;
pub mod limits;
pub mod metadata;
pub mod ports;
pub mod problem;
mod schema;
pub mod service;
pub mod socket;
pub mod suggest;
mod trace;
mod type_text;
pub mod units;
pub mod upgrade;
mod value;

pub use access::{AccessLog, AccessRecord};
pub use body::{Body, StreamBody};
pub use deadline::Deadline;
pub use egress::{
    Egress, EgressCode, EgressError, EgressGrants, EgressLimits, EgressOptions, OriginGrant, Outbound,
    PeerGrants, Peers,
};
pub use failure::{Failure, Kind, Origin, Retry};
pub use invocation::{Caller, Invocation, RequestId, TRACEPARENT, X_REQUEST_ID};
pub use key_value::{Change, KEY_BYTES_MAX, KeyPage, KeyValue, KeyValueError, Swap};
pub use limits::{Exceeded, LimitAction, LimitGuard, LimitKey, LimitSet};
pub use metadata::Metadata;
pub use ports::{BoxFuture, Control, HttpService, Memory, MemoryUse, Refused, Reservation};
pub use schema::{
    Case, Docs, Field, Flow, Function, FunctionId, Interface, Output, Package, Schema, Type, TypeDef, TypeId,
    TypeKind,
};
pub use service::{Call, Door, Reply, Service, ValueStream};
pub use socket::{MessageStream, SocketMessage, SocketService};
pub use trace::TraceContext;
pub use type_text::TypeText;
pub use upgrade::{Upgrade, UpgradeOffer};
pub use value::Value;
