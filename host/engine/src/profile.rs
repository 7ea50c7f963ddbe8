//! What a plugin computes, recorded for a while: a sample of its stack at each tick that finds it running.
//!
//! The samples come from the epoch callback, which runs anyway whenever a tick interrupts a guest. While nothing
//! is recorded that costs a load of a flag for each tick that a guest is interrupted by, and a call that is over
//! within its tick nothing at all.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime::{GuestProfiler, StoreContextMut};
use wharf_call::MemoryUse;
use wharf_call::ports::{Refusal, Stage};

use crate::berth::Berth;
use crate::runtime::Artifact;
use crate::state::State;

/// Samples of one recording: with more, they are further apart.
const SAMPLES_MAX: u32 = 100_000;
/// The size of a finished profile. One with this many samples of ordinary stacks has a tenth of it.
const PROFILE_BYTES_MAX: usize = 64 << 20;
/// What a recording is paid for with from the budget.
const RECORDING_BYTES: u64 = 64 << 20;
/// Sampling takes a fiftieth of the time at most, and a second of all of it. What a sample takes grows with the depth
/// of the stack, and so does what is kept of it: a guest whose stacks are deep, and each of them another, is bounded
/// by this.
const REST_MIN: u32 = 50;

/// The recording of one plugin, if there is one.
#[derive(Default)]
pub(crate) struct Profiling {
    on: AtomicBool,
    recording: Mutex<Option<Recording>>,
}

struct Recording {
    profiler: GuestProfiler,
    /// Whose code the profiler knows.
    generation: u64,
    tick: Duration,
    spacing: Duration,
    /// No sample is taken before.
    due: Instant,
    /// How many times as long as a sample has taken the next one is away.
    rest: u32,
}

impl Profiling {
    /// Whether samples are wanted.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Takes a sample of the guest that a tick has just interrupted.
    pub(crate) fn sample(store: &StoreContextMut<'_, State>) {
        let state = store.data();
        // A guest on another core that is being sampled is no reason for this one to wait.
        let Some(mut recording) = state.enforcer.berth.profiling.recording.try_lock() else { return };
        let Some(recording) = recording.as_mut() else { return };
        let begun = Instant::now();
        if recording.generation != state.log.generation() || begun < recording.due {
            return;
        }
        recording.profiler.sample(store, recording.tick);
        recording.due = begun + recording.spacing.max(begun.elapsed() * recording.rest);
    }
}

/// Stops the recording on drop, if nobody has.
struct Stop<'a>(&'a Profiling);

impl Stop<'_> {
    fn take(&self) -> Option<GuestProfiler> {
        self.0.on.store(false, Relaxed);
        self.0.recording.lock().take().map(|recording| recording.profiler)
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Records what `generation`, which runs `artifact`, computes for as long as `time`. Dropping the future ends the
/// recording.
///
/// # Errors
/// [`Stage::Profile`] when there is a recording already, or no memory for one.
pub(crate) async fn record(
    berth: &Arc<Berth>,
    generation: u64,
    artifact: Arc<Artifact>,
    name: &str,
    time: Duration,
) -> Result<Bytes, Refusal> {
    let refusal = |message: &str| Refusal::new(Stage::Profile, message);
    let Some(_paid) = berth.ports.memory.reserve(MemoryUse::Instances, RECORDING_BYTES) else {
        return Err(refusal("the host has no memory to spare for a recording ([memory] total)"));
    };
    let profiling = &berth.profiling;
    let stop = {
        let busy = profiling.on.swap(true, Relaxed);
        if busy {
            return Err(refusal("a profile of this plugin is being recorded already; wait for its end"));
        }
        Stop(profiling)
    };
    let name = format!("{name} (generation {generation})");
    let tick = artifact.tick();
    // Reads the names of all functions.
    let profiler = off_the_executor(move || artifact.profiler(&name, tick)).await?;
    let spacing = (time / SAMPLES_MAX).max(tick / 2);
    let now = Instant::now();
    let rest = REST_MIN.max(u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    let recording = Recording { profiler, generation, tick, spacing, due: now, rest };
    *profiling.recording.lock() = Some(recording);
    tokio::time::sleep(time).await;
    let Some(profiler) = stop.take() else { return Err(refusal("the recording has been lost")) };
    off_the_executor(move || {
        let mut json = Bounded(Vec::new());
        profiler.finish(&mut json).map(|()| Bytes::from(json.0))
    })
    .await
}

async fn off_the_executor<T: Send + 'static>(
    work: impl FnOnce() -> wasmtime::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Refusal::new(Stage::Profile, format!("{error:#}"))),
        Err(_) => Err(Refusal::new(Stage::Profile, "making the profile panicked")),
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > PROFILE_BYTES_MAX {
            return Err(io::Error::other("the profile is larger than 64 MiB; record for a shorter time"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
