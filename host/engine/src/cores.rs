//! Core dumps of guests that trapped: memories, globals and the stack, for a debugger
//! (<https://github.com/WebAssembly/tool-conventions/blob/main/Coredump.md>).
//!
//! Taking one costs a call nothing that does not trap. Writing one takes as long as its memory is large, so its
//! store is handed to a thread that may block, and is dropped there; whoever waits for the answer does not
//! wait for it. A dump holds whatever the guest had in its memory, secrets too: only the host's user can read it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;

use wasmtime::{Store, WasmCoreDump};
use wharf_call::MemoryUse;

use crate::metrics;
use crate::state::State;

/// How a dump's name ends.
const SUFFIX: &str = ".core.wasm";
/// What of a request's id is in a name. The whole id is in the dump, and in the log line.
const ID_CHARS_MAX: usize = 64;

/// Where dumps go, and how many bytes of them there may be.
pub(crate) struct Cores {
    dir: PathBuf,
    bytes_max: u64,
    /// One at a time: a plugin that traps on every call must not fill the machine with what is to be written.
    busy: AtomicBool,
}

/// The one dump that is being written.
struct Writing(Arc<Cores>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.busy.store(false, Relaxed);
    }
}

impl Cores {
    pub(crate) fn new(dir: PathBuf, bytes_max: u64) -> Arc<Self> {
        Arc::new(Cores { dir, bytes_max, busy: AtomicBool::new(false) })
    }

    fn begin(self: &Arc<Self>) -> Option<Writing> {
        (!self.busy.swap(true, Relaxed)).then(|| Writing(self.clone()))
    }

    /// Keeps `dump` as one of the newest `count` of `plugin`, and removes the oldest of all that are too much.
    fn keep(&self, plugin: &str, name: &str, dump: &[u8], count: u32) -> io::Result<PathBuf> {
        let dir = self.dir.join(plugin);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        if dump.len() as u64 > self.bytes_max {
            let (bytes, max) = (dump.len(), self.bytes_max);
            return Err(io::Error::other(format!(
                "it has {bytes} bytes; [engine] core_dump_bytes allows {max} for all"
            )));
        }
        let of_plugin = dumps(&dir)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for old in of_plugin.iter().take((of_plugin.len() + 1).saturating_sub(count)) {
            fs::remove_file(&old.path)?;
        }
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            all.append(&mut dumps(&entry?.path())?);
        }
        all.sort();
        let mut total = all.iter().map(|old| old.bytes).sum::<u64>() + dump.len() as u64;
        for old in &all {
            if total <= self.bytes_max {
                break;
            }
            fs::remove_file(&old.path)?;
            total -= old.bytes;
        }
        let (path, unfinished) = (dir.join(format!("{name}{SUFFIX}")), dir.join("unfinished"));
        // What a crash has left.
        let _ = fs::remove_file(&unfinished);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = file.write_all(dump).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written.map(|()| path)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Dump {
    modified: SystemTime,
    path: PathBuf,
    bytes: u64,
}

/// What is in a plugin's directory, the oldest first.
fn dumps(dir: &Path) -> io::Result<Vec<Dump>> {
    let mut dumps = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
            let metadata = entry.metadata()?;
            dumps.push(Dump { modified: metadata.modified()?, path: entry.path(), bytes: metadata.len() });
        }
    }
    dumps.sort();
    Ok(dumps)
}

/// A store that is not dropped before the core dump, which the last trap of its guest may have left, is written.
/// Dropping this does not block: the dump is written elsewhere.
pub(crate) struct Mourned(Option<Store<State>>);

impl Mourned {
    pub(crate) fn new(store: Store<State>) -> Self {
        Mourned(Some(store))
    }
}

impl Deref for Mourned {
    type Target = Store<State>;

    fn deref(&self) -> &Store<State> {
        self.0.as_ref().expect("it is taken on drop only")
    }
}

impl DerefMut for Mourned {
    fn deref_mut(&mut self) -> &mut Store<State> {
        self.0.as_mut().expect("it is taken on drop only")
    }
}

impl Drop for Mourned {
    fn drop(&mut self) {
        let Some(mut store) = self.0.take() else { return };
        let Some(dump) = store.data_mut().core_dump.take() else { return };
        // A host that is ending, or a test without one, writes nothing.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(writing) = store.data().enforcer.berth.cores.begin() else {
            metrics::core_dump(&store.data().enforcer.plugin.name, "skipped");
            return;
        };
        runtime.spawn_blocking(move || write(&writing, &dump, store));
    }
}

fn write(writing: &Writing, dump: &WasmCoreDump, mut store: Store<State>) {
    let bytes = dump.memories().iter().map(|memory| memory.data_size(&store) as u64).sum();
    let Some(paid) = store.data().enforcer.berth.ports.memory.reserve(MemoryUse::CoreDumps, bytes) else {
        let plugin = &store.data().enforcer.plugin.name;
        metrics::core_dump(plugin, "skipped");
        tracing::warn!(plugin, bytes, "no core dump is written: the host has no memory to spare for it");
        return;
    };
    let (plugin, log) = (store.data().enforcer.plugin.clone(), store.data().log.clone());
    let (generation, request) = (log.generation(), log.request());
    let id = request.as_ref().map_or("no-request", |request| request.as_str());
    let encoded = dump.serialize(&mut store, &format!("{} {generation} {id}", plugin.name));
    drop(store);
    let kept = writing.0.keep(&plugin.name, &file_name(generation, id), &encoded, plugin.core_dumps);
    drop(paid);
    match kept {
        Ok(path) => {
            metrics::core_dump(&plugin.name, "written");
            tracing::info!(
                target: "wharf::guest",
                plugin = plugin.name,
                generation,
                request_id = id,
                path = %path.display(),
                bytes = encoded.len(),
                "core dump written"
            );
        }
        Err(error) => {
            metrics::core_dump(&plugin.name, "skipped");
            tracing::warn!(plugin = plugin.name, generation, "a core dump cannot be kept: {error}");
        }
    }
}

/// A client chooses the id of its request: what is no letter or digit of it cannot lead anywhere else.
fn file_name(generation: u64, id: &str) -> String {
    let id = id.chars().take(ID_CHARS_MAX);
    let id: String = id.map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    format!("{generation}-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wharf-cores-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Dir(path)
        }

        /// The names that there are, for each plugin, the oldest first.
        fn names(&self, plugin: &str) -> Vec<String> {
            let dumps = dumps(&self.0.join(plugin)).expect("readable");
            let name = |dump: Dump| dump.path.file_name().map(|name| name.to_string_lossy().into_owned());
            dumps.into_iter().filter_map(name).collect()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_newest_of_each_plugin_are_kept() {
        let dir = Dir::new("count");
        let cores = Cores::new(dir.0.clone(), 1 << 20);
        for name in ["1-a", "1-b", "1-c"] {
            cores.keep("one", name, b"dump", 2).expect("kept");
        }
        cores.keep("two", "1-a", b"dump", 2).expect("kept");
        assert_eq!(dir.names("one"), ["1-b.core.wasm", "1-c.core.wasm"]);
        assert_eq!(dir.names("two"), ["1-a.core.wasm"]);
    }

    #[test]
    fn all_of_them_together_stay_within_their_bytes() {
        let dir = Dir::new("bytes");
        let cores = Cores::new(dir.0.clone(), 100);
        for (plugin, name) in [("one", "1-a"), ("two", "1-b"), ("one", "1-c")] {
            cores.keep(plugin, name, &[7; 40], 9).expect("kept");
        }
        assert_eq!(
            (dir.names("one"), dir.names("two")),
            (vec!["1-c.core.wasm".into()], vec!["1-b.core.wasm".into()])
        );
        let refused = cores.keep("one", "1-d", &[7; 101], 9).expect_err("too large");
        assert!(refused.to_string().contains("[engine] core_dump_bytes allows 100"), "{refused}");
        assert_eq!(dir.names("one").len(), 1);
    }

    #[test]
    fn one_is_written_at_a_time() {
        let cores = Cores::new(PathBuf::new(), 0);
        let first = cores.begin().expect("nobody writes");
        assert!(cores.begin().is_none());
        drop(first);
        assert!(cores.begin().is_some());
    }

    #[test]
    fn an_id_leads_nowhere() {
        assert_eq!(file_name(3, "../../x y\\z"), "3-______x_y_z");
        assert_eq!(file_name(3, &"a".repeat(128)).len(), 2 + ID_CHARS_MAX);
    }
}
