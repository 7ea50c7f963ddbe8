//! The life of a typed call, outside of the guest.

use std::sync::Arc;

use wasmtime::component::Val;
use wharf_call::{
    Call, Exceeded, Failure, Function, Invocation, Kind, LimitKey, MemoryUse, Reply, Reservation,
};

use super::ServiceExports;
use super::guest::{Begun, Returned};
use super::incoming::Incoming;
use super::outgoing::ValueBody;
use crate::answer::Answer;
use crate::driven::{Driven, conclude};
use crate::enforcer::{CallCount, Enforcer};
use crate::generation::Generation;
use crate::lease::Lease;
use crate::memory::Denied;
use crate::time_limit::Due;

/// Values up to this are in what an instance is paid for.
pub(super) const UNPAID_BYTES_MAX: u64 = 64 << 10;

/// Calls one function with an instance of `generation`.
pub(super) async fn invoke(
    generation: Arc<Generation>,
    exports: Arc<ServiceExports>,
    call: Call,
    mut invocation: Invocation,
) -> Result<Reply, Failure> {
    let enforcer = &generation.enforcer;
    let id = call.function;
    let (function, _) = exports.function(id).ok_or_else(|| refused("there is no such function"))?;
    if let Some(sent) = invocation.metadata.sent() {
        enforcer.check_request_headers(sent).map_err(Exceeded::into_failure)?;
    }
    let (arguments, held) = lower(&exports, function, call.args, enforcer)?;
    let streamed = match (call.input, &function.input) {
        (Some(stream), Some(ty)) => Some((stream, ty.clone())),
        (None, None) => None,
        (Some(_), None) => return Err(refused("the function takes no stream")),
        (None, Some(_)) => return Err(refused("the function takes a stream, and there is none")),
    };
    let counted = enforcer.count_call().map_err(Exceeded::into_failure)?;
    let due = Due::begin(invocation.deadline, enforcer);
    invocation.deadline = due.deadline();

    let mut lease = Lease::take(&generation, &invocation).await?;
    let meter = lease.instance().meter().clone();
    let answer = Answer::new();
    lease.instance().enter_typed(invocation, &answer);
    let input = streamed.map(|(stream, ty)| Incoming::new(stream, ty, exports.clone(), meter.clone()));
    let begun = Begun { exports, id, arguments, _held: held, input };
    let running = run(lease, counted, begun, answer.clone());
    let mut driven = Driven::new(answer, running);
    match driven.answered(due, &generation).await? {
        Returned::Value(value, _held) => {
            if driven.is_running() {
                driven.go_on(generation);
            }
            Ok(Reply::Value(value))
        }
        Returned::Stream(reader) => {
            let mut body = ValueBody::new(reader, meter, driven.answer().clone());
            if driven.is_running() {
                body.body.begin_stream();
                body.body.driven_by(driven.go_on(generation));
            }
            Ok(Reply::Stream(Box::pin(body)))
        }
    }
}

/// Runs the guest's side of the call and ends the lease.
async fn run(mut lease: Lease, _counted: Option<CallCount>, begun: Begun, answer: Answer<Returned>) {
    let ended = lease.instance().call(begun, &answer).await;
    conclude(lease, ended, &answer);
}

/// Checks the arguments and makes them what wasmtime takes; with the memory that is taken for them.
fn lower(
    exports: &ServiceExports,
    function: &Function,
    args: Vec<wharf_call::Value>,
    enforcer: &Enforcer,
) -> Result<(Vec<Val>, Option<Reservation>), Failure> {
    if args.len() != function.params.len() {
        return Err(refused(format!(
            "{} takes {} arguments; there are {}",
            function.name,
            function.params.len(),
            args.len()
        )));
    }
    let types = &exports.types;
    let bytes = function
        .params
        .iter()
        .zip(&args)
        .fold(0_u64, |sum, (param, value)| sum.saturating_add(types.lowered_bytes(&param.ty, value)));
    enforcer.check(LimitKey::ArgumentBytes, bytes).map_err(Exceeded::into_failure)?;
    let held = pay_for(bytes, enforcer)?;
    // One more place, for a stream.
    let mut lowered = Vec::with_capacity(args.len() + 1);
    for (param, value) in function.params.iter().zip(args) {
        lowered.push(
            types.lower(&param.ty, value).ok_or_else(|| {
                refused(format!("{} is not a {}", param.name, types.schema.show(&param.ty)))
            })?,
        );
    }
    Ok((lowered, held))
}

/// Takes what large values need from the host's budget.
///
/// # Errors
/// It has no room.
pub(crate) fn pay_for(bytes: u64, enforcer: &Enforcer) -> Result<Option<Reservation>, Failure> {
    if bytes <= UNPAID_BYTES_MAX {
        return Ok(None);
    }
    let paid = enforcer.berth.ports.memory.reserve(MemoryUse::Values, bytes);
    paid.map(Some).ok_or_else(|| Denied::Budget.into_failure())
}

/// What the caller sent is not what the function takes.
pub(super) fn refused(what: impl Into<String>) -> Failure {
    Failure::new(Kind::BadRequest, what.into())
}
