//! Builds the components that are stale, before they are loaded.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use indicatif::ProgressBar;

use super::Failed;
use crate::manifest::{Manifest, PluginEntry};

/// The target that Rust guests are built for.
const GUEST_TARGET: &str = "wasm32-wasip2";

/// Folders that hold results rather than sources.
const NOT_SOURCES: &[&str] = &["target", ".git", ".wharf", "node_modules"];

/// A folder with more files than this is not searched for the newest one: the command just runs.
const FILES_MAX: usize = 100_000;

/// Runs the build command of each plugin whose component is stale, and says so on standard error.
///
/// Cargo knows best what is stale, so `cargo ...` always runs. Anything else runs when the component is
/// missing, or older than a file in the manifest's folder.
///
/// # Errors
/// When a command cannot be run or fails; what it printed stands above the message. Plugins after it are
/// not built.
pub(super) fn build_stale(manifest: &Manifest) -> Result<(), Failed> {
    for (name, plugin) in &manifest.plugins {
        let Some(build) = &plugin.build else { continue };
        let cargo = words(build).next() == Some("cargo");
        if cargo && build.contains(GUEST_TARGET) {
            add_guest_target(&manifest.dir)?;
        }
        if cargo || is_stale(&plugin.component, &manifest.dir) {
            run(name, plugin, build, &manifest.dir)?;
        }
    }
    Ok(())
}

fn words(command: &str) -> impl Iterator<Item = &str> {
    command.split_ascii_whitespace()
}

fn run(name: &str, plugin: &PluginEntry, build: &str, dir: &Path) -> Result<(), Failed> {
    eprintln!("building {name}: {build}");
    let started = Instant::now();
    let mut command = shell(build, dir);
    // The compiler's output is shown as it is, and never mixed with results.
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status =
        status.map_err(|error| Failed::new(format!("cannot build {name}: sh does not start: {error}")))?;
    if !status.success() {
        return Err(Failed::new(format!(
            "building {name} failed ({status}); its output is above. The command was: {build}"
        )));
    }
    if !plugin.component.is_file() {
        return Err(Failed::new(format!(
            "building {name} made no {}. Correct `component` or `build` in [plugin.{name}]",
            plugin.component.display()
        )));
    }
    eprintln!("built {name} in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// `command` in `dir`, in an environment as if it had been typed there.
fn shell(command: &str, dir: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(dir);
    for (name, _) in std::env::vars_os() {
        if is_of_an_outer_cargo(&name) {
            shell.env_remove(name);
        }
    }
    shell
}

/// What `cargo run` sets for the program that it starts, and what would make a guest's build differ from one
/// by hand: the outer package's identity and flags. Where to build (`CARGO_TARGET_DIR`), where the registry
/// is (`CARGO_HOME`) and which toolchain to use stay the user's choice.
fn is_of_an_outer_cargo(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    matches!(
        name,
        "CARGO_ENCODED_RUSTFLAGS"
            | "CARGO_MANIFEST_DIR"
            | "CARGO_MANIFEST_PATH"
            | "CARGO_MANIFEST_LINKS"
            | "CARGO_CRATE_NAME"
            | "CARGO_PRIMARY_PACKAGE"
            | "CARGO_MAKEFLAGS"
            | "OUT_DIR"
            | "RUSTC_WRAPPER"
            | "RUSTC_WORKSPACE_WRAPPER"
    ) || ["CARGO_PKG_", "CARGO_BIN_", "CARGO_FEATURE_", "CARGO_CFG_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Adds the guest target to the toolchain of `dir` if it is not there.
fn add_guest_target(dir: &Path) -> Result<(), Failed> {
    if has_guest_target(dir)? {
        return Ok(());
    }
    let manual = format!(
        "Install it for your toolchain, for example with https://rustup.rs and: rustup target add {GUEST_TARGET}"
    );
    eprintln!("the target {GUEST_TARGET} is missing: rustup target add {GUEST_TARGET}");
    let mut command = shell(&format!("rustup target add {GUEST_TARGET}"), dir);
    let spinner = spinner(&format!("adding {GUEST_TARGET}"));
    let output = command.stdin(Stdio::null()).output();
    spinner.finish_and_clear();
    let output = output.map_err(|error| Failed::new(format!("sh does not start: {error}. {manual}")))?;
    match output.status.code() {
        Some(0) if has_guest_target(dir)? => Ok(()),
        Some(0) => Err(Failed::new(format!(
            "rustup added {GUEST_TARGET}, but the rustc of {} does not have it: it is not one of rustup's. {manual}",
            dir.display()
        ))),
        // What a shell says of a command that does not exist (POSIX, section 2.8.2).
        Some(127) => {
            Err(Failed::new(format!("the Rust target {GUEST_TARGET} is missing, and so is rustup. {manual}")))
        }
        _ => Err(Failed::new(format!(
            "rustup could not add {GUEST_TARGET}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// Asks the compiler that a build in `dir` would use; the folder's toolchain file decides.
fn has_guest_target(dir: &Path) -> Result<bool, Failed> {
    let mut command = shell(&format!("rustc --print target-libdir --target {GUEST_TARGET}"), dir);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failed::new(format!("sh does not start: {error}")))?;
    match output.status.code() {
        Some(0) => Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()),
        Some(127) => Err(Failed::new(
            "building Rust plugins needs Rust, and there is no rustc. Install it from https://rustup.rs",
        )),
        _ => Err(Failed::new(format!(
            "rustc does not work in {}: {}",
            dir.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// Turns while something silent goes on; invisible unless somebody watches.
fn spinner(message: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Whether the component is missing or older than a file it may be made of.
fn is_stale(component: &Path, dir: &Path) -> bool {
    let Ok(built) = component.metadata().and_then(|metadata| metadata.modified()) else { return true };
    let mut left = FILES_MAX;
    newer_file(dir, component, built, &mut left)
}

/// Whether there is a file below `dir`, other than the component itself, that changed after `built`. Links
/// are not followed; what cannot be read does not count.
fn newer_file(dir: &Path, component: &Path, built: SystemTime, left: &mut usize) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    for entry in entries.flatten() {
        let Some(after) = left.checked_sub(1) else { return true };
        *left = after;
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        let newer = if kind.is_dir() {
            let skipped = NOT_SOURCES.iter().any(|name| entry.file_name() == *name);
            !skipped && newer_file(&path, component, built, left)
        } else {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            path != component && modified.is_ok_and(|modified| modified > built)
        };
        if newer {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::fs::{File, create_dir_all};
    use std::path::PathBuf;

    use super::*;

    /// A folder with a manifest, removed again.
    struct Project(PathBuf);

    impl Project {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("wharf-build-{name}-{}", std::process::id()));
            create_dir_all(dir.join("target")).unwrap();
            Project(dir)
        }

        /// Makes a file that was last changed `age_s` before a fixed moment.
        fn file(&self, name: &str, age_s: u64) {
            let file = File::create(self.0.join(name)).unwrap();
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - age_s);
            file.set_modified(moment).unwrap();
        }

        fn build(&self, command: &str) -> Result<(), Failed> {
            let text = format!(
                "[app]\nname = \"a\"\n[plugin.p]\ncomponent = \"target/p.wasm\"\nbuild = {command:?}\n"
            );
            build_stale(&Manifest::parse(&text, &self.0.join("wharf.toml")).unwrap())
        }
    }

    impl Drop for Project {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const BUILD: &str = "echo x >> target/p.wasm";

    fn built(project: &Project) -> usize {
        std::fs::read_to_string(project.0.join("target/p.wasm")).map_or(0, |text| text.len() / 2)
    }

    #[test]
    fn a_command_runs_when_the_component_is_missing_or_older_than_a_source() {
        let project = Project::new("stale");
        project.file("source", 10);
        project.build(BUILD).unwrap();
        assert_eq!(built(&project), 1);
        project.build(BUILD).unwrap();
        assert_eq!(built(&project), 1, "nothing has changed");
        project.file("target/p.wasm", 20);
        project.build(BUILD).unwrap();
        assert_eq!(built(&project), 1, "the emptied file was built anew");
    }

    #[test]
    fn results_of_builds_are_not_sources() {
        let project = Project::new("results");
        project.file("target/p.wasm", 20);
        project.file("target/other", 1);
        create_dir_all(project.0.join("deep/node_modules")).unwrap();
        project.file("deep/node_modules/x", 1);
        assert!(!is_stale(&project.0.join("target/p.wasm"), &project.0));
        project.file("deep/source", 1);
        assert!(is_stale(&project.0.join("target/p.wasm"), &project.0));
    }

    #[test]
    fn a_build_that_fails_or_makes_nothing_is_said_to_have() {
        let project = Project::new("fails");
        let failed = project.build("exit 3").unwrap_err().0.unwrap();
        assert!(failed.contains("building p failed") && failed.ends_with("exit 3"), "{failed}");
        let nothing = project.build("true").unwrap_err().0.unwrap();
        assert!(nothing.contains("made no") && nothing.contains("[plugin.p]"), "{nothing}");
    }

    #[test]
    fn an_outer_cargo_does_not_reach_into_a_build() {
        for outer in
            ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"]
        {
            assert!(is_of_an_outer_cargo(OsStr::new(outer)), "{outer}");
        }
        for kept in
            ["CARGO_TARGET_DIR", "CARGO_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_AUTO_INSTALL", "PATH", "RUSTFLAGS"]
        {
            assert!(!is_of_an_outer_cargo(OsStr::new(kept)), "{kept}");
        }
    }
}
