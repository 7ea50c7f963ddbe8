//! The process that compiles, from inside.
//!
//! It is given one component, inspects it, makes its code and ends. What it may use up it takes from itself before it reads
//! the component, and none of it can be had back: a component that attacks the compiler with its size or its
//! shape ends this process, not the host.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, RawFd};
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit,
};
use wasmtime::Engine;

use super::debug_info;
use super::job::{Compatibility, Job};
use crate::inspect::{WORKER_STACK_BYTES, inspect_within};

/// The exit code of a process that has said on standard error why there is no code.
pub(super) const REFUSED: u8 = 1;
/// The same, where that is what the component is, not how it compiles.
pub(super) const NOT_UNDERSTOOD: u8 = 3;

/// Address space that is no memory: the program, its libraries, stacks, and what allocators keep in reserve.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// Three that the host gives, and a few to spare.
const FILES_MAX: u64 = 16;
/// A quarter of a processor beside a busy thread of the host; all of one that nobody else wants. Less, and a host without
/// time to spare would not get a new generation within `compile_time`.
const NICENESS: i32 = 5;

/// Compiles for the host that has started this process: see [`CompileCommand`](crate::CompileCommand). It
/// reads its job from standard input and writes the code to standard output; what is wrong goes to standard
/// error.
#[must_use]
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Unfit { exit, why }) => {
            // There is nobody left to tell when this fails.
            let _ = writeln!(io::stderr(), "{why}");
            ExitCode::from(exit)
        }
    }
}

/// Why there is no code.
struct Unfit {
    exit: u8,
    why: String,
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Unfit { exit: REFUSED, why }
    }
}

fn work() -> Result<(), Unfit> {
    let mut input = io::stdin().lock();
    let job = Job::read(&mut input).map_err(failed("its job cannot be read; only a host can start this"))?;
    confine(&job).map_err(failed("the compiler cannot be confined"))?;

    let mut component = Vec::new();
    input.take(job.component_bytes).read_to_end(&mut component).map_err(failed("reading the component"))?;
    if component.len() as u64 != job.component_bytes {
        return Err("the component ends too early".to_owned().into());
    }
    inspect_within(&component, WORKER_STACK_BYTES)
        .and_then(|(inspection, _)| inspection.kind())
        .map_err(|refusal| Unfit { exit: NOT_UNDERSTOOD, why: refusal.message })?;
    if !job.debug_info {
        debug_info::hide(&mut component);
    }
    let engine =
        Engine::new(&job.settings.config()).map_err(|error| format!("the compiler's engine: {error:#}"))?;
    if Compatibility::of(&engine) != job.compatibility {
        let why = "the compiler's engine is not set up like the host's; this is a bug of the host";
        return Err(why.to_owned().into());
    }
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;

    let output = io::stdout().as_fd().try_clone_to_owned();
    output.and_then(|output| File::from(output).write_all(&code)).map_err(failed("handing over the code"))?;
    Ok(())
}

fn failed<E: Display>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// Closes what the host was itself given by whoever has started it, and has passed on without knowing: anything beyond
/// the three standard streams.
fn close_others() -> io::Result<()> {
    let dir = Path::new("/proc/self/fd");
    let mut open: Vec<RawFd> = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        open.extend(entry?.file_name().to_str().and_then(|fd| fd.parse::<RawFd>().ok()));
    }
    // Reading the list needed one of its own, which is closed again by now.
    open.retain(|fd| *fd > 2 && std::fs::read_link(dir.join(fd.to_string())).is_ok());
    for fd in open {
        // SAFETY: it is open, and nothing in this process has opened a file yet that is still in use.
        unsafe { rustix::io::close(fd) };
    }
    Ok(())
}

/// Binds this process to the host's life, and to what it may use up.
fn confine(job: &Job) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The host may have ended before the line above: then nobody is told.
    if std::os::unix::process::parent_id() != job.parent {
        return Err(io::Error::other("the host has ended"));
    }
    close_others()?;
    let memory = job.bounds.memory_bytes;
    // The host's own clock comes first, unless something is wrong with it.
    let cpu_s = (job.bounds.time.as_secs() + 1).saturating_mul(u64::from(job.bounds.threads)) + 1;
    for (resource, most) in [
        // What allocations take is private memory that can be written.
        (Resource::Data, memory),
        (Resource::As, memory.saturating_add(ADDRESS_SPACE_BYTES)),
        (Resource::Fsize, memory),
        (Resource::Cpu, cpu_s),
        (Resource::Nofile, FILES_MAX),
        // What a component does to the compiler is no reason to fill the disk.
        (Resource::Core, 0),
    ] {
        lower(resource, most)?;
    }
    // Requests come first. A system that does not allow this compiles all the same; nor do names matter.
    let _ = nice(NICENESS);
    let _ = std::fs::write("/proc/self/comm", "wharf-compile");
    Ok(())
}

/// From now on, and for good, this process has at most `most` of `resource`.
fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}
