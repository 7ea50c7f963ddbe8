//! A typed call within the event loop of its instance.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use wasmtime::component::{Accessor, Func, Instance, ResourceAny, Val};
use wasmtime::{AsContextMut, Store, format_err};
use wharf_call::{Failure, Function, FunctionId, Output, Reservation, Type, Value};

use super::call::pay_for;
use super::exports::Found;
use super::incoming::Incoming;
use super::outgoing::{Reader, Writer};
use super::{ServiceExports, scalars};
use crate::answer::Answer;
use crate::imports::call::TypedCall;
use crate::item_pipe::{Asked, pipe};
use crate::schema::{Method, OutputPlan, ResourcePlan};
use crate::state::State;
use crate::worlds::settled;

/// A call that the guest has not been entered for yet.
pub(crate) struct Begun {
    pub(super) exports: Arc<ServiceExports>,
    pub(super) id: FunctionId,
    pub(super) arguments: Vec<Val>,
    /// The memory that is taken for them.
    pub(super) _held: Option<Reservation>,
    pub(super) input: Option<Incoming>,
}

/// What a function returned.
pub(crate) enum Returned {
    /// A value, and the memory that is taken for it.
    Value(Option<Value>, Option<Reservation>),
    Stream(Reader),
}

/// What a function of the guest returned, with the `result` taken apart.
type Ended = Result<Option<Val>, Option<Val>>;

impl Begun {
    /// Runs the call to its very end. An error is a trap, or a [`Failure`] that ends the instance: the store must not
    /// be used again.
    pub(crate) async fn run(
        self,
        store: &mut Store<State>,
        instance: &Instance,
        answer: &Answer<Returned>,
    ) -> wasmtime::Result<()> {
        let Begun { exports, id, arguments, _held, input } = self;
        let found = exports.load(id, store.as_context_mut(), instance)?;
        let guest = Guest { exports: &exports, found, answer };
        let _hold = input.as_ref().map(Incoming::hold);
        let resource = store
            .run_concurrent(async |accessor| {
                let resource = guest.call(accessor, id, arguments, input).await;
                if resource.is_ok() {
                    settled(accessor, answer).await;
                }
                resource
            })
            .await??;
        match resource {
            Some(resource) => resource.resource_drop_async(store).await,
            None => Ok(()),
        }
    }
}

struct Guest<'a> {
    exports: &'a ServiceExports,
    found: Found<Func>,
    answer: &'a Answer<Returned>,
}

impl Guest<'_> {
    /// Calls the function and, where it returned a resource, the functions of that, which is given back to be dropped.
    async fn call(
        &self,
        accessor: &Accessor<State>,
        id: FunctionId,
        mut arguments: Vec<Val>,
        mut input: Option<Incoming>,
    ) -> wasmtime::Result<Option<ResourceAny>> {
        let (function, plan) = self.exports.function(id).ok_or_else(|| format_err!("no such function"))?;
        if let (Some((at, scalar)), Some(input)) = (plan.input, input.take_if(|_| plan.input.is_some())) {
            let stream =
                accessor.with(|mut access| scalars::lower(access.as_context_mut(), scalar, input))?;
            arguments.insert(at.min(arguments.len()), Val::Stream(stream));
        }
        let ended = enter(accessor, self.found.call, &plan.call, &arguments).await?;
        // A resource that the caller streams into, and nothing else, has the answer when it is finished.
        let uploads = matches!(&plan.output, OutputPlan::Resource(resource) if resource.next.is_none());
        if ended.is_err() || !uploads {
            has_returned(accessor);
        }
        let returned = match ended {
            Ok(returned) => returned,
            Err(error) => {
                self.answer.fail(self.failure(function, error)?);
                return Ok(None);
            }
        };
        drop(arguments);
        match (&plan.output, &function.output, returned) {
            (OutputPlan::Nothing, ..) => self.answer.whole(Returned::Value(None, None)),
            (OutputPlan::Value, Output::Value(ty), Some(val)) => self.give(accessor, ty, val)?,
            (OutputPlan::Stream(scalar), _, Some(Val::Stream(stream))) => {
                let (writer, reader) = pipe(self.answer);
                accessor
                    .with(|mut access| scalars::lift(access.as_context_mut(), *scalar, stream, writer))?;
                self.answer.streamed(Returned::Stream(reader));
            }
            (OutputPlan::Resource(plan), output, Some(Val::Resource(resource))) => {
                self.resource(accessor, function, plan, output, resource, input).await?;
                return Ok(Some(resource));
            }
            _ => return Err(mistake()),
        }
        Ok(None)
    }

    /// Gives the value that the call comes to.
    fn give(&self, accessor: &Accessor<State>, ty: &Type, val: Val) -> wasmtime::Result<()> {
        match self.lift(accessor, ty, val)? {
            Ok((value, held)) => self.answer.whole(Returned::Value(Some(value), held)),
            Err(failure) => self.answer.fail(failure),
        }
        Ok(())
    }

    /// A value, and the memory that is taken for it; a failure where there is none.
    fn lift(
        &self,
        accessor: &Accessor<State>,
        ty: &Type,
        val: Val,
    ) -> wasmtime::Result<Result<(Value, Option<Reservation>), Failure>> {
        let value = self.exports.types.lift(ty, val).ok_or_else(mistake)?;
        let held = accessor.with(|mut access| pay_for(value.footprint(), &access.get().enforcer));
        Ok(held.map(|held| (value, held)))
    }

    /// What the caller is told of an error that the contract declares.
    fn failure(&self, function: &Function, error: Option<Val>) -> wasmtime::Result<Failure> {
        let types = &self.exports.types;
        let error = match (&function.error, error) {
            (Some(ty), Some(val)) => Some(types.lift(ty, val).ok_or_else(mistake)?),
            _ => None,
        };
        Ok(types.schema.failure(function.error.as_ref(), error))
    }

    async fn resource(
        &self,
        accessor: &Accessor<State>,
        function: &Function,
        plan: &ResourcePlan,
        output: &Output,
        resource: ResourceAny,
        input: Option<Incoming>,
    ) -> wasmtime::Result<()> {
        let (Output::Stream(item), Some(next)) = (output, &plan.next) else {
            // Its caller streams.
            let Some(input) = input else { return Err(mistake()) };
            let pushed = self.push_all(accessor, function, plan, resource, input, None).await?;
            has_returned(accessor);
            match (pushed, output) {
                (Ok(None), _) => self.answer.whole(Returned::Value(None, None)),
                (Ok(Some(val)), Output::Value(ty)) => self.give(accessor, ty, val)?,
                (Ok(Some(_)), _) => return Err(mistake()),
                (Err(failure), _) => self.answer.fail(failure),
            }
            return Ok(());
        };
        let (writer, reader) = pipe(self.answer);
        self.answer.streamed(Returned::Stream(reader));
        let pull = self.pull_all(accessor, function, next, item, resource, &writer);
        let Some(input) = input else { return pull.await };
        let push = self.push_all(accessor, function, plan, resource, input, Some(&writer));
        // Neither waits for the other. What the guest still does when the stream has ended is waited for by `settled`.
        match select(pin!(pull), pin!(push)).await {
            Either::Left((pulled, _)) => pulled,
            Either::Right((Ok(Ok(_)), pull)) => pull.await,
            Either::Right((Ok(Err(failure)), _)) => {
                writer.finish(Err(failure));
                Ok(())
            }
            Either::Right((Err(trapped), _)) => Err(trapped),
        }
    }

    /// Asks the guest for an item whenever the reader asks for one.
    async fn pull_all(
        &self,
        accessor: &Accessor<State>,
        function: &Function,
        next: &Method,
        item: &Type,
        resource: ResourceAny,
        writer: &Writer,
    ) -> wasmtime::Result<()> {
        let func = self.found.next.ok_or_else(mistake)?;
        let arguments = [Val::Resource(resource)];
        while writer.asked().await == Asked::Item {
            let busy = writer.busy();
            let ended = enter(accessor, func, next, &arguments).await?;
            drop(busy);
            match ended {
                Ok(Some(Val::Option(Some(val)))) => match self.lift(accessor, item, *val)? {
                    Ok((value, held)) => writer.put(value, held),
                    Err(failure) => {
                        writer.finish(Err(failure));
                        return Ok(());
                    }
                },
                Ok(Some(Val::Option(None))) => {
                    writer.finish(Ok(()));
                    return Ok(());
                }
                Ok(_) => return Err(mistake()),
                Err(error) => {
                    writer.finish(Err(self.failure(function, error)?));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Hands the caller's items to the guest, one after the other, and says when there are no more.
    async fn push_all(
        &self,
        accessor: &Accessor<State>,
        function: &Function,
        plan: &ResourcePlan,
        resource: ResourceAny,
        mut input: Incoming,
        writer: Option<&Writer>,
    ) -> wasmtime::Result<Result<Option<Val>, Failure>> {
        let (Some(push), Some(finish), Some(methods)) = (self.found.push, self.found.finish, &plan.push)
        else {
            return Err(mistake());
        };
        while let Some(item) = input.next().await {
            let item = match item {
                Ok(item) => item,
                Err(failure) => return Ok(Err(failure)),
            };
            let _busy = writer.map(Writer::busy);
            if let Err(error) = enter(accessor, push, &methods.push, &[Val::Resource(resource), item]).await?
            {
                return Ok(Err(self.failure(function, error)?));
            }
        }
        let _busy = writer.map(Writer::busy);
        match enter(accessor, finish, &methods.finish, &[Val::Resource(resource)]).await? {
            Ok(returned) => Ok(Ok(returned)),
            Err(error) => Ok(Err(self.failure(function, error)?)),
        }
    }
}

/// The function that was called has returned.
fn has_returned(accessor: &Accessor<State>) {
    accessor.with(|mut access| access.get().call.iter_mut().for_each(TypedCall::returned));
}

/// Calls one function of the guest.
async fn enter(
    accessor: &Accessor<State>,
    func: Func,
    method: &Method,
    arguments: &[Val],
) -> wasmtime::Result<Ended> {
    let mut results = [Val::Bool(false)];
    let slots = &mut results[..usize::from(method.returns)];
    let call =
        accessor.with(|mut access| func.start_call_concurrent(access.as_context_mut(), arguments, slots))?;
    func.finish_call_concurrent(accessor, call).await?;
    let [returned] = results;
    Ok(match returned {
        Val::Result(ended) if method.fallible => match ended {
            Ok(ok) => Ok(ok.map(|val| *val)),
            Err(error) => Err(error.map(|val| *val)),
        },
        returned => Ok(method.returns.then_some(returned)),
    })
}

/// What the component returned is not what was read of its types.
fn mistake() -> wasmtime::Error {
    format_err!("what the function returned is not of the type that was read from the component")
}
