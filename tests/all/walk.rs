//! The walks of `examples/notes/README.md` and `examples/users/README.md`, command by command, with what the pages say comes
//! out. `grpcurl` is one of the clients that `.ci/clients` installs.
//!
//! A block `console` has commands after `$ ` and their output below them. A block `console up` has the command
//! that goes on, or lines that it prints later. `…` stands for anything within a line, and alone on a line for
//! any lines.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use wharf_harness::{Log, run_alone, within};

use crate::{ROOT, WHARF};

/// For a build with everything that the plugin depends on.
const PATIENCE: Duration = Duration::from_secs(400);

#[test]
fn the_ten_minutes_of_notes_are_as_the_page_says() {
    walk("examples/notes", 10);
}

#[test]
fn the_doors_of_users_are_as_the_page_says() {
    walk("examples/users", 20);
}

/// Does what the page of an example says, in a copy of it, and compares what comes out.
fn walk(example: &'static str, commands_min: usize) {
    // The first run compiles the example's plugins and their tests.
    run_alone(Duration::from_secs(900), async move {
        let project = Project::copy(example);
        let page = project.on_own_ports(&fs::read_to_string(project.path().join("README.md")).unwrap());
        let mut up: Option<Up> = None;
        let mut commands = 0;
        for block in blocks(&page) {
            for step in block.steps {
                match (block.up, step.command) {
                    (true, Some(command)) => up = Some(Up::start(&project, command)),
                    (true, None) => {}
                    (false, Some(command)) => {
                        commands += 1;
                        let printed = project.run(command);
                        assert_matches(command, &printed, &step.expected);
                        continue;
                    }
                    (false, None) => panic!("output without a command: {:?}", step.expected),
                }
                up.as_mut().expect("it was started").prints(&step.expected).await;
            }
        }
        assert!(commands >= commands_min, "the page has {commands} commands");
        assert!(up.expect("it was started").stop(), "it ends with 0");
    });
}

/// A copy of an example, on ports of its own.
struct Project {
    dir: PathBuf,
    ports: [(&'static str, String); 2],
}

impl Project {
    fn copy(example: &str) -> Self {
        // What was compiled in it stays for the next run; the example's own folder stays as it is.
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(example);
        fs::create_dir_all(&dir).unwrap();
        clear(&dir);
        copy_dir(&Path::new(ROOT).join(example), &dir);
        let [http, admin] = free_ports();
        let project = Project { dir, ports: [("127.0.0.1:8080", http), ("127.0.0.1:9090", admin)] };
        let sdk = format!("path = \"{ROOT}/plugin-sdk\"");
        project.edit("Cargo.toml", |text| text.replace("path = \"../../plugin-sdk\"", &sdk));
        project.edit("wharf.toml", |text| project.on_own_ports(&text));
        project
    }

    fn path(&self) -> &Path {
        &self.dir
    }

    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path().join(name);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    }

    fn on_own_ports(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    fn shell(&self, command: &str) -> Command {
        let binaries = Path::new(WHARF).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let clients = Path::new(ROOT).join("target/clients/python/bin");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(self.path())
            .env("PATH", format!("{}:{}:{path}", binaries.display(), clients.display()))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        shell
    }

    /// What a command prints, standard error included.
    fn run(&self, command: &str) -> String {
        let output = self.shell(&format!("{{ {command}; }} 2>&1")).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The command that goes on.
struct Up {
    child: Child,
    output: Log,
    seen: usize,
}

impl Up {
    fn start(project: &Project, command: &str) -> Self {
        let mut shell = project.shell(&format!("exec {command} 2>&1"));
        let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
        let output = Log::read(child.stdout.take().unwrap());
        Up { child, output, seen: 0 }
    }

    /// Waits until it has printed these lines, in this order and with any others between them.
    async fn prints(&mut self, expected: &[&str]) {
        for pattern in expected {
            within(PATIENCE, pattern, async {
                loop {
                    let lines = self.output.since(self.seen);
                    if let Some(at) = lines.iter().position(|line| line_matches(line, pattern)) {
                        self.seen += at + 1;
                        return;
                    }
                    self.output.changed(self.seen + lines.len()).await;
                }
            })
            .await;
        }
    }

    /// Ctrl-C; whether it ends with 0.
    fn stop(mut self) -> bool {
        self.signal(Signal::INT);
        self.child.wait().unwrap().success()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- what it printed ----\n{}\n----", self.output.text());
        }
    }
}

struct Block<'a> {
    up: bool,
    steps: Vec<Step<'a>>,
}

struct Step<'a> {
    command: Option<&'a str>,
    expected: Vec<&'a str>,
}

/// The `console` blocks of a page.
fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let up = match line {
            "```console" => false,
            "```console up" => true,
            _ => continue,
        };
        let mut steps: Vec<Step<'_>> = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: Some(command), expected: Vec::new() }),
                (None, Some(step)) => step.expected.push(line),
                (None, None) => steps.push(Step { command: None, expected: vec![line] }),
            }
        }
        found.push(Block { up, steps });
    }
    found
}

#[track_caller]
fn assert_matches(command: &str, printed: &str, expected: &[&str]) {
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines_match(&lines, expected),
        "$ {command}\nprinted:\n{printed}\nbut the page says:\n{}",
        expected.join("\n")
    );
}

fn lines_match(lines: &[&str], expected: &[&str]) -> bool {
    match (lines, expected) {
        (_, ["…", rest @ ..]) => (0..=lines.len()).any(|skipped| lines_match(&lines[skipped..], rest)),
        ([line, lines @ ..], [pattern, rest @ ..]) => line_matches(line, pattern) && lines_match(lines, rest),
        ([], []) => true,
        _ => false,
    }
}

/// Whether `line` is `pattern`, where each `…` stands for anything.
fn line_matches(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Empties a folder but for what Cargo has made.
fn clear(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "target" {
            continue;
        }
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .unwrap();
    }
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, target): (_, PathBuf) = (entry.file_name(), to.join(entry.file_name()));
        if name == "target" || name == ".wharf" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Two addresses for a host, which the page needs to know before the host has bound them. They are below the ports that
/// the kernel gives to whoever asks for any, so no test beside this one is given them meanwhile.
fn free_ports() -> [String; 2] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    [0, 1].map(|_| {
        loop {
            let address = format!("127.0.0.1:{}", first + NEXT.fetch_add(1, Ordering::Relaxed));
            if TcpListener::bind(&address).is_ok() {
                break address;
            }
        }
    })
}

#[test]
fn a_pattern_stands_for_what_differs() {
    assert!(line_matches("built notes in 0.8 s", "built notes in … s"));
    assert!(line_matches("exact", "exact") && !line_matches("exactly", "exact"));
    assert!(!line_matches("built notes in 0.8 s now", "built notes in … s"));
    assert!(line_matches("a 1 b 2 c", "a … b … c") && !line_matches("a 1 c", "a … b … c"));
    assert!(lines_match(&["x", "y", "end"], &["…", "end"]) && !lines_match(&["x", "y"], &["…", "end"]));
}
