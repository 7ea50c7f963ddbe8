//! What building Rust plugins needs.

use std::process::Stdio;

use tokio::process::Command;

use super::{Application, Check, Status};
use crate::build::{GUEST_TARGET, has_guest_target, is_cargo};
use crate::sdk::{self, FOLDER, Installed, VERSION};

/// The oldest compiler that takes the SDK: `rust-version` of its crates.
const RUST_MIN: [u64; 2] = [1, 95];

const INSTALL: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";

pub(super) async fn checks(application: &Application) -> Vec<Check> {
    let plugins = application.manifest.plugins.values();
    let needed = plugins.filter_map(|plugin| plugin.build.as_deref()).any(is_cargo);
    let mut checks = vec![rustc(application).await, cargo(application).await, rustup(application).await];
    checks.push(target(application).await);
    // An application of ready-made components needs none of it.
    if application.written && !needed {
        for check in checks.iter_mut().filter(|check| check.status == Status::Fail) {
            check.status = Status::Warn;
            check.found += "; no plugin of this manifest is built by cargo";
        }
    }
    checks.extend(copy_of_the_sdk(application));
    checks
}

/// What `program --version` says in the application's folder, whose toolchain file counts; none when there is
/// no such program.
async fn version(application: &Application, program: &str) -> Option<String> {
    let mut command = Command::new(program);
    if application.dir.is_dir() {
        command.current_dir(&application.dir);
    }
    let output = command.arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await.ok()?;
    let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    Some(said.lines().next().unwrap_or_default().trim().to_owned())
}

async fn rustc(application: &Application) -> Check {
    const NAME: &str = "rustc";
    let [major, minor] = RUST_MIN;
    match version(application, NAME).await {
        None => Check::fail(NAME, "there is no Rust compiler", INSTALL),
        Some(said) => match numbers(&said) {
            Some(found) if found >= RUST_MIN => Check::ok(NAME, said),
            Some(_) => Check::fail(
                NAME,
                format!("{said} is too old: plugins need {major}.{minor}"),
                "rustup update stable",
            ),
            None => Check::fail(NAME, format!("it does not work here: {said}"), "rustup show"),
        },
    }
}

async fn cargo(application: &Application) -> Check {
    match version(application, "cargo").await {
        Some(said) if said.starts_with("cargo ") => Check::ok("cargo", said),
        Some(said) => Check::fail("cargo", format!("it does not work here: {said}"), "rustup show"),
        None => Check::fail("cargo", "there is no cargo", INSTALL),
    }
}

async fn rustup(application: &Application) -> Check {
    match version(application, "rustup").await {
        Some(said) => Check::ok("rustup", said),
        None => Check::warn("rustup", "there is no rustup: targets and updates are by hand", INSTALL),
    }
}

async fn target(application: &Application) -> Check {
    const NAME: &str = "target";
    let here = std::path::Path::new(".");
    let dir = if application.dir.is_dir() { &application.dir } else { here };
    match has_guest_target(dir).await {
        Ok(true) => Check::ok(NAME, GUEST_TARGET),
        Ok(false) => Check::fail(
            NAME,
            format!("{GUEST_TARGET} is missing (`wharf build` and `wharf up` add it)"),
            format!("rustup target add {GUEST_TARGET}"),
        ),
        Err(error) => Check::fail(NAME, error, INSTALL),
    }
}

/// The first two numbers of what a compiler says.
fn numbers(said: &str) -> Option<[u64; 2]> {
    let mut numbers =
        said.split_ascii_whitespace().nth(1)?.split(['.', '-']).map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??])
}

/// Whether the project has the SDK that this binary carries; nothing about a project that has none.
fn copy_of_the_sdk(application: &Application) -> Option<Check> {
    const NAME: &str = "sdk";
    let update = format!("wharf sdk update {}", super::project::shown(&application.dir));
    match sdk::installed(&application.dir) {
        Ok(Installed::Absent) => None,
        Ok(Installed::Current) => {
            Some(Check::ok(NAME, format!("{FOLDER} is the SDK of this wharf, {VERSION}")))
        }
        Ok(Installed::Other { version }) => {
            let found = format!("{FOLDER} is another SDK ({version}) than this wharf's ({VERSION})");
            Some(Check::warn(NAME, found, update))
        }
        Ok(Installed::Edited { version }) => {
            let found = format!("{FOLDER} ({version}) was changed by hand: an update would lose that");
            Some(Check::warn(NAME, found, format!("{update} --force")))
        }
        Err(error) => Some(Check::fail(NAME, format!("{FOLDER} cannot be read: {error}"), update)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compilers_version_is_compared_by_its_numbers() {
        assert_eq!(numbers("rustc 1.95.0 (59807616e 2026-04-14)"), Some([1, 95]));
        assert_eq!(numbers("rustc 1.100.0-nightly"), Some([1, 100]));
        assert!(numbers("rustc 1.100.0") >= Some(RUST_MIN) && numbers("rustc 1.9.0") < Some(RUST_MIN));
        assert_eq!(numbers("error: toolchain 'x' is not installed"), None);
    }
}
