//! What a trap was about: a limit, more often than not.

use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wharf_call::units::show_size;
use wharf_call::{Exceeded, Failure, Kind, LimitAction, LimitKey};

use crate::enforcer::Enforcer;
use crate::metrics;
use crate::state::State;

/// Why a guest trapped, as far as the error tells.
pub(crate) enum Cause {
    /// A limit that the host holds it to: counted and said already.
    Exceeded(Exceeded),
    /// A table of resources is full: ours, or the engine's own, which is of the same kind.
    Table,
    /// A limit that the engine holds it to.
    Engine(LimitKey),
    /// The stack of the call is full.
    Stack,
    /// Something of its own.
    Other,
}

impl Cause {
    /// `text` is the root cause of `error`. wasmtime has no types for some of these: the texts are its own, and
    /// `tests/all/limits.rs` notices when they change.
    pub(crate) fn of(error: &wasmtime::Error, text: &str) -> Self {
        if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
            Cause::Exceeded(exceeded.clone())
        } else if matches!(error.root_cause().downcast_ref(), Some(ResourceTableError::Full)) {
            Cause::Table
        } else if text.contains("fuel allocated for hostcalls has been exhausted") {
            Cause::Engine(LimitKey::HostcallBytes)
        } else if text.contains("store handle limit exceeded") {
            Cause::Engine(LimitKey::Resources)
        } else if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
            Cause::Stack
        } else {
            Cause::Other
        }
    }

    /// The failure of the call; what the engine refused is counted and said here. `text` is all that is known of
    /// anything else.
    pub(crate) fn into_failure(self, text: String, state: &mut State) -> Failure {
        let key = match self {
            Cause::Exceeded(exceeded) => return exceeded.into_failure(),
            Cause::Table if state.handles_are_full() => LimitKey::Handles,
            Cause::Table => LimitKey::Streams,
            Cause::Engine(key) => key,
            Cause::Stack => return trapped(stack_overflow(&state.enforcer)),
            Cause::Other => return trapped(text),
        };
        let value = state.enforcer.value(key);
        state.enforcer.refuse(key, value.saturating_add(1)).into_failure()
    }
}

fn trapped(private: String) -> Failure {
    Failure::new(Kind::GuestTrapped, Kind::GuestTrapped.title()).with_private(private)
}

/// Counts a guest that has filled its stack, and says what to write.
fn stack_overflow(enforcer: &Enforcer) -> String {
    let stack = enforcer.stack_bytes;
    metrics::limit_exceeded(&enforcer.plugin.name, "stack", LimitAction::Refused);
    format!(
        "the stack of the call is full: [engine] stack is {}. To allow more, write in wharf.toml, and restart:\n  \
         [engine]\n  stack = {:?}",
        show_size(stack),
        show_size(stack.saturating_mul(2))
    )
}
