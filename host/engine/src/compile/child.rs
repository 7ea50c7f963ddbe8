//! The process that compiles, from outside: started, fed, watched, and gone when this returns.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, fcntl_setfl, memfd_create,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use wharf_call::{Memory, MemoryUse, Reservation};

use super::failed::Failed;
use super::job::Job;
use super::worker::{NOT_UNDERSTOOD, REFUSED};

/// How the host starts the process that compiles.
///
/// The program is to call [`compile_worker`](crate::compile_worker) and nothing else. It is started for one
/// component at a time, with no environment but this one, in a process group of its own, and it is to be the
/// same build as the host: the two compare what decides the code that they make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileCommand {
    /// The program: usually the host itself, `/proc/self/exe`, which is the same file even if the one on disk
    /// has been replaced since.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// How often the process is looked at while it works.
const LOOK: Duration = Duration::from_millis(20);
/// What it may say on standard error; the rest is read and forgotten.
const SAID_BYTES_MAX: usize = 4 << 10;
/// What a process says that is refused memory: the standard library before it aborts, ENOMEM, and EAGAIN where there is
/// no stack for another thread.
const STARVED: [&str; 3] = ["memory allocation of", "os error 12", "ThreadPoolBuildError"];
/// A pipe holds so much.
const CHUNK_BYTES: usize = 64 << 10;

/// A finished compilation.
pub(super) struct Compiled {
    pub(super) code: Vec<u8>,
    /// The most memory that it was seen to hold, in bytes.
    pub(super) memory_bytes: u64,
    /// Pays for `code`.
    pub(super) _paid: Reservation,
}

/// Compiles a component in a process of its own, and ends that process whatever happens.
///
/// Blocks until then. The thread that calls this must live as long as the process: the kernel ends the process
/// with the thread that has started it.
///
/// # Errors
/// What ended it, within its bounds and at most a moment after `abandoned` is set.
pub(super) fn compile(
    command: &CompileCommand,
    job: &Job,
    component: &[u8],
    memory: &dyn Memory,
    abandoned: &AtomicBool,
) -> Result<Compiled, Failed> {
    let deadline = Instant::now() + job.bounds.time;
    let code = memory_file().map_err(Failed::Start)?;
    let mut worker = Worker::start(command, job, &code).map_err(Failed::Start)?;
    let mut account = Account { held: memory.reserve(MemoryUse::Compile, 0).ok_or(Failed::Budget)?, most: 0 };
    let (said, status) = worker.watch(job, component, |pid| {
        if abandoned.load(Relaxed) {
            return Err(Failed::Abandoned);
        }
        if Instant::now() >= deadline {
            return Err(Failed::Time);
        }
        let written = code.metadata().map_or(0, |metadata| metadata.len());
        account.pay(anonymous_bytes(pid) + written)
    })?;
    match (status.code(), status.signal()) {
        (Some(0), _) => {}
        _ if STARVED.iter().any(|sign| said.contains(sign)) => return Err(Failed::Memory),
        (Some(code), _) if code == i32::from(REFUSED) => return Err(Failed::Refused(said)),
        (Some(code), _) if code == i32::from(NOT_UNDERSTOOD) => return Err(Failed::NotUnderstood(said)),
        (_, Some(signal)) if signal == Signal::XCPU.as_raw() => return Err(Failed::Time),
        (_, Some(signal)) if signal == Signal::XFSZ.as_raw() => return Err(Failed::Memory),
        _ => return Err(Failed::Died { status, said }),
    }
    let bytes = code.metadata().map_err(Failed::Code)?.len();
    account.pay(bytes.saturating_mul(2))?;
    let code = read_sealed(&code, job.bounds.memory_bytes).map_err(Failed::Code)?;
    Ok(Compiled { code, memory_bytes: account.most, _paid: account.held })
}

/// The process. It is killed and reaped on drop, if it has not been before.
struct Worker {
    child: Child,
    reaped: bool,
    input: Option<ChildStdin>,
    errors: ChildStderr,
}

impl Worker {
    fn start(command: &CompileCommand, job: &Job, code: &File) -> io::Result<Self> {
        let mut child = Command::new(&command.program)
            .arg0("wharf")
            .args(&command.arguments)
            .env_clear()
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            // Cranelift compiles functions on as many threads as this says.
            .env("RAYON_NUM_THREADS", job.bounds.threads.to_string())
            .current_dir("/")
            // Ctrl-C is for the host, which ends this in good order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(code.try_clone()?))
            .stderr(Stdio::piped())
            .spawn()?;
        let (input, errors) = (child.stdin.take(), child.stderr.take().expect("it was asked for above"));
        let worker = Worker { child, reaped: false, input, errors };
        unblocked(&worker.errors)?;
        worker.input.as_ref().map_or(Ok(()), unblocked)?;
        Ok(worker)
    }

    /// Feeds it, listens to it, and has `look` look at it now and then, until it ends: what it has said, and how
    /// it has ended.
    fn watch(
        &mut self,
        job: &Job,
        component: &[u8],
        mut look: impl FnMut(u32) -> Result<(), Failed>,
    ) -> Result<(String, ExitStatus), Failed> {
        let head = job.to_bytes();
        let mut unsent = [head.as_slice(), component].into_iter().filter(|part| !part.is_empty());
        let mut part = unsent.next().unwrap_or_default();
        let mut said = Vec::new();
        let mut looked = Instant::now();
        loop {
            if looked.elapsed() >= LOOK {
                look(self.child.id())?;
                looked = Instant::now();
            }
            let mut ready = vec![PollFd::new(&self.errors, PollFlags::IN)];
            if let Some(input) = &self.input {
                ready.push(PollFd::new(input, PollFlags::OUT));
            }
            match poll(&mut ready, Some(&LOOK_TIMESPEC)) {
                // Any signal of the host may be handled on this thread.
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failed::Start(error.into())),
            }
            let is_ready = |at: usize| ready.get(at).is_some_and(|fd| !fd.revents().is_empty());
            let (speaks, listens) = (is_ready(0), is_ready(1));
            // Standard error is closed when the process ends, and by nothing before.
            if speaks && self.listen(&mut said)? == 0 {
                break;
            }
            if listens && let Some(input) = &mut self.input {
                match input.write(&part[..part.len().min(CHUNK_BYTES)]) {
                    Ok(count) => part = &part[count..],
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    // It has ended without reading all; how it ended says why.
                    Err(_) => self.input = None,
                }
                if part.is_empty() {
                    match unsent.next() {
                        Some(next) => part = next,
                        None => self.input = None,
                    }
                }
            }
        }
        // Its exit code stands before its files are closed, so killing it changes nothing of that: it only
        // makes sure that nobody waits for a process that goes on without a voice.
        let status = self.end().map_err(Failed::Start)?;
        Ok((String::from_utf8_lossy(&said).trim().to_owned(), status))
    }

    /// Kills it, with everything that it may have started, and reaps it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        // Invariant: only before it is reaped. Its id, and that of its group, may be somebody else's afterwards.
        if !self.reaped {
            let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            self.reaped = true;
        }
        self.child.wait()
    }

    /// Reads a piece of standard error; 0 at its end.
    fn listen(&mut self, said: &mut Vec<u8>) -> Result<usize, Failed> {
        let mut chunk = [0; 1024];
        match self.errors.read(&mut chunk) {
            Ok(count) => {
                let room = SAID_BYTES_MAX.saturating_sub(said.len());
                said.extend_from_slice(&chunk[..count.min(room)]);
                Ok(count)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(1),
            Err(error) => Err(Failed::Start(error)),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has been killed, so this waits for nothing that it does.
        let _ = self.end();
    }
}

const LOOK_TIMESPEC: Timespec = Timespec { tv_sec: 0, tv_nsec: LOOK.as_nanos() as i64 };

fn unblocked(file: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(file, fcntl_getfl(file)? | OFlags::NONBLOCK)?)
}

/// What the host-wide budget pays for a compilation: as much as it was ever seen to hold.
struct Account {
    held: Reservation,
    most: u64,
}

impl Account {
    fn pay(&mut self, bytes: u64) -> Result<(), Failed> {
        self.most = self.most.max(bytes);
        let more = self.most.saturating_sub(self.held.bytes());
        if self.held.grow(more) { Ok(()) } else { Err(Failed::Budget) }
    }
}

/// The memory of a process that no file stands for (proc(5), `RssAnon`); 0 when it has just ended.
fn anonymous_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0u64).saturating_mul(1024)
}

/// A file that is in no directory, and that can be sealed.
fn memory_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux before 6.3 does not know that a file is never to be executed; later ones may insist on it.
    let made = memfd_create("wharf-code", flags | MemfdFlags::NOEXEC_SEAL);
    Ok(made.or_else(|_| memfd_create("wharf-code", flags))?.into())
}

/// Reads code that nobody can change any more.
///
/// Invariant: the file is sealed before the first byte of it is read, so what is authenticated for the cache is
/// what is loaded. The kernel refuses the seal while anything could still write, such as a mapping of a process
/// that has outlived its end.
fn read_sealed(file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(file, seals)?;
    if !fcntl_get_seals(file)?.contains(seals) {
        return Err(io::Error::other("it could not be sealed"));
    }
    let bytes = file.metadata()?.len();
    if bytes == 0 || bytes > bytes_max {
        return Err(io::Error::other(format!("it has {bytes} bytes")));
    }
    let mut code = Vec::new();
    let length = usize::try_from(bytes).map_err(io::Error::other)?;
    code.try_reserve_exact(length).map_err(io::Error::other)?;
    code.resize(length, 0);
    file.read_exact_at(&mut code, 0)?;
    Ok(code)
}

#[cfg(test)]
mod tests;
