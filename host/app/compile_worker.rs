//! The host as its own compiler: it starts itself again for each component that is not in the cache.

use wharf_engine::CompileCommand;

/// The one argument of the process that compiles.
const ARGUMENT: &str = "compile-worker";

/// Whether this process is to compile for a host that has started it, and not to be one.
pub(crate) fn is_asked_for() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|argument| argument == ARGUMENT) && arguments.next().is_none()
}

/// How the engine starts it.
pub(crate) fn command() -> CompileCommand {
    CompileCommand {
        // The running program, even if an update has replaced the file meanwhile.
        program: "/proc/self/exe".into(),
        arguments: vec![ARGUMENT.into()],
        // What the allocator keeps in reserve must not count as used: it is not to be writable, nor the gigabyte (here
        // in KiB) at a time that it would be otherwise.
        environment: vec![
            ("MIMALLOC_ARENA_EAGER_COMMIT".into(), "0".into()),
            ("MIMALLOC_ARENA_RESERVE".into(), "65536".into()),
        ],
    }
}
