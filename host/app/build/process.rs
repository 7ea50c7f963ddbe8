use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A command and everything that it starts, in a process group of its own. Dropping it ends them all: a
/// compiler must not outlive the host that it works for.
///
/// Being a group of its own, it does not get the Ctrl-C of a terminal; the host does, and drops it.
pub(super) struct Group {
    child: Child,
    /// Absent when the leader has been waited for: its id may be another's by then.
    group: Option<Pid>,
}

impl Group {
    /// Starts it.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Group { child, group })
    }

    /// Resolves when the command itself has ended.
    pub(super) async fn wait(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.group = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Cargo and rustc write their results to other names first, so nothing is left half-done.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
