//! Builds the guests that the tests load, once, and writes where they are as `components.rs`.
//!
//! Guests are workspaces of their own with their own target directories, so this runs a second Cargo in a
//! clean environment: what the outer Cargo sets for build scripts, wrappers and targets is not for them.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

/// Workspaces of guests; one that does not exist yet is left out.
const WORKSPACES: &[&str] = &["tests/components", "plugins"];

/// What a guest is made of: a change in any file of these builds the guests again.
const SOURCES: &[&str] = &["tests/components", "plugins", "plugin-sdk", "wit"];

fn main() {
    if let Err(error) = build() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        rerun_if_changed(&root.join(source))?;
    }
    add_target()?;
    let mut guests = Vec::new();
    for workspace in WORKSPACES {
        let dir = root.join(workspace);
        if dir.join("Cargo.toml").exists() {
            guests.extend(build_workspace(&dir)?);
        }
    }
    guests.sort();
    let out = Path::new(&env::var("OUT_DIR")?).join("components.rs");
    fs::write(out, module(&guests))?;
    Ok(())
}

/// Names every file, and every folder that holds sources only: Cargo looks through a named folder to its
/// last file, and the target directory must not be among them.
fn rerun_if_changed(path: &Path) -> Result<(), Box<dyn Error>> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    // Animals of the zoo are read when its test runs.
    if name == "target" || name == "zoo" || name.starts_with('.') || !path.exists() {
        return Ok(());
    }
    if path.is_file() || name == "src" || name == "wit" {
        println!("cargo::rerun-if-changed={}", path.display());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        rerun_if_changed(&entry?.path())?;
    }
    Ok(())
}

/// Adds the standard library for guests where it is missing.
fn add_target() -> Result<(), Box<dyn Error>> {
    let found =
        clean(Command::new("rustc")).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    let libdir = String::from_utf8(found.stdout)?;
    if found.status.success() && Path::new(libdir.trim()).exists() {
        return Ok(());
    }
    let added = clean(Command::new("rustup")).args(["target", "add", TARGET]).stdout(Stdio::null()).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`rustup target add {TARGET}` ended with {status}").into()),
        Err(error) => Err(format!("the target {TARGET} is missing and rustup cannot be run: {error}").into()),
    }
}

/// Builds all guests of one workspace; returns the name and the path of each component.
fn build_workspace(dir: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    // The compiler's messages go to our stderr, which Cargo shows when this script fails.
    let output = clean(Command::new(env::var("CARGO")?))
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(dir)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the guests in {} do not build", dir.display()).into());
    }
    let mut guests = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten();
        for file in files.filter_map(|file| file.as_str()).map(Path::new) {
            if file.extension() == Some(OsStr::new("wasm")) {
                let name = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
                guests.push((name.replace('_', "-"), file.to_owned()));
            }
        }
    }
    Ok(guests)
}

/// A command without what the outer Cargo, or Clippy, has set for its own compilations.
fn clean(mut command: Command) -> Command {
    const OWN: &[&str] =
        &["TARGET", "HOST", "OUT_DIR", "NUM_JOBS", "OPT_LEVEL", "DEBUG", "PROFILE", "RUSTFLAGS"];
    // The home, the network and the job server of the user are for every Cargo.
    const KEPT: &[&str] =
        &["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_TERM_"];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let kept = KEPT.iter().any(|prefix| text.starts_with(prefix));
        let set_by_cargo =
            text.starts_with("CARGO") || text.starts_with("RUSTC") || text.starts_with("RUSTDOC");
        if OWN.contains(&text) || (set_by_cargo && !kept) {
            command.env_remove(&name);
        }
    }
    command
}

/// The text of `components.rs`: a constant for each guest and the list of all.
fn module(guests: &[(String, PathBuf)]) -> String {
    let mut text = String::new();
    let mut all = String::new();
    for (name, path) in guests {
        let constant = name.replace('-', "_").to_uppercase();
        let _ = writeln!(text, "/// The component `{name}`.\npub const {constant}: &str = {path:?};");
        let _ = writeln!(all, "    ({name:?}, {constant}),");
    }
    let _ = writeln!(
        text,
        "/// Every component: its name and its path.\npub const ALL: &[(&str, &str)] = &[\n{all}];"
    );
    text
}
