//! The programs that are measured, brought up to date before they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The release that the goals were set against; the host itself is built with the same wasmtime.
pub(crate) const WASMTIME_VERSION: &str = "48.0.8";

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The target directory that this program was built into.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let dir = program.parent().and_then(Path::parent).ok_or("this program is not in a target directory")?;
    Ok(dir.to_owned())
}

/// Builds the host: comparing figures of an old one by mistake is worse than a short wait.
pub(crate) fn wharf() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--release", "--bin", "wharf"]).arg("--target-dir").arg(target_dir()?);
    finish(build.current_dir(root()))?;
    Ok(target_dir()?.join("release/wharf"))
}

/// Builds the floor, which is a benchmark of the engine: with the host beside it, so that Cargo chooses the features of
/// their dependencies alike.
pub(crate) fn floor() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--release", "-p", "wharf", "-p", "wharf-engine", "--bench", "floor"]);
    build.args(["--message-format", "json-render-diagnostics"]).arg("--target-dir").arg(target_dir()?);
    let output = build.current_dir(root()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{build:?} ended with {}", output.status).into());
    }
    let messages = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let artifacts = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let mut floor = artifacts.filter(|message| message["target"]["name"] == "floor");
    let executable = floor.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    Ok(executable.ok_or("cargo did not say where the floor is")?)
}

/// `wasmtime`, installed once into the target directory. That compiles it, which takes many minutes.
pub(crate) fn wasmtime() -> Result<PathBuf> {
    let tools = target_dir()?.join("bench-tools");
    let program = tools.join("bin/wasmtime");
    let installed = Command::new(&program).arg("--version").output();
    let version = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if version.is_ok_and(|version| version.split_whitespace().nth(1) == Some(WASMTIME_VERSION)) {
        return Ok(program);
    }
    eprintln!("installing wasmtime {WASMTIME_VERSION} once; this takes many minutes");
    let mut install = cargo();
    install.args(["install", "wasmtime-cli", "--locked", "--force", "--version", WASMTIME_VERSION]);
    install.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
    finish(&mut install)?;
    std::fs::remove_dir_all(tools.join("build"))?;
    Ok(program)
}

/// The commit that is measured, with a `+` behind it when files differ from it.
pub(crate) fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(root()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".to_owned() };
    // The figures themselves are written into the tree after they were measured.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!tests/bench/*.md"]);
    if changed.is_none_or(|changed| changed.is_empty()) { commit } else { format!("{commit}+") }
}

/// The name of the processor, from `/proc/cpuinfo`.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{name}, {cores} cores")
}

/// How many threads have wanted a core in the last minute, from `/proc/loadavg`: on a machine at rest, nearly none.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn finish(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// The version of the compiler.
pub(crate) fn rustc() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
