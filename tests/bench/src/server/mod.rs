//! The servers that are measured, each a process of its own.

pub(crate) mod bare;
pub(crate) mod tonic;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use wharf_harness::TempDir;

use crate::Result;

/// A server process. It is killed on drop.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    _dir: Option<TempDir>,
}

/// `wharf up` with one plugin.
#[derive(Clone, Copy)]
pub(crate) struct Wharf<'a> {
    pub(crate) binary: &'a Path,
    /// Compiled components, shared by all hosts of a run.
    pub(crate) cache: &'a Path,
    pub(crate) component: &'a str,
    /// The path of the route.
    pub(crate) path: &'a str,
    /// More sections of the manifest.
    pub(crate) more: &'a str,
}

/// Where a server says where it listens.
#[derive(Clone, Copy)]
enum Announces {
    Stdout(&'static str),
    Stderr(&'static str),
}

impl Server {
    /// The bare hyper server: this program again.
    pub(crate) fn bare() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(bare::SUBCOMMAND);
        Server::start(command, Announces::Stdout("listening on http://"), None)
    }

    /// The least that can serve a handler: with instances that it reuses, or a fresh one for each request.
    pub(crate) fn floor(binary: &Path, component: &str, fresh: bool) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg(component).args(fresh.then_some("fresh"));
        Server::start(command, Announces::Stdout("listening on http://"), None)
    }

    /// The bare tonic server: likewise.
    pub(crate) fn tonic() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(tonic::SUBCOMMAND);
        Server::start(command, Announces::Stdout("listening on http://"), None)
    }

    /// `wasmtime serve` with more flags.
    pub(crate) fn wasmtime(binary: &Path, component: &str, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--addr", "127.0.0.1:0"]).args(flags).arg(component);
        Server::start(command, Announces::Stderr("Serving HTTP on http://"), None)
    }

    /// A host with the defaults of everything that `more` does not set.
    pub(crate) fn wharf(wharf: Wharf<'_>) -> Result<Self> {
        let (command, dir) = wharf.command()?;
        Server::wharf_of(command, dir)
    }

    /// A host that `command` starts, in a folder that is removed with it.
    pub(crate) fn wharf_of(command: Command, dir: TempDir) -> Result<Self> {
        Server::start(command, Announces::Stdout("listening on http://"), Some(dir))
    }

    fn start(mut command: Command, announces: Announces, dir: Option<TempDir>) -> Result<Self> {
        bare_environment(&mut command).stdin(Stdio::null());
        match announces {
            Announces::Stdout(_) => command.stdout(Stdio::piped()).stderr(Stdio::null()),
            Announces::Stderr(_) => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.spawn()?;
        let (output, prefix): (Box<dyn Read + Send>, _) = match announces {
            Announces::Stdout(prefix) => (Box::new(child.stdout.take().ok_or("is piped")?), prefix),
            Announces::Stderr(prefix) => (Box::new(child.stderr.take().ok_or("is piped")?), prefix),
        };
        let mut output = BufReader::new(output);
        let addr = match announced(&mut output, prefix)? {
            Some(addr) => addr,
            None => {
                let status = child.wait()?;
                return Err(format!("{command:?} ended with {status} before it served").into());
            }
        };
        // A server whose output nobody reads could end, or wait, on its next line.
        thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(Server { child, addr, _dir: dir })
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

impl Wharf<'_> {
    /// The command that starts it, and the folder that it runs in.
    pub(crate) fn command(self) -> Result<(Command, TempDir)> {
        let Wharf { binary, cache, component, path, more } = self;
        let dir = TempDir::new();
        // Functions have addresses of their own.
        let route = match path {
            "" => String::new(),
            path => format!("[[route]]\npath = {path:?}\nplugin = \"it\"\n"),
        };
        write_manifest(
            dir.path(),
            cache,
            &format!("{more}\n[plugin.it]\ncomponent = {component:?}\n\n{route}"),
        )?;
        let mut command = Command::new(binary);
        command.arg("up").arg(dir.path()).args(["--log", "json"]);
        Ok((command, dir))
    }
}

/// Takes out of the environment what makes a server slower that it does not need: with `RUST_BACKTRACE`, wasmtime
/// unwinds the stack for each instance that it drops.
pub(crate) fn bare_environment(command: &mut Command) -> &mut Command {
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE").env_remove("RUST_LOG")
}

/// Writes a manifest for ports that the system chooses.
pub(crate) fn write_manifest(dir: &Path, cache: &Path, sections: &str) -> Result<PathBuf> {
    let path = dir.join("wharf.toml");
    let text = format!(
        "[app]\nname = \"bench\"\n\n[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n\
         [engine]\ncache = {cache:?}\n\n{sections}"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Reads to the line that has the address; `None` when there is none to the end.
pub(crate) fn announced(output: &mut impl BufRead, prefix: &str) -> Result<Option<SocketAddr>> {
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(addr) = line.trim().strip_prefix(prefix) {
            return Ok(Some(addr.trim_end_matches('/').parse()?));
        }
    }
}
