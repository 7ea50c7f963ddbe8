//! Instances that serve several calls at once: `pool.concurrency` above 1.
//!
//! For guests that mostly wait. An instance has as many seats as it serves calls at once. A call takes a seat from
//! a [`Pool`], as other calls take an instance, and sends its request to the task that drives the instance: a hop
//! between tasks, which the ordinary path does not have.
//!
//! What it costs in isolation:
//! - A trap, or a call over its CPU budget, ends the instance, and with it the calls beside it. Such a sibling is
//!   made once more, in another instance, where nobody can tell: see `call.rs`.
//! - A call past its wall deadline gets its error, and its instance no new calls. An abandoned call, and one that is
//!   past its deadline, may go on for `limits.wall`; then the instance is dropped.
//! - What a guest prints, and what it asks of others, cannot be told apart by call, so it carries no request id.
//!
//! `seats.rs` has the seats, `call.rs` the client's side of a call, `drive.rs` the instance's, and `ledger.rs` who in
//! an instance has computed how much.

mod call;
mod drive;
mod ledger;
mod seats;

pub(crate) use call::call;
pub(crate) use ledger::Ledger;
pub(crate) use seats::Seats;
