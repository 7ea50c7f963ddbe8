//! One instantiated component with its own store.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use wasmtime::component::{self, InstancePre};
use wasmtime::{AsContextMut, Store, WasmCoreDump};
use wharf_bindings::lifecycle_0_1::wharf::plugin::types::Failure as HookFailure;
use wharf_call::{Body, Deadline, Exceeded, Failure, Invocation, Kind, LimitKey};

use crate::answer::Answer;
use crate::capabilities::Capabilities;
use crate::cores::Mourned;
use crate::enforcer::Enforcer;
use crate::epoch::Meter;
use crate::imports::call::TypedCall;
use crate::profile::Profiling;
use crate::request_body::{BodyHold, RequestBody};
use crate::service;
use crate::shared::Ledger;
use crate::socket;
use crate::state::State;
use crate::time_limit::Due;
use crate::trap::Cause;
use crate::worlds::{self, Begun, Exports, Loaded, World};

/// From so many bytes of memory on, an instance is large. A guest of the standard library begins with a quarter of it.
const LARGE_BYTES: u64 = 4 << 20;

pub(crate) struct Instance {
    store: Mourned,
    exports: Loaded,
    component: component::Instance,
    /// Calls that were begun.
    calls: u32,
    /// The request body of the call that goes on.
    body: BodyHold,
}

/// The hooks of `wharf:plugin/lifecycle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Start,
    Health,
    Stop,
}

/// How a hook can fail.
pub(crate) enum HookError {
    /// It returned a failure: the guest is alive.
    Failed(HookFailure),
    /// It trapped or exceeded a limit: the instance must be dropped.
    Ended(Failure),
}

impl HookError {
    /// Everything there is to say, for logs and for the operator.
    pub(crate) fn describe(&self) -> String {
        match self {
            HookError::Failed(failure) => match &failure.details {
                Some(details) => format!("{}: {} ({details})", failure.kind, failure.message),
                None => format!("{}: {}", failure.kind, failure.message),
            },
            HookError::Ended(failure) => failure.to_string(),
        }
    }
}

impl Instance {
    pub(crate) async fn new(
        pre: &InstancePre<State>,
        exports: &Exports,
        enforcer: &Arc<Enforcer>,
        granted: &Capabilities,
    ) -> Result<Self, Failure> {
        let state = State::new(enforcer, granted)?;
        let mut store = Store::new(pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(enforcer.allowed_usize(LimitKey::HostcallBytes));
        store.set_max_component_handles(enforcer.allowed_usize(LimitKey::Resources));
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(enforcer.allowed_usize(LimitKey::Streams));
        }
        store.epoch_deadline_callback(|mut store| {
            store.data().enforcer.activity.note();
            let meter = match store.data().ledger.clone() {
                None => {
                    let meter = store.data().meter.clone();
                    meter.tick()?;
                    meter
                }
                Some(ledger) => {
                    let stack: Vec<_> = store.async_call_stack()?.collect();
                    ledger.tick(&stack)?;
                    ledger.watch().clone()
                }
            };
            if store.data().enforcer.berth.profiling.is_on() {
                Profiling::sample(&store);
            }
            if !meter.has_had_its_stint() {
                return Ok(wasmtime::UpdateDeadline::Continue(1));
            }
            // Not wasmtime's own yield: that lands in tokio's LIFO slot, where a spinning guest would find itself again
            // and again.
            Ok(wasmtime::UpdateDeadline::YieldCustom(1, Box::pin(async move { meter.make_way().await })))
        });
        let meter = store.data().meter.clone();
        meter.begin();
        store.set_epoch_deadline(1);
        let instantiated = {
            let instantiate = async {
                let instance = pre.instantiate_async(&mut store).await?;
                exports.load(&mut store, &instance).map(|loaded| (loaded, instance))
            };
            within(enforcer, Metered { meter, call: pin!(instantiate) }).await
        };
        match instantiated.and_then(|loaded| loaded.map_err(Ended::Trapped)) {
            Ok((exports, component)) => {
                let (store, body) = (Mourned::new(store), BodyHold::default());
                Ok(Instance { store, exports, component, calls: 0, body })
            }
            Err(ended) => {
                let failure = ended.into_failure(&mut store);
                drop(Mourned::new(store));
                Err(failure)
            }
        }
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether the component has `lifecycle`.
    pub(crate) fn has_hooks(&self) -> bool {
        self.exports.lifecycle.is_some()
    }

    /// Whether it may take a while to give back the pages of its memory.
    pub(crate) fn is_large(&self) -> bool {
        self.store.data().limiter.bytes() >= LARGE_BYTES
    }

    /// The name of its plugin.
    pub(crate) fn plugin(&self) -> &str {
        &self.store.data().enforcer.plugin.name
    }

    /// What decides over the limits of its plugin.
    pub(crate) fn enforcer(&self) -> &Arc<Enforcer> {
        &self.store.data().enforcer
    }

    /// A ledger for it, where several calls are to work in it.
    pub(crate) fn ledger(&self) -> Arc<Ledger> {
        let state = self.store.data();
        Arc::new(Ledger::new(state.enforcer.clone(), state.effects.clone()))
    }

    /// What is needed to drive it from elsewhere.
    pub(crate) fn parts(&mut self) -> (&mut Store<State>, &World) {
        (&mut self.store, &self.exports.world)
    }

    /// What a trap of it means. It must not be used again.
    pub(crate) fn trapped(&mut self, error: wasmtime::Error) -> Failure {
        Ended::Trapped(error).into_failure(&mut self.store)
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.store.data().meter
    }

    /// Begins one call: the request is lowered, the guest is not entered yet.
    ///
    /// # Errors
    /// What the client is to be told. The instance must not be used again.
    pub(crate) fn begin(
        &mut self,
        request: Request<Body>,
        invocation: Invocation,
        answer: &Answer,
    ) -> Result<Begun, Failure> {
        self.enter(&invocation, answer);
        let Instance { store, exports, body: held, .. } = self;
        let (parts, body) = request.into_parts();
        let (body, hold) = RequestBody::new(body, &store.data().meter);
        *held = hold;
        exports
            .world
            .begin(store.as_context_mut(), Request::from_parts(parts, body), invocation, answer)
            .map_err(|error| Ended::Trapped(error).into_failure(store))
    }

    /// From now on it works on this typed call.
    pub(crate) fn enter_typed<T: Send + 'static>(&mut self, invocation: Invocation, answer: &Answer<T>) {
        self.enter(&invocation, answer);
        self.store.data_mut().call = Some(TypedCall::new(invocation));
    }

    /// From now on it works on this call.
    pub(crate) fn enter<T: Send + 'static>(&mut self, invocation: &Invocation, answer: &Answer<T>) {
        self.calls += 1;
        let state = self.store.data_mut();
        state.log.set_request(Some(invocation.request_id.clone()));
        state.egress.begin(invocation, answer);
    }

    /// Runs a typed call to its very end, giving the answer as soon as there is one.
    ///
    /// An error means that the instance must not be used again; so does dropping the future.
    pub(crate) async fn call(
        &mut self,
        begun: service::Begun,
        answer: &Answer<service::Returned>,
    ) -> Result<(), Failure> {
        let Instance { store, component, .. } = self;
        let meter = store.data().meter.clone();
        meter.begin();
        store.set_epoch_deadline(1);
        let ran = {
            let run = begun.run(store, component, answer);
            Metered { meter, call: pin!(run) }.await
        };
        self.leave(ran)
    }

    /// Opens a socket and runs it to its very end, giving the answer as soon as there is one.
    ///
    /// An error means that the instance must not be used again; so does dropping the future.
    pub(crate) async fn open(
        &mut self,
        asked: socket::Asked,
        answer: &Answer<socket::Opened>,
    ) -> Result<(), Failure> {
        let Instance { store, exports, .. } = self;
        let World::Socket(open) = &exports.world else {
            return Err(Failure::new(Kind::NotImplemented, "the plugin opens no sockets"));
        };
        let meter = store.data().meter.clone();
        meter.begin();
        store.set_epoch_deadline(1);
        let ran = {
            let run = worlds::socket::run(open, store, asked, answer);
            Metered { meter, call: pin!(run) }.await
        };
        self.leave(ran)
    }

    /// Runs a call that was begun to its very end, giving the answer as soon as there is one.
    ///
    /// An error means that the instance must not be used again; so does dropping the future.
    pub(crate) async fn finish(&mut self, begun: Begun, answer: &Answer) -> Result<(), Failure> {
        let Instance { store, exports, .. } = self;
        let meter = store.data().meter.clone();
        meter.begin();
        store.set_epoch_deadline(1);
        let ran = {
            let run = exports.world.finish(store, begun, answer);
            Metered { meter, call: pin!(run) }.await
        };
        self.leave(ran)
    }

    /// The call has ended: well, or the instance must not be used again.
    fn leave(&mut self, ran: Result<wasmtime::Result<()>, Exceeded>) -> Result<(), Failure> {
        let Instance { store, body, .. } = self;
        match ran.map_err(Ended::Exceeded).and_then(|ran| ran.map_err(Ended::Trapped)) {
            Ok(()) => {
                *body = BodyHold::default();
                let state = store.data_mut();
                state.watch_handles();
                state.log.set_request(None);
                state.egress.end();
                state.call = None;
                Ok(())
            }
            Err(ended) => Err(ended.into_failure(store)),
        }
    }

    /// Calls a hook; a component without `lifecycle` has none, and that is fine.
    pub(crate) async fn hook(&mut self, hook: Hook) -> Result<(), HookError> {
        let Some(lifecycle) = &self.exports.lifecycle else { return Ok(()) };
        let guest = lifecycle.wharf_plugin_lifecycle();
        let store = &mut self.store;
        let enforcer = store.data().enforcer.clone();
        let meter = store.data().meter.clone();
        meter.begin();
        store.set_epoch_deadline(1);
        let ran = {
            let run = store.run_concurrent(async |accessor| match hook {
                Hook::Start => guest.call_start(accessor).await,
                Hook::Health => guest.call_health(accessor).await,
                Hook::Stop => guest.call_stop(accessor).await.map(Ok),
            });
            within(&enforcer, Metered { meter, call: pin!(run) }).await
        };
        match ran.and_then(|ran| ran.and_then(|ran| ran).map_err(Ended::Trapped)) {
            Ok(returned) => returned.map_err(HookError::Failed),
            Err(ended) => Err(HookError::Ended(ended.into_failure(store))),
        }
    }
}

/// Why a guest was ended.
enum Ended {
    /// It used up what it may compute.
    Exceeded(Exceeded),
    /// It took too long.
    Late(Failure),
    Trapped(wasmtime::Error),
}

impl Ended {
    /// Finds out what a trap was about: a guest whose memory was refused usually traps of itself. The
    /// backtrace, with the guest's own function names, goes to the log here and nowhere else.
    fn into_failure(self, store: &mut Store<State>) -> Failure {
        let state = store.data_mut();
        let error = match self {
            Ended::Exceeded(exceeded) => return exceeded.into_failure(),
            Ended::Late(failure) => return failure,
            Ended::Trapped(error) => error,
        };
        // What a caller sent, or did not, has ended the call: the guest is not to blame.
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        let cause = error.root_cause().to_string();
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Failure::new(Kind::Overloaded, "the host has no room for another instance")
                .with_retry_after_s(1)
                .with_private(format!("[engine] instances, of all plugins together, are used up: {cause}"));
        }
        if let Some(backtrace) = error.downcast_ref::<wasmtime::WasmBacktrace>() {
            state.log.trap(&cause, &backtrace.to_string());
        }
        let found = Cause::of(&error, &cause);
        if state.enforcer.plugin.core_dumps > 0 {
            state.core_dump = error.downcast::<WasmCoreDump>().ok();
        }
        if !matches!(found, Cause::Exceeded(_))
            && let Some(denied) = state.limiter.take_denied()
        {
            return denied.into_failure();
        }
        found.into_failure(cause, state)
    }
}

/// Lets a call of our own take as long as one of a client.
async fn within<T>(enforcer: &Enforcer, call: impl Future<Output = Result<T, Exceeded>>) -> Result<T, Ended> {
    let due = Due::begin(Deadline::NONE, enforcer);
    due.keep(enforcer, call).await.map_err(Ended::Late)?.map_err(Ended::Exceeded)
}

/// Bills the time in which a guest's future is polled.
struct Metered<F> {
    meter: Arc<Meter>,
    call: F,
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = Result<F::Output, Exceeded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.meter.enter();
        let polled = Pin::new(&mut self.call).poll(cx);
        let billed = self.meter.leave();
        self.meter.rest();
        // A call that is done is done, even if it used up its budget with its last step.
        if polled.is_pending() {
            billed?;
        }
        Poll::Ready(Ok(ready!(polled)))
    }
}
