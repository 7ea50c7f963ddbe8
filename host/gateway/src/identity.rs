//! Who this request is: its id and its place in a trace.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http::{HeaderMap, HeaderName};
use wharf_call::{RequestId, TRACEPARENT, TraceContext, X_REQUEST_ID};

use crate::exchange::Exchange;
use crate::fields::Fields;

static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Takes over the client's id and trace where they have the right form, and makes new ones otherwise. `fields` are
/// those of the head. They go out of it: who is called gets them checked, from the invocation.
///
/// Without a valid `traceparent` a `tracestate` means nothing and is taken out (W3C Trace Context, 3.2).
pub(crate) fn establish(headers: &mut HeaderMap, fields: Fields, exchange: &mut Exchange) {
    let id = if fields.have(Fields::REQUEST_ID) {
        headers.remove(&X_REQUEST_ID).and_then(|value| RequestId::accept(value.as_bytes()))
    } else {
        None
    };
    let parent = if fields.have(Fields::TRACEPARENT) { take_parent(headers) } else { None };
    if parent.is_none() && fields.have(Fields::TRACESTATE) {
        headers.remove(&TRACESTATE);
    }
    let id = id.unwrap_or_else(new_request_id);
    let trace = parent.map_or_else(new_trace, |parent| parent.child(random()));
    exchange.identified(id, trace);
}

/// Of two parents, neither is one.
fn take_parent(headers: &mut HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(&TRACEPARENT).iter();
    let parent = match (parents.next(), parents.next()) {
        (Some(value), None) => TraceContext::parse(value.as_bytes()),
        _ => None,
    };
    headers.remove(&TRACEPARENT);
    parent
}

pub(crate) fn new_request_id() -> RequestId {
    RequestId::from_bits(wide())
}

pub(crate) fn new_trace() -> TraceContext {
    TraceContext { trace_id: wide().max(1), span_id: random().max(1), flags: 0 }
}

fn wide() -> u128 {
    u128::from(random()) << 64 | u128::from(random())
}

/// 64 random bits that are unique enough for ids, in about a nanosecond. They are no secret: anyone who has
/// seen some can foretell the next.
///
/// A multiplicative generator with 128 bits of state (Lehmer's, with the multiplier of Steele and Vigna,
/// "Computationally easy, spectrally good multipliers"), one per thread, seeded from the system's randomness
/// by way of the standard library's hash keys.
fn random() -> u64 {
    thread_local!(static STATE: Cell<u128> = Cell::new({
        let part = || u128::from(RandomState::new().hash_one(0));
        (part() << 64 | part()) | 1
    }));
    STATE.with(|state| {
        let next = state.get().wrapping_mul(0x12e1_5e35_b500_f16e_2e71_4eb2_b379_16a5);
        state.set(next);
        (next >> 64) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn random_ids_do_not_repeat_within_or_across_threads() {
        let draw = || std::thread::spawn(|| (0..10_000).map(|_| wide()).collect::<Vec<_>>());
        let threads = [draw(), draw(), draw()];
        let all: HashSet<_> =
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(all.len(), 30_000);
    }
}
