use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use wharf_harness::TempDir;

use crate::{Result, bare};

/// A server process. It is killed on drop.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    /// Kept open: a server whose output nobody holds could end on its next line.
    _stdout: BufReader<ChildStdout>,
    _dir: Option<TempDir>,
}

impl Server {
    /// The bare hyper server: this program again.
    pub(crate) fn bare() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(bare::SUBCOMMAND);
        Server::start(command, None)
    }

    /// `wharf up` with one plugin that answers at `path`.
    pub(crate) fn wharf(binary: &Path, component: &str, path: &str) -> Result<Self> {
        let dir = TempDir::new();
        let manifest = format!(
            "[app]\nname = \"bench\"\n\n[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n\
             [plugin.hello]\ncomponent = {component:?}\n\n\
             [[route]]\npath = {path:?}\nplugin = \"hello\"\n"
        );
        std::fs::write(dir.path().join("wharf.toml"), manifest)?;
        let mut command = Command::new(binary);
        command.arg("up").arg(dir.path()).args(["--log", "json"]);
        Server::start(command, Some(dir))
    }

    fn start(mut command: Command, dir: Option<TempDir>) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("the output of a child is piped")?);
        let mut line = String::new();
        let addr = loop {
            line.clear();
            if stdout.read_line(&mut line)? == 0 {
                let status = child.wait()?;
                return Err(format!("{command:?} ended with {status} before it served").into());
            }
            if let Some(addr) = line.trim().strip_prefix("listening on http://") {
                break addr.parse()?;
            }
        };
        Ok(Server { child, addr, _stdout: stdout, _dir: dir })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
