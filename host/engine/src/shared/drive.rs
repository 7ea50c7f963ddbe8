//! The instance's side: one task drives it, and with it every call that works in it.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Request;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use wasmtime::AsContextMut;
use wasmtime::component::Accessor;
use wharf_call::{Failure, Invocation, LimitKey};

use super::call::Lost;
use super::ledger::Ledger;
use super::seats::{Alive, Gate, Seat};
use crate::answer::Answer;
use crate::enforcer::CallCount;
use crate::epoch::Meter;
use crate::generation::Generation;
use crate::instance::{Hook, Instance};
use crate::pool::Placed;
use crate::request_body::{BodyHold, RequestBody};
use crate::restarts::Crash;
use crate::state::State;
use crate::worlds::World;

/// How often an instance is looked at for calls that nobody wants any more.
const LOOK: Duration = Duration::from_millis(500);

/// One call, on its way to an instance.
pub(super) struct Job {
    pub(super) request: Request<RequestBody>,
    /// Dropped with the last of the call.
    pub(super) body: BodyHold,
    pub(super) invocation: Invocation,
    pub(super) answer: Answer,
    pub(super) meter: Arc<Meter>,
    pub(super) lost: oneshot::Sender<Lost>,
    pub(super) work: Work,
}

/// A seat while a call sits in it. Dropping it, when nothing of the call is left, gives it back.
pub(super) struct Work {
    pub(super) seat: Option<Placed<Seat>>,
    pub(super) generation: Arc<Generation>,
    _counted: Option<CallCount>,
}

impl Work {
    pub(super) fn begin(
        seat: Placed<Seat>,
        generation: &Arc<Generation>,
        counted: Option<CallCount>,
    ) -> Self {
        generation.pool.begin();
        Work { seat: Some(seat), generation: generation.clone(), _counted: counted }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.generation.pool.end();
        if let (Some(seat), Some(seats)) = (self.seat.take(), &self.generation.seats) {
            seats.keep(seat);
        }
    }
}

/// Drives an instance until its last seat is gone, or a call ends it.
pub(super) async fn drive(
    generation: Weak<Generation>,
    mut instance: Box<Instance>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    gate: Arc<Gate>,
    _alive: Alive,
) {
    let ledger = instance.ledger();
    let enforcer = instance.enforcer().clone();
    let wall = enforcer.plugin.limits.wall;
    let ended = tokio::select! {
        ended = instance.serve(&mut jobs, &ledger) => ended,
        () = overdue(&ledger, wall) => Err(enforcer.refuse(LimitKey::Wall, enforcer.value(LimitKey::Wall)).into_failure()),
    };
    gate.close();
    match ended {
        Ok(()) => {
            if let Err(error) = instance.hook(Hook::Stop).await {
                tracing::warn!(plugin = instance.plugin(), "lifecycle.stop: {}", error.describe());
            }
        }
        Err(failure) => {
            // Before the store is dropped: who reads a body must know that it was cut.
            ledger.close(&failure);
            if let Some(generation) = generation.upgrade() {
                generation.metrics.ended(failure.kind());
                generation.metrics.poisoned.increment(1);
                if failure.is_crash() {
                    generation.crashed(Crash::Call);
                }
            }
        }
    }
}

/// Resolves when a call has gone on for longer than `grace` after everybody had lost interest in it.
async fn overdue(ledger: &Ledger, grace: Duration) {
    while !ledger.overdue(Instant::now(), grace) {
        sleep(LOOK.min(grace)).await;
    }
}

/// Serves what comes, within the event loop of the instance. An error is a trap.
pub(crate) async fn serve(
    accessor: &Accessor<State>,
    world: &World,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
    ledger: &Ledger,
) -> wasmtime::Result<()> {
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => calls.push(one(accessor, world, ledger, job)),
                // The last seat is gone, and a call has one for as long as it works.
                None => return Ok(()),
            },
            Some(ended) = calls.next() => ended?,
        }
    }
}

async fn one(accessor: &Accessor<State>, world: &World, ledger: &Ledger, job: Job) -> wasmtime::Result<()> {
    let Job { request, body: _body, invocation, answer, meter, lost, work } = job;
    if answer.has_ended() {
        // It was given up on its way.
        return Ok(());
    }
    let begun =
        accessor.with(|mut access| world.begin(access.as_context_mut(), request, invocation, &answer))?;
    let task = begun.task();
    ledger.begin(task, meter, answer.clone(), lost);
    world.answer(accessor, begun, &answer).await?;
    answer.ended().await;
    ledger.end(task);
    if work.generation.restarts.served() {
        work.generation.report_recovery();
    }
    Ok(())
}

/// Tells the ledger of each poll of an instance.
pub(crate) struct Watched<'a, F> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) run: F,
}

impl<F: Future + Unpin> Future for Watched<'_, F> {
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.ledger.enter();
        let polled = pin!(&mut self.run).poll(cx);
        self.ledger.leave();
        polled
    }
}

impl Instance {
    /// Serves calls until no more can come. An error means that the instance must not be used again.
    async fn serve(
        &mut self,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
        ledger: &Arc<Ledger>,
    ) -> Result<(), Failure> {
        let (store, world) = self.parts();
        store.data_mut().ledger = Some(ledger.clone());
        store.set_epoch_deadline(1);
        let ran = {
            let run = store.run_concurrent(async |accessor| serve(accessor, world, jobs, ledger).await);
            Watched { ledger, run: pin!(run) }.await
        };
        let trapped = match ran.and_then(|ran| ran) {
            Ok(()) => {
                store.data_mut().ledger = None;
                return Ok(());
            }
            Err(trapped) => trapped,
        };
        let stack = store.as_context_mut().async_call_stack().map(|stack| stack.collect::<Vec<_>>());
        ledger.blame(&stack.unwrap_or_default());
        Err(self.trapped(trapped))
    }
}
