//! Clients that other people wrote, which `.ci/clients` installs into `target/clients` and `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::ROOT;

pub(crate) fn python() -> PathBuf {
    dir().join("bin/python")
}

/// Where the Python clients are: beside everything that is built.
pub(crate) fn dir() -> PathBuf {
    Path::new(ROOT).join("target/clients/python")
}

/// Runs a client that prints a line of JSON for each thing that it found.
pub(crate) fn client(program: &Path, args: &[&str]) -> Vec<Value> {
    let mut command = Command::new(program);
    command.args(args).current_dir(Path::new(ROOT).join("tests/clients")).stdin(Stdio::null());
    let missing = |error| panic!("{}: {error}; run `.ci/clients` first", program.display());
    let output = command.output().unwrap_or_else(missing);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}\n{out}\n{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}
