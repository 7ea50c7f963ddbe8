//! The host as its own compiler: it starts itself again for each component that is not in the cache.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wharf_engine::CompileCommand;

/// The running program, even if an update has replaced the file meanwhile.
const PROGRAM: &str = "/proc/self/exe";

/// The one argument of the process that compiles.
const ARGUMENT: &str = "compile-worker";

/// Whether this process is to compile for a host that has started it, and not to be one.
pub(crate) fn is_asked_for() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|argument| argument == ARGUMENT) && arguments.next().is_none()
}

/// How the engine starts it. `None` where it cannot be started: then the host compiles by itself.
pub(crate) fn command() -> Option<CompileCommand> {
    if is_emulated() {
        tracing::warn!(
            "this program runs in another one, such as valgrind: components are compiled in the host's own \
             process, where [engine] compile_time and compile_memory do not hold"
        );
        return None;
    }
    Some(CompileCommand {
        program: PROGRAM.into(),
        arguments: vec![ARGUMENT.into()],
        // What the allocator keeps in reserve must not count as used: it is not to be writable, nor the gigabyte (here
        // in KiB) at a time that it would be otherwise.
        environment: vec![
            ("MIMALLOC_ARENA_EAGER_COMMIT".into(), "0".into()),
            ("MIMALLOC_ARENA_RESERVE".into(), "65536".into()),
        ],
    })
}

/// Whether [`PROGRAM`] is not the file that the system says runs here. A file that was replaced is no longer there
/// under its name.
fn is_emulated() -> bool {
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let named = std::env::current_exe().ok().and_then(|path| file(&path));
    named.is_some() && named != file(Path::new(PROGRAM))
}
