//! A plugin that is a closure, and the host around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wharf_call::ports::Account;
use wharf_call::{
    BoxFuture, Call, Deadline, Failure, Invocation, Memory, MemoryUse, Metadata, Reply, RequestId,
    Reservation, Schema, Service, TraceContext,
};

type Answer = dyn Fn(Call) -> BoxFuture<'static, Result<Reply, Failure>> + Send + Sync;

struct Fake {
    plugin: String,
    schema: Arc<Schema>,
    answer: Box<Answer>,
}

/// The plugin `plugin` with the functions of `schema`, all of which are `answer`.
pub fn fake<F>(
    plugin: &str,
    schema: Arc<Schema>,
    answer: impl Fn(Call) -> F + Send + Sync + 'static,
) -> Arc<dyn Service>
where
    F: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    let answer: Box<Answer> = Box::new(move |call| Box::pin(answer(call)));
    Arc::new(Fake { plugin: plugin.to_owned(), schema, answer })
}

impl Service for Fake {
    fn plugin(&self) -> &str {
        &self.plugin
    }

    fn generation(&self) -> u64 {
        1
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn invoke<'a>(&'a self, call: Call, _: Invocation) -> BoxFuture<'a, Result<Reply, Failure>> {
        (self.answer)(call)
    }
}

/// What the gateway would say of a request with the id `test`, on a route with these parameters.
pub fn invocation(params: &[(&str, &str)]) -> Invocation {
    Invocation {
        request_id: RequestId::accept(b"test").unwrap_or_else(|| RequestId::from_bits(0)),
        trace: TraceContext { trace_id: 1, span_id: 1, flags: 0 },
        route: "/".into(),
        params: params.iter().map(|(name, text)| ((*name).into(), (*text).to_owned())).collect(),
        caller: None,
        peer: "192.0.2.1".into(),
        idempotent: false,
        deadline: Deadline::NONE,
        metadata: Metadata::default(),
    }
}

/// An account that has room for everything.
pub struct Unbounded;

impl Memory for Unbounded {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(Arc::new(Unbounded), bytes)
    }
}

impl Account for Unbounded {
    fn take(&self, _: u64) -> bool {
        true
    }

    fn give_back(&self, _: u64) {}
}

/// Memory of so many bytes.
pub struct Room(Arc<Left>);

impl Room {
    /// Room for `bytes`.
    pub fn of(bytes: u64) -> Arc<Self> {
        Arc::new(Room(Arc::new(Left(AtomicU64::new(bytes)))))
    }

    /// How many bytes nobody has.
    pub fn left(&self) -> u64 {
        self.0.0.load(Relaxed)
    }
}

impl Memory for Room {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(self.0.clone(), bytes)
    }
}

struct Left(AtomicU64);

impl Account for Left {
    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
    }
}
