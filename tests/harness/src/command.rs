use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::within;

/// A program that has ended: what it wrote and how it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Finished {
    /// The standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON: {error}\n{self:?}"))
    }
}

/// Runs `program` in `dir` until it ends, which must be within a minute.
pub async fn command(
    program: impl AsRef<OsStr>,
    dir: impl AsRef<Path>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Finished {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir);
    finish(&mut command, Duration::from_secs(60)).await
}

/// Runs a command until it ends, which must be within `limit`.
pub async fn finish(command: &mut Command, limit: Duration) -> Finished {
    let mut child = command
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = read(child.stdout.take().unwrap());
    let stderr = read(child.stderr.take().unwrap());
    let pid = Killed(child.id());
    let status = tokio::task::spawn_blocking(move || child.wait());
    let status = within(limit, "a command to end", status).await.unwrap().unwrap();
    std::mem::forget(pid);
    Finished { code: status.code(), stdout: stdout.await.unwrap(), stderr: stderr.await.unwrap() }
}

/// Ends the process when the wait for it is given up.
struct Killed(u32);

impl Drop for Killed {
    fn drop(&mut self) {
        crate::host::signal(self.0, rustix::process::Signal::KILL);
    }
}

fn read(mut source: impl Read + Send + 'static) -> tokio::task::JoinHandle<String> {
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
