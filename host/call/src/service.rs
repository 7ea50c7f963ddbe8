//! A plugin's functions, seen from the doors: the port [`Service`].

use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;

use crate::{BoxFuture, Failure, FunctionId, Invocation, Schema, Value};

/// Values that come one after the other, and end well or with the [`Failure`] that cut them short. They are made as
/// they are asked for; dropping the stream tells its maker that nobody waits for more.
pub type ValueStream = Pin<Box<dyn Stream<Item = Result<Value, Failure>> + Send>>;

/// The functions that one generation of a plugin exports.
///
/// It is a generation's and not the plugin's, so that the schema a request was read with is that of the code which gets it:
/// a swap gives the doors new ones. The old ones go on for as long as anybody holds them, and so do their streams.
///
/// Implemented by the engine for each generation with interfaces of its own, by fakes in tests.
pub trait Service: Send + Sync + 'static {
    /// The plugin's name in the manifest. It is the `plugin` label of metrics.
    fn plugin(&self) -> &str;

    /// Counts up with each load of the plugin.
    fn generation(&self) -> u64;

    /// What can be called.
    fn schema(&self) -> &Arc<Schema>;

    /// Calls one function, through the plugin's pool and within its limits.
    ///
    /// The future resolves with the value, or when a stream has begun. What the function returned as the error of its
    /// `result<_, E>` is a failure of [`Schema::failure`]. Dropping the future, or the stream, abandons the call: it ends the
    /// instance that worked on it and nothing else.
    ///
    /// # Errors
    /// [`Kind::BadRequest`](crate::Kind::BadRequest) when the arguments are not those of the function; what else keeps a call
    /// from an answer.
    fn invoke<'a>(&'a self, call: Call, invocation: Invocation) -> BoxFuture<'a, Result<Reply, Failure>>;
}

/// One call of a function.
pub struct Call {
    /// Which one.
    pub function: FunctionId,
    /// A value for each of [`Function::params`](crate::Function::params), in their order.
    pub args: Vec<Value>,
    /// What the caller streams, for a function with [`Function::input`](crate::Function::input).
    pub input: Option<ValueStream>,
    /// The way it came in.
    pub door: Door,
}

/// What a call gave.
pub enum Reply {
    /// The value, if the function has one to give.
    Value(Option<Value>),
    /// Values that are still to come.
    Stream(ValueStream),
}

/// A way into the host. It is the `door` label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// JSON over HTTP, by function name or by a route of the manifest; and `wharf call`, which goes the same way.
    Rest,
    /// gRPC and gRPC-Web.
    Grpc,
    /// GraphQL.
    Graphql,
    /// JSON-RPC 2.0.
    JsonRpc,
}

impl Door {
    /// Every door.
    pub const ALL: [Door; 4] = [Door::Rest, Door::Grpc, Door::Graphql, Door::JsonRpc];

    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Door::Rest => "rest",
            Door::Grpc => "grpc",
            Door::Graphql => "graphql",
            Door::JsonRpc => "jsonrpc",
        }
    }
}
