//! What the host promises, tested from outside: every test starts the real binary.
//!
//! One module per feature, in the order in which a reader would want to know them. A test's name is a
//! sentence that is true. Guests are in `tests/components`, exact answers in `tests/cases`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the right answer to a surprise")]

mod architecture;

mod build;
mod doctor;
mod doors;
mod example;
mod new;
mod walk;
mod watch;

mod echo;
mod foreign;
mod metadata;
mod serve;
mod services;
mod socket;

mod cache;
mod compile;
mod concurrency;
mod lifecycle;
mod pools;
mod swap;

mod cases;
mod contain;
mod dirs;
mod egress;
mod hostile;
mod limits;
mod refusals;
mod spinners;
mod tcp;
mod zoo;

mod environment;
mod keyvalue;
mod sdk;

mod admin;
mod logs;
mod profile;
mod shutdown;
mod traps;

mod clients;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use wharf_harness::HostBuilder;

/// The binary under test.
const WHARF: &str = env!("CARGO_BIN_EXE_wharf");

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Names a release build of the binary, which `host` starts instead, for what is promised of those only:
/// `WHARF_RELEASE=target/release/wharf cargo test --test all zoo`.
static RELEASE: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let named = std::env::var_os("WHARF_RELEASE")?;
    // Cargo runs tests in the root, where the name was typed.
    Some(std::path::absolute(named).unwrap())
});

/// Whether the host is a release build.
fn is_release() -> bool {
    !cfg!(debug_assertions) || RELEASE.is_some()
}

/// A host of the binary under test. Compiled components are kept for all tests, and for the next run.
fn host(manifest: &str) -> HostBuilder {
    let binary = RELEASE.as_deref().unwrap_or(Path::new(WHARF));
    HostBuilder::new(binary, Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")).manifest(manifest)
}

/// A manifest in which one plugin answers everything.
fn everything(component: &str) -> String {
    format!(
        r#"
        [plugin.guest]
        component = "{component}"

        [[route]]
        path = "/"
        plugin = "guest"

        [[route]]
        path = "/{{*rest}}"
        plugin = "guest"
        "#
    )
}
