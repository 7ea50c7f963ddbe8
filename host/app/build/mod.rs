//! Builds components that are stale, before they are loaded.
//!
//! A build command runs in the manifest's folder, in a process group that ends with whoever waits for it.
//! What a compiler prints goes to standard error as it is.

mod embed;
mod process;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use tokio::process::Command;

use crate::manifest::{Manifest, PluginEntry};
use crate::progress::spinner;
pub(crate) use embed::beside;
use process::Group;

/// The target that Rust guests are built for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// Folders that hold results rather than sources.
pub(crate) const NOT_SOURCES: &[&str] = &["target", ".git", ".wharf", "node_modules"];

/// A folder with more files than this is not searched for the newest one: the command just runs.
const FILES_MAX: usize = 100_000;

/// What was done for one plugin that has a build command.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The plugin's name.
    pub(crate) plugin: String,
    /// How long its command ran; `None` when there was nothing to do.
    pub(crate) took: Option<Duration>,
}

/// Why a plugin could not be built.
#[derive(Clone, Debug)]
pub(crate) struct BuildFailed {
    /// The plugin's name.
    pub(crate) plugin: String,
    /// The cause, and what to do.
    pub(crate) message: String,
}

impl BuildFailed {
    fn new(plugin: &str, message: impl Into<String>) -> Self {
        BuildFailed { plugin: plugin.to_owned(), message: message.into() }
    }
}

impl fmt::Display for BuildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Runs the build command of each plugin whose component is stale, and says so on standard error. Dropping
/// the future ends what runs.
///
/// Cargo knows best what is stale, so `cargo ...` always runs. Anything else runs when the component is
/// missing, or older than a file in the manifest's folder or that of its WIT. A command that several plugins
/// share runs once.
///
/// # Errors
/// When a command cannot be run or fails; what it printed stands above the message. Plugins after it are
/// not built.
pub(crate) async fn build_stale(manifest: &Manifest) -> Result<Vec<Built>, BuildFailed> {
    if let Some(notice) = crate::sdk::notice(&manifest.dir) {
        eprintln!("{notice}");
    }
    let mut done = Vec::new();
    let mut commands = BTreeSet::new();
    for (name, plugin) in &manifest.plugins {
        let Some(command) = &plugin.build else { continue };
        let stale = |dir: &Path| is_stale(&plugin.component, dir);
        let wanted = is_cargo(command) || stale(&manifest.dir) || plugin.wit.as_deref().is_some_and(stale);
        let took = match wanted && commands.insert(command.as_str()) {
            true => Some(build(name, plugin, &manifest.dir).await?),
            // What failed to be put in the last time is not in yet.
            false => put_wit(name, plugin).await.map(|()| None)?,
        };
        done.push(Built { plugin: name.clone(), took });
    }
    Ok(done)
}

/// Runs the build command of one plugin, and gives the time that it took. Without one, nothing is done.
///
/// # Errors
/// As [`build_stale`].
pub(crate) async fn build(name: &str, plugin: &PluginEntry, dir: &Path) -> Result<Duration, BuildFailed> {
    let Some(command) = &plugin.build else { return Ok(Duration::ZERO) };
    let failed = |message: String| BuildFailed::new(name, message);
    if is_cargo(command) && command.contains(GUEST_TARGET) {
        add_guest_target(dir).await.map_err(failed)?;
    }
    eprintln!("building {name}: {command}");
    let started = Instant::now();
    let mut shell = shell(command, dir);
    // The compiler's output is shown as it is, and never mixed with results.
    let running = Group::spawn(shell.stdin(Stdio::null()).stdout(std::io::stderr()));
    let cannot = |error: std::io::Error| failed(format!("cannot build {name}: sh does not start: {error}"));
    let status = running.map_err(cannot)?.wait().await.map_err(cannot)?;
    if !status.success() {
        return Err(failed(format!(
            "building {name} failed ({status}); its output is above. The command was: {command}"
        )));
    }
    if !plugin.component.is_file() {
        return Err(failed(format!(
            "building {name} made no {}. Correct `component` or `build` in [plugin.{name}]",
            plugin.component.display(),
        )));
    }
    put_wit(name, plugin).await?;
    let took = started.elapsed();
    eprintln!("built {name} in {:.1} s", took.as_secs_f64());
    Ok(took)
}

/// Puts the WIT of a plugin that names it into its component; without one, nothing is done.
async fn put_wit(name: &str, plugin: &PluginEntry) -> Result<(), BuildFailed> {
    let Some(wit) = plugin.wit.clone() else { return Ok(()) };
    let component = plugin.component.clone();
    let embedding = tokio::task::spawn_blocking(move || embed::embed(&component, &wit));
    embedding.await.unwrap_or_else(|ended| Err(ended.to_string())).map_err(|what| {
        BuildFailed::new(name, format!("building {name} failed: {what}. See `wit` in [plugin.{name}]"))
    })
}

/// Whether Cargo decides what is stale.
pub(crate) fn is_cargo(command: &str) -> bool {
    command.split_ascii_whitespace().next() == Some("cargo")
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

/// What `command` prints in `dir`, and how it ends. Killed when the future is dropped.
async fn output(command: &str, dir: &Path) -> Result<std::process::Output, String> {
    let output = shell(command, dir).stdin(Stdio::null()).kill_on_drop(true).output().await;
    output.map_err(|error| format!("sh does not start: {error}"))
}

/// What `cargo run` sets for the program that it starts, and what would make a guest's build differ from one
/// by hand: the outer package's identity and flags. Also where it builds (`CARGO_TARGET_DIR`), since the
/// manifest says where the component will be. Where the registry is (`CARGO_HOME`) and which toolchain to use
/// stay the user's choice.
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
            | "CARGO_TARGET_DIR"
            | "CARGO_BUILD_TARGET_DIR"
            | "OUT_DIR"
            | "RUSTC_WRAPPER"
            | "RUSTC_WORKSPACE_WRAPPER"
    ) || ["CARGO_PKG_", "CARGO_BIN_", "CARGO_FEATURE_", "CARGO_CFG_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Adds the guest target to the toolchain of `dir` if it is not there.
async fn add_guest_target(dir: &Path) -> Result<(), String> {
    if has_guest_target(dir).await? {
        return Ok(());
    }
    let manual = format!(
        "Install it for your toolchain, for example with https://rustup.rs and: rustup target add {GUEST_TARGET}"
    );
    eprintln!("the target {GUEST_TARGET} is missing: rustup target add {GUEST_TARGET}");
    let spinner = spinner(&format!("adding {GUEST_TARGET}"));
    let output = output(&format!("rustup target add {GUEST_TARGET}"), dir).await;
    spinner.finish_and_clear();
    let output = output.map_err(|error| format!("{error}. {manual}"))?;
    match output.status.code() {
        Some(0) if has_guest_target(dir).await? => Ok(()),
        Some(0) => Err(format!(
            "rustup added {GUEST_TARGET}, but the rustc of {} does not have it: it is not one of rustup's. {manual}",
            dir.display()
        )),
        // What a shell says of a command that does not exist (POSIX, section 2.8.2).
        Some(127) => Err(format!("the Rust target {GUEST_TARGET} is missing, and so is rustup. {manual}")),
        _ => Err(format!(
            "rustup could not add {GUEST_TARGET}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Asks the compiler that a build in `dir` would use; the folder's toolchain file decides.
pub(crate) async fn has_guest_target(dir: &Path) -> Result<bool, String> {
    let output = output(&format!("rustc --print target-libdir --target {GUEST_TARGET}"), dir).await?;
    match output.status.code() {
        Some(0) => Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()),
        Some(127) => {
            Err("building Rust plugins needs Rust, and there is no rustc. Install it from https://rustup.rs"
                .to_owned())
        }
        _ => Err(format!(
            "rustc does not work in {}: {}",
            dir.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
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

        async fn build(&self, command: &str) -> Result<Vec<Built>, BuildFailed> {
            let text = format!(
                "[app]\nname = \"a\"\n[plugin.p]\ncomponent = \"target/p.wasm\"\nbuild = {command:?}\n"
            );
            build_stale(&Manifest::parse(&text, &self.0.join("wharf.toml")).unwrap()).await
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

    #[tokio::test]
    async fn a_command_runs_when_the_component_is_missing_or_older_than_a_source() {
        let project = Project::new("stale");
        project.file("source", 10);
        project.build(BUILD).await.unwrap();
        assert_eq!(built(&project), 1);
        project.build(BUILD).await.unwrap();
        assert_eq!(built(&project), 1, "nothing has changed");
        project.file("target/p.wasm", 20);
        project.build(BUILD).await.unwrap();
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

    #[tokio::test]
    async fn a_build_that_fails_or_makes_nothing_is_said_to_have() {
        let project = Project::new("fails");
        let failed = project.build("exit 3").await.unwrap_err().message;
        assert!(failed.contains("building p failed") && failed.ends_with("exit 3"), "{failed}");
        let nothing = project.build("true").await.unwrap_err().message;
        assert!(nothing.contains("made no") && nothing.contains("[plugin.p]"), "{nothing}");
    }

    #[tokio::test]
    async fn a_build_that_is_given_up_ends_with_everything_that_it_started() {
        let project = Project::new("dropped");
        // The shell and a child of it; both have the pipe open for writing as long as they live.
        let pipe = project.0.join("alive");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let (up, is_up) = tokio::sync::oneshot::channel();
        let reading = std::thread::spawn(move || {
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(File::open(pipe).unwrap()));
            up.send(lines.next().unwrap().unwrap()).unwrap();
            lines.count()
        });
        tokio::select! {
            built = project.build("exec 3>alive; echo up >&3; sleep 600 & sleep 600") => panic!("{built:?}"),
            line = is_up => assert_eq!(line.unwrap(), "up"),
        }
        assert_eq!(reading.join().unwrap(), 0, "the pipe was closed by the end of both");
    }

    #[test]
    fn an_outer_cargo_does_not_reach_into_a_build() {
        for outer in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
            assert!(is_of_an_outer_cargo(OsStr::new(outer)), "{outer}");
        }
        for kept in ["CARGO_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_AUTO_INSTALL", "PATH", "RUSTFLAGS"] {
            assert!(!is_of_an_outer_cargo(OsStr::new(kept)), "{kept}");
        }
    }
}
