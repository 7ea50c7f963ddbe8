use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fmt, fs};

use bytes::Bytes;

use super::http1::{self, Answer};

/// How long a host may take until it serves: the first start builds the component, with everything that it
/// depends on.
const START: Duration = Duration::from_secs(600);

/// How many lines of a host's log are shown when a test fails.
const LOG_LINES_SHOWN: usize = 200;

/// The built plugin in the real host: an installed `wharf`, started for one test.
///
/// Its port is one that the system chooses, its stores are in a temporary folder, and it ends with this value;
/// when that happens because a test failed, its log is printed. So tests neither see each other nor a host that
/// runs beside them. Compiled components are cached in the project's data folder as always.
///
/// ```no_run
/// # use wharf_sdk as wharf;
/// use wharf::testing::Host;
///
/// # /*
/// #[test]
/// # */
/// fn it_greets() {
///     let host = Host::start(env!("CARGO_MANIFEST_DIR"));
///     assert_eq!(host.get("/hello/Ann").expect(200).text(), "Hello, Ann!\n");
/// }
/// ```
///
/// The binary is the one that `$WHARF` names, or the `wharf` of `$PATH`. It builds the component before it
/// serves, with the `build` command of `wharf.toml`. Its version must fit this SDK's: the same up to the last
/// number, which may be higher.
///
/// Everything here panics when it does not work, with the reason: it is for tests.
pub struct Host {
    process: Process,
    http: SocketAddr,
    admin: SocketAddr,
    log: Log,
    // Removed last.
    _data: TempDir,
}

/// A [`Host`] that is to be started in another way than [`Host::start`] does.
#[derive(Clone, Debug)]
pub struct HostBuilder {
    dir: PathBuf,
    wharf: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Host {
    /// Starts the host of the folder with `wharf.toml`, and waits until it serves.
    ///
    /// # Panics
    /// When there is no `wharf`, when its version does not fit, and when it does not serve: with what it said.
    #[track_caller]
    pub fn start(dir: impl AsRef<Path>) -> Host {
        Host::builder(dir).start()
    }

    /// A host that is to be started with more arguments or in another environment.
    pub fn builder(dir: impl AsRef<Path>) -> HostBuilder {
        HostBuilder { dir: dir.as_ref().to_owned(), wharf: None, args: Vec::new(), env: Vec::new() }
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// Where its admin API is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Everything that it has written to standard error so far: its log, and the output of the build.
    pub fn log(&self) -> String {
        self.log.lines().join("\n")
    }

    /// The first line of its log that holds `text`, now or within 15 seconds.
    ///
    /// # Panics
    /// When there is none by then.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(15);
        self.log
            .wait(until, |line| line.contains(text))
            .unwrap_or_else(|| panic!("no line of the log has {text:?}"))
    }

    /// Answers a GET of `path`, which may have a query.
    ///
    /// # Panics
    /// When there is no complete answer within a minute.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, Bytes::new()))
    }

    /// Answers a POST of `body` to `path`.
    ///
    /// # Panics
    /// As [`Host::get`].
    #[track_caller]
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request("POST", path, body.into()))
    }

    /// Answers any request, on a connection of its own over HTTP/1.1. `host`, `content-length` and
    /// `connection` are added to its fields.
    ///
    /// # Panics
    /// As [`Host::get`].
    #[track_caller]
    pub fn send(&self, request: http::Request<impl Into<Bytes>>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        let (head, body) = request.into_parts();
        match http1::exchange(self.http, &head, &body.into()) {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("http", &self.http).field("admin", &self.admin).finish_non_exhaustive()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.process.end();
        if std::thread::panicking() {
            eprintln!("---- log of the host ----\n{}\n----", self.log.tail());
        }
    }
}

impl HostBuilder {
    /// Takes this binary rather than the one of `$WHARF` or `$PATH`.
    #[must_use]
    pub fn wharf(mut self, binary: impl Into<PathBuf>) -> Self {
        self.wharf = Some(binary.into());
        self
    }

    /// Adds an argument of `wharf up`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable of the host. A plugin sees its own: `grants.env` of the manifest.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Panics
    /// As [`Host::start`].
    #[track_caller]
    pub fn start(self) -> Host {
        match self.try_start() {
            Ok(host) => host,
            Err(message) => panic!("{message}"),
        }
    }

    fn try_start(self) -> Result<Host, String> {
        let wharf = find(self.wharf, env::var_os("WHARF"), env::var_os("PATH"))?;
        check_version(&wharf)?;
        let data = TempDir::new().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let mut child = Command::new(&wharf)
            .arg("up")
            .arg(&self.dir)
            .args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "text", "--data"])
            .arg(data.path())
            .args(&self.args)
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", wharf.display()))?;
        let said = child.stdout.take().map(lines);
        let log = Log::read(child.stderr.take());
        // From here on it ends with this value.
        let mut process = Process(child);
        let said = said.ok_or("a process without an output")?;
        match addresses(&said) {
            Ok((http, admin)) => Ok(Host { process, http, admin, log, _data: data }),
            Err(why) => {
                process.end();
                let dir = self.dir.display();
                log.wait_for_its_end();
                Err(format!("`wharf up {dir}` {why}. It said:\n{}", log.tail()))
            }
        }
    }
}

/// What `wharf up` prints when it serves.
fn addresses(lines: &Receiver<String>) -> Result<(SocketAddr, SocketAddr), String> {
    let until = Instant::now() + START;
    let mut http = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("did not serve within {START:?}"),
            RecvTimeoutError::Disconnected => "ended before it served".to_owned(),
        })?;
        let address = |prefix: &str| -> Option<SocketAddr> { line.strip_prefix(prefix)?.trim().parse().ok() };
        http = http.or_else(|| address("listening on http://"));
        if let (Some(http), Some(admin)) = (http, address("admin on http://")) {
            return Ok((http, admin));
        }
    }
}

/// The binary: the one that was asked for, that of `$WHARF`, or the first of `$PATH`.
fn find(asked: Option<PathBuf>, wharf: Option<OsString>, path: Option<OsString>) -> Result<PathBuf, String> {
    if let Some(binary) = asked.or_else(|| wharf.filter(|name| !name.is_empty()).map(PathBuf::from)) {
        return if binary.is_file() {
            // A relative path is meant from here, not from the folder of the plugin.
            std::path::absolute(&binary).map_err(|error| format!("{}: {error}", binary.display()))
        } else {
            Err(format!("there is no {}, which $WHARF names as the host to test in", binary.display()))
        };
    }
    let name = format!("wharf{}", env::consts::EXE_SUFFIX);
    let folders = path.as_deref().map(env::split_paths);
    let found = folders.into_iter().flatten().map(|folder| folder.join(&name)).find(|file| file.is_file());
    found.ok_or_else(|| {
        format!(
            "this test runs the plugin in the real host, and there is no `wharf` on the PATH. {}",
            how_to_install()
        )
    })
}

fn how_to_install() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "Install wharf {version}, in a clone of https://github.com/wharf-host/wharf:\n  \
         cargo install --locked --path .\n\
         or name the binary: WHARF=/path/to/wharf cargo test"
    )
}

/// The host and this SDK meet in contracts that only a version of their own series is sure to have.
fn check_version(wharf: &Path) -> Result<(), String> {
    let output = Command::new(wharf).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{} cannot be run: {error}", wharf.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.trim().strip_prefix("wharf ").ok_or_else(|| {
        format!(
            "{} is not a wharf: `--version` said {:?}. {}",
            wharf.display(),
            said.trim(),
            how_to_install()
        )
    })?;
    if fits(env!("CARGO_PKG_VERSION"), version) {
        return Ok(());
    }
    Err(format!(
        "{} is wharf {version}, which does not fit the SDK {} of this plugin. Update the older of the two: the SDK \
         with `wharf sdk update`, the host as follows. {}",
        wharf.display(),
        env!("CARGO_PKG_VERSION"),
        how_to_install()
    ))
}

/// Whether a host of version `host` runs what was built with `sdk`: the same series, and not older.
fn fits(sdk: &str, host: &str) -> bool {
    let numbers = |version: &str| -> Option<[u64; 3]> {
        let release = version.split(['-', '+']).next()?;
        let numbers: Vec<u64> =
            release.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        numbers.try_into().ok()
    };
    match (numbers(sdk), numbers(host)) {
        // Before 1.0, the second number is the one that breaks.
        (Some([0, sdk_minor, sdk_patch]), Some([0, minor, patch])) => {
            minor == sdk_minor && patch >= sdk_patch
        }
        (Some([sdk_major, sdk_minor, _]), Some([major, minor, _])) => {
            sdk_major != 0 && major == sdk_major && minor >= sdk_minor
        }
        _ => false,
    }
}

/// Killed when it is dropped.
struct Process(Child);

impl Process {
    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The lines of an output as they come, read on a thread of their own so that nobody waits for the reader.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        each_line(output, |line| drop(sender.send(line)));
    });
    receiver
}

fn each_line(output: impl Read, mut take: impl FnMut(String)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
        take(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

/// What a process has written so far.
#[derive(Clone, Default)]
struct Log(Arc<Written>);

#[derive(Default)]
struct Written {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// Whether there can be no more.
    ended: bool,
}

impl Log {
    fn read(output: Option<impl Read + Send + 'static>) -> Self {
        let log = Log::default();
        if let Some(output) = output {
            let log = log.clone();
            std::thread::spawn(move || {
                each_line(output, |line| log.change(|state| state.lines.push(line)));
                log.change(|state| state.ended = true);
            });
        }
        log
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }

    fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The first line that `matches`; none when there is none at the moment `until`, or can be none any more.
    fn wait(&self, until: Instant, matches: impl Fn(&str) -> bool) -> Option<String> {
        let mut state = self.lock();
        let mut seen = 0;
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| matches(line)) {
                return Some(line.clone());
            }
            seen = state.lines.len();
            let left = until.checked_duration_since(Instant::now())?;
            if state.ended {
                return None;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A process that was killed has written its last line a moment ago.
    fn wait_for_its_end(&self) {
        self.wait(Instant::now() + Duration::from_secs(1), |_| false);
    }

    fn tail(&self) -> String {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(LOG_LINES_SHOWN);
        let shown = lines[skipped..].join("\n");
        if skipped == 0 { shown } else { format!("({skipped} lines before)\n{shown}") }
    }
}

fn request(method: &str, path: &str, body: Bytes) -> http::Request<Bytes> {
    match http::Request::builder().method(method).uri(path).body(body) {
        Ok(request) => request,
        Err(error) => panic!("{path:?} is not a path: {error}"),
    }
}

/// A folder that is removed with everything in it.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("wharf-plugin-test-{}-{count}", std::process::id()));
        // That of an earlier process with the same id, which was killed before it could clean up.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)?;
        Ok(TempDir(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_host_of_the_same_series_that_is_not_older_fits() {
        for (sdk, host) in [
            ("0.1.0", "0.1.0"),
            ("0.1.0", "0.1.7"),
            ("0.1.0", "0.1.1-dev"),
            ("1.2.3", "1.2.0"),
            ("1.2.3", "1.9.0"),
        ] {
            assert!(fits(sdk, host), "{sdk} {host}");
        }
        for (sdk, host) in [
            ("0.1.1", "0.1.0"),
            ("0.1.0", "0.2.0"),
            ("0.2.0", "0.1.9"),
            ("1.2.0", "1.1.9"),
            ("1.2.0", "2.0.0"),
            ("0.1.0", "1.0.0"),
            ("0.1.0", "x"),
            ("0.1.0", "0.1"),
        ] {
            assert!(!fits(sdk, host), "{sdk} {host}");
        }
    }

    #[test]
    fn a_host_that_is_not_there_is_said_to_be_installed_how() {
        let path = env::temp_dir().into_os_string();
        let missing = find(None, None, Some(path)).unwrap_err();
        assert!(missing.contains("cargo install --locked --path ."), "{missing}");
        assert!(missing.contains("WHARF=/path/to/wharf"), "{missing}");
        let named = find(None, Some("/nowhere/wharf".into()), None).unwrap_err();
        assert!(named.contains("/nowhere/wharf") && named.contains("$WHARF"), "{named}");
    }

    #[cfg(unix)]
    mod with_a_script {
        use std::os::unix::fs::PermissionsExt;

        use super::*;

        /// Something that is called as `wharf` would be.
        fn script(dir: &TempDir, text: &str) -> PathBuf {
            let path = dir.path().join("wharf");
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        fn refused(dir: &TempDir, text: &str) -> String {
            Host::builder(dir.path()).wharf(script(dir, text)).try_start().unwrap_err()
        }

        #[test]
        fn a_host_that_does_not_fit_or_does_not_serve_is_refused_with_the_reason() {
            let dir = TempDir::new().unwrap();
            let other = refused(&dir, "echo wharf 99.0.0");
            assert!(other.contains("is wharf 99.0.0, which does not fit the SDK"), "{other}");
            let none = refused(&dir, "echo something else");
            assert!(none.contains("is not a wharf"), "{none}");
            let version = env!("CARGO_PKG_VERSION");
            let broken = format!(
                "[ \"$1\" = --version ] && {{ echo wharf {version}; exit; }}\necho 'error: no manifest' >&2; exit 1"
            );
            let broken = refused(&dir, &broken);
            assert!(
                broken.contains("ended before it served") && broken.contains("error: no manifest"),
                "{broken}"
            );
        }
    }
}
