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

mod foreign;
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

use std::path::Path;

use wharf_harness::HostBuilder;

/// The binary under test.
const WHARF: &str = env!("CARGO_BIN_EXE_wharf");

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A host of the binary under test. Compiled components are kept for all tests, and for the next run.
fn host(manifest: &str) -> HostBuilder {
    HostBuilder::new(WHARF, Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")).manifest(manifest)
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
