//! From the bytes of a component to native code: out of the cache, or out of a process of its own.
//!
//! A compiler is a large program that is handed whatever somebody has uploaded, and a component of a few
//! kilobytes can keep it busy for hours or make it ask for all memory there is. So it runs in a child process,
//! bounded in time and memory (`child.rs` starts and watches it, `worker.rs` is what it does): the component
//! goes in by a pipe, the code comes out in a memory file that is sealed before it is read. Nothing of it is
//! ever read from, or mapped from, a file that somebody else could write, other than entries of the cache that
//! carry this host's own MAC (`cache.rs`).
//!
//! Without a [`CompileCommand`], as in tests and in programs that use the engine as a library, components are
//! compiled in this process, and nothing bounds that.

mod cache;
mod child;
mod debug_info;
mod failed;
mod job;
mod worker;

use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;
use wharf_call::Memory;
use wharf_call::ports::{Refusal, Stage};

use self::cache::{Cache, hex};
use self::failed::Failed;
use self::job::{Bounds, Compatibility, Job};
use crate::config::EngineConfig;
use crate::inspect::inspect;
use crate::metrics;

pub use self::child::CompileCommand;
pub(crate) use self::job::CodeSettings;
pub use self::worker::compile_worker;

/// Compiles components and keeps what it has compiled.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Cache,
    settings: CodeSettings,
    compatibility: Compatibility,
    command: Option<CompileCommand>,
    bounds: Bounds,
    memory: Arc<dyn Memory>,
    /// One for each component that may be compiled at once.
    places: Arc<Semaphore>,
}

/// An entry of the cache that is known to be this host's.
pub(crate) struct Kept {
    compiler: Arc<Compiler>,
    name: String,
    code: Bytes,
}

impl Kept {
    /// Loads the code; `None` when wasmtime can make nothing of it, which is logged.
    ///
    /// # Errors
    /// Loading it panicked.
    pub(crate) async fn load(self) -> Result<Option<Component>, Refusal> {
        off_the_executor(move || Ok(self.compiler.of_cache(&self.name, &self.code))).await
    }
}

impl Compiler {
    /// Opens the cache, making it and its key if they are not there. `engine` runs what is compiled; it was made
    /// with `settings`.
    pub(crate) fn open(
        engine: Engine,
        settings: CodeSettings,
        config: &EngineConfig,
        memory: Arc<dyn Memory>,
    ) -> io::Result<Arc<Self>> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let places = (cores / 2).max(1);
        Ok(Arc::new(Compiler {
            cache: Cache::open(config.cache_dir.clone())?,
            compatibility: Compatibility::of(&engine),
            engine,
            settings,
            command: config.compile_command.clone(),
            bounds: Bounds {
                time: config.compile_time,
                memory_bytes: config.compile_memory_bytes,
                threads: u32::try_from(cores / places).unwrap_or(1),
            },
            memory,
            places: Arc::new(Semaphore::new(places)),
        }))
    }

    /// The code of a component whose bytes have the digest `sha256`, with or without the debug information that is in
    /// it.
    ///
    /// At most one component for every two cores is compiled at a time, others wait. Dropping the future ends the
    /// process that compiles.
    ///
    /// # Errors
    /// [`Stage::Inspect`] when it is no component that the host runs. [`Stage::Compile`], with what is wrong with the component, or the limit that it takes more of.
    pub(crate) async fn component(
        self: &Arc<Self>,
        sha256: &str,
        bytes: Bytes,
        debug_info: bool,
    ) -> Result<Component, Refusal> {
        let name = self.entry(sha256, debug_info);
        // A semaphore that is never closed.
        let place = self.places.clone().acquire_owned().await.ok();
        let abandon = Abandon(Arc::new(AtomicBool::new(false)));
        let (compiler, abandoned) = (self.clone(), abandon.0.clone());
        off_the_executor(move || {
            // Until the process is gone, whether or not somebody still waits.
            let _place = place;
            // Whoever had the place before may have compiled the same.
            let kept = compiler.cache.read(&name);
            let compiled = kept
                .and_then(|code| compiler.of_cache(&name, &code))
                .map_or_else(|| compiler.compile(&name, &bytes, debug_info, &abandoned), Ok);
            compiled.inspect_err(|_| metrics::not_compiled())
        })
        .await
    }

    /// What the cache has of that component: code that this host, with this configuration, has made of it.
    ///
    /// # Errors
    /// Reading it panicked.
    pub(crate) async fn kept(
        self: &Arc<Self>,
        sha256: &str,
        debug_info: bool,
    ) -> Result<Option<Kept>, Refusal> {
        let (compiler, name) = (self.clone(), self.entry(sha256, debug_info));
        off_the_executor(move || {
            let code = compiler.cache.read(&name);
            Ok(code.map(|code| Kept { compiler, name, code }))
        })
        .await
    }

    fn entry(&self, sha256: &str, debug_info: bool) -> String {
        let kind = if debug_info { "lines" } else { "plain" };
        format!("{sha256}-{}-{kind}", hex(&self.compatibility.0[..8]))
    }

    /// Loads the code of an entry, if that is of any use.
    fn of_cache(&self, name: &str, code: &[u8]) -> Option<Component> {
        // SAFETY: the code carries our own MAC over this very name, so this host has made it, with this
        // configuration, from these bytes; it was read into memory once and cannot change any more.
        match unsafe { Component::deserialize(&self.engine, code) } {
            Ok(component) => {
                metrics::cached();
                Some(component)
            }
            Err(error) => {
                tracing::warn!(entry = name, "a cache entry is of no use: {error:#}");
                None
            }
        }
    }

    fn compile(
        &self,
        name: &str,
        bytes: &[u8],
        debug_info: bool,
        abandoned: &AtomicBool,
    ) -> Result<Component, Refusal> {
        let begun = Instant::now();
        let (code, memory_bytes, _paid) = match &self.command {
            None => (self.compile_here(bytes, debug_info)?, 0, None),
            Some(command) => {
                let job = Job {
                    parent: std::process::id(),
                    settings: self.settings,
                    compatibility: self.compatibility,
                    bounds: self.bounds,
                    debug_info,
                    component_bytes: bytes.len() as u64,
                };
                let compiled = child::compile(command, &job, bytes, &*self.memory, abandoned)
                    .map_err(|failed| failed.refusal(&self.bounds))?;
                (compiled.code, compiled.memory_bytes, Some(compiled._paid))
            }
        };
        metrics::compiled(begun.elapsed());
        tracing::debug!(
            entry = name,
            seconds = begun.elapsed().as_secs_f64(),
            memory_bytes,
            code_bytes = code.len(),
            "component compiled"
        );
        if let Err(error) = self.cache.write(name, &code) {
            tracing::warn!(entry = name, "compiled code could not be kept: {error}");
        }
        // SAFETY: it was made above, by this program, with this configuration, and is in memory of our own.
        let loaded = unsafe { Component::deserialize(&self.engine, &code) };
        loaded.map_err(|error| Refusal::new(Stage::Compile, format!("{error:#}")))
    }

    /// In this process, unbounded.
    fn compile_here(&self, bytes: &[u8], debug_info: bool) -> Result<Vec<u8>, Refusal> {
        inspect(bytes)?.kind()?;
        let mut bytes = bytes.to_vec();
        if !debug_info {
            debug_info::hide(&mut bytes);
        }
        let compiled = catch_unwind(AssertUnwindSafe(|| self.engine.precompile_component(&bytes)));
        let compiled =
            compiled.unwrap_or_else(|_| Err(wasmtime::Error::msg("the compiler panicked on this component")));
        compiled.map_err(|error| Failed::Refused(format!("{error:#}")).refusal(&self.bounds))
    }
}

/// Tells the thread that compiles when nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

async fn off_the_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Stage::Compile, "compiling panicked; nothing was loaded")))
}
