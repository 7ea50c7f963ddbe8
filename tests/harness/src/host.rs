use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::client::{self, Answer, Client, Protocol, RequestBody};
use crate::{Admin, Finished, Log, TempDir, command, components, process, within};

/// How long a host may take until it serves: the first one builds and compiles its components.
const START: Duration = Duration::from_secs(400);

/// How long a host may take to end.
const END: Duration = Duration::from_secs(30);

/// A host that is to be started: its manifest and the files beside it.
///
/// The manifest that a test gives needs plugins and routes only. In front of it come an `[app]`, a
/// `[listen]` with ports that the system chooses, and an `[engine]` whose cache all hosts of a test run
/// share, so that each guest is compiled once. `{{name}}` stands for the path of the built guest `name`.
#[derive(Clone, Debug)]
pub struct HostBuilder {
    binary: PathBuf,
    cache: PathBuf,
    manifest: String,
    engine: String,
    files: Vec<(String, Vec<u8>)>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    one_core: bool,
}

impl HostBuilder {
    /// A host of `binary` whose compiled components are kept in `cache`.
    pub fn new(binary: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        HostBuilder {
            binary: binary.into(),
            cache: cache.into(),
            manifest: String::new(),
            engine: String::new(),
            files: Vec::new(),
            args: ["--log", "json"].map(str::to_owned).to_vec(),
            env: Vec::new(),
            one_core: false,
        }
    }

    /// Plugins, routes and sections other than `[app]`, `[listen]` and `[engine]`.
    #[must_use]
    pub fn manifest(mut self, text: &str) -> Self {
        self.manifest = text.to_owned();
        self
    }

    /// More lines of `[engine]`.
    #[must_use]
    pub fn engine(mut self, lines: &str) -> Self {
        self.engine = lines.to_owned();
        self
    }

    /// Keeps compiled components in `dir` rather than with those of all other hosts.
    #[must_use]
    pub fn cache(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = dir.into();
        self
    }

    /// Puts a file beside the manifest.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// Puts a copy of `source` beside the manifest: something that a test can replace.
    #[must_use]
    pub fn copy(self, name: &str, source: impl AsRef<Path>) -> Self {
        self.file(name, std::fs::read(source).unwrap())
    }

    /// Replaces the arguments after `up DIR`, which are `--log json`.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    /// Sets an environment variable of the host.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the host run on one core only: whatever it does is done in turns.
    #[must_use]
    pub fn one_core(mut self) -> Self {
        self.one_core = true;
        self
    }

    /// Writes everything to a new folder, and starts nothing.
    pub fn write(self) -> App {
        let app = App { dir: TempDir::new(), builder: self };
        for (name, bytes) in &app.builder.files {
            app.replace(name, bytes);
        }
        app.set_manifest(&app.builder.manifest);
        app
    }

    /// Starts the host; resolves when it serves.
    pub async fn start(self) -> Host {
        self.write().start().await
    }
}

/// A folder with a manifest.
#[derive(Debug)]
pub struct App {
    dir: TempDir,
    builder: HostBuilder,
}

impl App {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Replaces the manifest in one step, as careful editors do.
    pub fn set_manifest(&self, text: &str) {
        self.replace("wharf.toml", self.render(text).as_bytes());
    }

    /// Replaces a file in one step: it is written under another name first.
    pub fn replace(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        let parts = path.with_file_name(format!(".{name}.new"));
        std::fs::write(&parts, bytes).unwrap();
        std::fs::rename(&parts, &path).unwrap();
    }

    /// Runs a subcommand of the binary in this folder until it ends.
    pub async fn wharf(&self, args: &[&str]) -> Finished {
        command(&self.builder.binary, self.path(), args).await
    }

    /// Starts the host; resolves when it serves. The folder goes with it.
    pub async fn start(self) -> Host {
        let mut args = vec!["up".to_owned(), self.path().to_str().unwrap().to_owned()];
        args.extend(self.builder.args.iter().cloned());
        let mut process = Process::spawn(&self.builder, &args);
        let (http, admin) = process.addresses().await;
        Host { process, http, admin, app: self }
    }

    fn render(&self, text: &str) -> String {
        let HostBuilder { cache, engine, .. } = &self.builder;
        let mut manifest = format!(
            "[app]\nname = \"test\"\n\n[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n\
             [engine]\ncache = {cache:?}\n{engine}\n{text}\n"
        );
        for (name, path) in components::ALL {
            manifest = manifest.replace(&format!("{{{{{name}}}}}"), path);
        }
        manifest
    }
}

/// A running host. It is killed on drop; its log is printed if that happens because a test failed.
#[derive(Debug)]
pub struct Host {
    process: Process,
    http: SocketAddr,
    admin: SocketAddr,
    app: App,
}

impl Host {
    /// Runs `binary` with `args`, which start a host from a folder that the test did not write.
    pub async fn spawn(binary: impl Into<PathBuf>, args: &[&str]) -> Host {
        let builder = HostBuilder::new(binary, "");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut process = Process::spawn(&builder, &args);
        let (http, admin) = process.addresses().await;
        Host { process, http, admin, app: App { dir: TempDir::new(), builder } }
    }

    /// Where it serves.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where its admin API is.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Its folder.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// What it has written to standard error.
    pub fn log(&self) -> &Log {
        &self.process.stderr
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> &Log {
        &self.process.stdout
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Its admin API, with the token from its data folder.
    pub fn admin(&self) -> Admin {
        Admin::new(self.admin, self.token())
    }

    /// The token for writes of the admin API.
    pub fn token(&self) -> String {
        let path = self.app.path().join(".wharf/admin.token");
        let token = std::fs::read_to_string(&path);
        token.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
    }

    /// A connection to it.
    pub async fn connect(&self, protocol: Protocol) -> Client {
        Client::connect(self.http, protocol).await
    }

    /// Answers a GET on a connection of its own, over HTTP/1.1.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(client::request("GET", path, client::empty())).await
    }

    /// Answers a POST with a whole body on a connection of its own, over HTTP/1.1.
    pub async fn post(&self, path: &str, body: impl Into<bytes::Bytes>) -> Answer {
        self.send(client::request("POST", path, client::body(body))).await
    }

    /// Answers any request on a connection of its own, over HTTP/1.1.
    pub async fn send(&self, request: Request<RequestBody>) -> Answer {
        self.connect(Protocol::Http1).await.answer(request).await
    }

    /// Asks it to end, as a service manager does.
    pub fn sigterm(&self) {
        signal(self.pid(), Signal::TERM);
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn sigint(&self) {
        signal(self.pid(), Signal::INT);
    }

    /// Ends it in good order; its folder stays, to be started again.
    pub async fn stop(self) -> App {
        self.end(Signal::TERM).await
    }

    /// Ends it as a crash does, in the middle of whatever it is doing; its folder stays.
    pub async fn kill(self) -> App {
        self.end(Signal::KILL).await
    }

    async fn end(self, how: Signal) -> App {
        signal(self.pid(), how);
        self.wait_exit(END).await;
        self.app
    }

    /// Waits for its end; the exit code, or `None` when a signal ended it.
    pub async fn wait_exit(&self, limit: Duration) -> Option<i32> {
        let mut exit = self.process.exit.clone();
        let status = within(limit, "the host to end", exit.wait_for(Option::is_some)).await;
        status.unwrap().unwrap().code()
    }
}

/// A child process with its outputs, killed on drop.
#[derive(Debug)]
struct Process {
    pid: u32,
    stdout: Log,
    stderr: Log,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    fn spawn(builder: &HostBuilder, args: &[String]) -> Self {
        let mut command = Command::new(&builder.binary);
        command
            .args(args)
            .env_remove("RUST_LOG")
            .envs(builder.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let spawned =
            if builder.one_core { process::on_one_core(|| command.spawn()) } else { command.spawn() };
        let mut child = spawned.unwrap_or_else(|error| panic!("{}: {error}", builder.binary.display()));
        let pid = child.id();
        let stdout = Log::read(child.stdout.take().unwrap());
        let stderr = Log::read(child.stderr.take().unwrap());
        let (ended, exit) = watch::channel(None);
        let ended = Arc::new(ended);
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            ended.send_replace(Some(status));
        });
        Process { pid, stdout, stderr, exit }
    }

    /// Where it serves HTTP and the admin API: it says so when everything serves.
    async fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let read = async {
            let mut addresses = [None, None];
            loop {
                let mark = self.stdout.mark();
                for line in self.stdout.since(0) {
                    for (address, prefix) in
                        addresses.iter_mut().zip(["listening on http://", "admin on http://"])
                    {
                        if let Some(rest) = line.strip_prefix(prefix) {
                            *address = Some(rest.trim().parse().unwrap());
                        }
                    }
                }
                if let [Some(http), Some(admin)] = addresses {
                    return (http, admin);
                }
                self.stdout.changed(mark).await;
                if self.exit.borrow().is_some() && self.stdout.mark() == mark {
                    panic!("the host ended before it served: {:?}", self.exit.borrow());
                }
            }
        };
        within(START, "the host to serve", read).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.borrow().is_none() {
            signal(self.pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("---- standard output of the host ----\n{}", self.stdout.text());
            eprintln!("---- log of the host ----\n{}\n----", tail(&self.stderr));
        }
    }
}

/// The last lines of a log: a host under load writes more than anyone reads.
fn tail(log: &Log) -> String {
    const LINES: usize = 200;
    let skipped = log.mark().saturating_sub(LINES);
    let lines = log.since(skipped).join("\n");
    if skipped == 0 { lines } else { format!("({skipped} lines before)\n{lines}") }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The process may just have ended.
        let _ = kill_process(pid, signal);
    }
}
