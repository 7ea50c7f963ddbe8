//! Typed calls: the functions of a component's own interfaces, through the port [`wharf_call::Service`].
//!
//! A call has the same life as an HTTP request: admission, lease, meter, deadline, and poison until it has ended well.
//! It differs in what goes in and comes out. `call.rs` is that life; `guest.rs` what happens within the instance's event
//! loop; `exports.rs` where the functions are in a component.
//!
//! Streams: `outgoing.rs` is what a guest streams, on its way to whoever reads it; `incoming.rs` what a caller streams, on
//! its way to the guest; `scalars.rs` the `stream<T>`s of both. Items of a resource are made as they are asked for: no
//! function of the guest runs between two of them, so a reader that goes away costs the instance nothing. A
//! `stream<T>` is written by a task of the guest, which ends with its instance when nobody reads on.
//!
//! Limits: what goes out is held to those of a response body (`stream_idle`, `stream_total`, `stream_cpu`, `response_body`), what
//! comes in to `request_body`, and each value of it to `argument_bytes`. The answer to a caller that streams, and is not
//! answered with a stream, is due within `limits.wall` from its admission, as the answer to an upload is.
//!
//! Each call has an instance to itself, whatever `pool.concurrency` says.

mod call;
mod exports;
mod guest;
mod incoming;
mod outgoing;
mod scalars;

use std::sync::Arc;

use wharf_call::{BoxFuture, Call, Failure, Invocation, Reply, Schema, Service};

pub(crate) use self::call::pay_for;
pub(crate) use self::exports::ServiceExports;
pub(crate) use self::guest::{Begun, Returned};
use crate::generation::Generation;

/// The functions of one generation, for the doors.
pub(crate) struct ServiceHandle {
    generation: Arc<Generation>,
    exports: Arc<ServiceExports>,
}

impl ServiceHandle {
    /// Nothing, where the component has no interface of its own.
    pub(crate) fn of(generation: &Arc<Generation>) -> Option<Arc<dyn Service>> {
        let exports = generation.service()?.clone();
        Some(Arc::new(ServiceHandle { generation: generation.clone(), exports }))
    }
}

impl Service for ServiceHandle {
    fn plugin(&self) -> &str {
        &self.generation.plugin.name
    }

    fn generation(&self) -> u64 {
        self.generation.number
    }

    fn schema(&self) -> &Arc<Schema> {
        self.exports.schema()
    }

    fn invoke<'a>(&'a self, call: Call, invocation: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        self.generation.metrics.calls.increment(1);
        Box::pin(call::invoke(self.generation.clone(), self.exports.clone(), call, invocation))
    }
}
