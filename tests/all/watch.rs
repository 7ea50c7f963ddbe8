//! `wharf up --watch`: what is saved is built and swapped in, whatever builds it. `new.rs` has Cargo's part.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use wharf_harness::{Host, HostBuilder, Log, TempDir, components, eventually, run};

use crate::{WHARF, everything, host};

/// A plugin whose build takes a component from `source` and puts it where it is loaded.
const COPY: &str = "cp source out.tmp && mv out.tmp guest.wasm";

/// One plugin that answers everything and that `command` builds.
fn built_by(command: &str) -> String {
    let entry = format!("component = \"guest.wasm\"\nbuild = {command:?}");
    everything("guest.wasm").replace("component = \"guest.wasm\"", &entry)
}

fn watching(manifest: &str) -> HostBuilder {
    host(manifest).args(&["--log", "json", "--watch"])
}

fn replace(host: &Host, name: &str, from: impl AsRef<Path>) {
    host.app().replace(name, fs::read(from).unwrap());
}

async fn version(host: &Host) -> String {
    host.get("/").await.expect(200).header("x-version").unwrap().to_owned()
}

#[test]
fn a_save_is_built_and_serves_and_what_does_not_build_or_load_does_not() {
    run(async {
        let host = watching(&built_by(COPY)).copy("source", components::VERSION_ONE).start().await;
        assert_eq!(version(&host).await, "one");

        let mark = host.log().mark();
        replace(&host, "source", components::VERSION_TWO);
        let said = host.log().wait_from(mark, "a reload", |line| line.starts_with("guest: ")).await;
        assert!(said.starts_with("guest: built in ") && said.contains("generation 2 serves"), "{said}");
        assert_eq!(version(&host).await, "two");

        let mark = host.log().mark();
        replace(&host, "source", components::VERSION_THREE_UNHEALTHY);
        let said = host.log().wait_from(mark, "a refusal", |line| line.starts_with("guest: ")).await;
        assert!(
            said.contains("refused at health") && said.ends_with("generation 2 goes on serving"),
            "{said}"
        );

        let mark = host.log().mark();
        fs::remove_file(host.app().path().join("source")).unwrap();
        let said = host.log().wait_from(mark, "a failure", |line| line.starts_with("guest: ")).await;
        assert!(
            said.starts_with("guest: not reloaded") && said.ends_with("generation 2 goes on serving"),
            "{said}"
        );
        let shown = host.log().since(mark);
        assert!(shown.iter().any(|line| line.starts_with("cp: ")), "what the command said: {shown:#?}");
        assert_eq!(version(&host).await, "two");

        replace(&host, "source", components::VERSION_ONE);
        // The one that was refused has had a number, too.
        host.log().wait_from(mark, "a reload", |line| line.contains("generation 4 serves")).await;
        assert_eq!(version(&host).await, "one");
    });
}

#[test]
fn what_is_saved_during_a_build_is_built_after_it_once() {
    run(async {
        // Each build but the first waits until somebody writes into the pipe.
        let command = format!("echo run >> .runs; [ ! -e .go ] || read go < .go; {COPY}");
        let host = watching(&built_by(&command)).copy("source", components::VERSION_ONE).start().await;
        let pipe = host.app().path().join(".go");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let runs = || fs::read_to_string(host.app().path().join(".runs")).unwrap().lines().count();
        assert_eq!(runs(), 1);

        let mark = host.log().mark();
        let begun = |line: &str| line.starts_with("building guest: ");
        replace(&host, "source", components::VERSION_TWO);
        host.log().wait_from(mark, "a build", begun).await;
        // While it runs: three times another content, and the last one counts.
        for saved in [components::KITCHEN, components::VERSION_TWO, components::VERSION_ONE] {
            replace(&host, "source", saved);
        }
        let last = fs::read(components::VERSION_ONE).unwrap();
        assert_eq!(fs::read(host.app().path().join("source")).unwrap(), last);
        let go = pipe.clone();
        let let_go = move || fs::write(&go, "go\n").unwrap();
        tokio::task::spawn_blocking(let_go.clone()).await.unwrap();

        // Another one begins, and only one: the pipe is opened by nobody after it.
        eventually("the queued build", async || (runs() == 3).then_some(())).await;
        tokio::task::spawn_blocking(let_go).await.unwrap();
        let done = |line: &str| line.starts_with("guest: built in ");
        let first = host.log().wait_from(mark, "the end of the first", done).await;
        let seen = host.log().since(0).iter().position(|line| *line == first).unwrap();
        host.log().wait_from(seen + 1, "the end of the second", done).await;
        assert_eq!(version(&host).await, "one");
        assert_eq!(runs(), 3);
        let built = host.log().since(mark).iter().filter(|line| begun(line)).count();
        assert_eq!(built, 2, "three saves during a build are one build");
    });
}

#[test]
fn only_the_plugin_whose_source_was_saved_is_built() {
    run(async {
        // Cargo's own lists say what is whose; a command that is called `cargo` writes such a list.
        let manifest = r#"
            [plugin.left]
            component = "left.wasm"
            build = "cargo left"

            [plugin.right]
            component = "right.wasm"
            build = "cargo right"

            [[route]]
            path = "/left"
            plugin = "left"

            [[route]]
            path = "/right"
            plugin = "right"
        "#;
        let cargo = "#!/bin/sh\n\
            cp $1.source .$1.tmp && mv .$1.tmp $1.wasm && echo \"$PWD/$1.wasm: $PWD/$1.source\" > $1.d\n";
        let bin = TempDir::new();
        let path = bin.path().join("cargo");
        fs::write(&path, cargo).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let search = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
        let host = watching(manifest)
            .env("PATH", &search)
            .copy("left.source", components::VERSION_ONE)
            .copy("right.source", components::VERSION_ONE)
            .start()
            .await;

        let mark = host.log().mark();
        replace(&host, "right.source", components::VERSION_TWO);
        host.log().wait_from(mark, "a reload", |line| line.starts_with("right: built in ")).await;
        // A second save, so that a late build of the other one would have been seen.
        replace(&host, "right.source", components::VERSION_ONE);
        host.log().wait_from(mark, "a reload", |line| line.contains("generation 3 serves")).await;
        let built = host.log().since(mark);
        assert!(!built.iter().any(|line| line.contains("building left")), "{built:#?}");

        let mark = host.log().mark();
        replace(&host, "shared.rs", components::VERSION_ONE);
        for name in ["left", "right"] {
            let same = format!("{name}: built in ");
            host.log().wait_from(mark, "a file that is on no list", |line| line.starts_with(&same)).await;
        }
    });
}

#[test]
fn ctrl_c_ends_the_host_and_everything_that_a_build_has_started() {
    run(async {
        let command = format!("[ ! -e .go ] || {{ sleep 600 & read go < .go; }}; {COPY}");
        let host = watching(&built_by(&command)).copy("source", components::VERSION_ONE).start().await;
        let pipe = host.app().path().join(".go");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mark = host.log().mark();
        replace(&host, "source", components::VERSION_TWO);
        host.log().wait_from(mark, "a build", |line| line.starts_with("building guest: ")).await;
        // Both the shell and what it started are in the folder of the application.
        let dir = host.app().path().to_owned();
        eventually("the build to run", async || (working_in(&dir) >= 2).then_some(())).await;

        host.sigint();
        assert_eq!(host.wait_exit(Duration::from_secs(15)).await, Some(0));
        eventually("the processes of the build to be gone", async || (working_in(&dir) == 0).then_some(()))
            .await;
    });
}

/// A host that may not serve for long: what it writes is there from the start.
struct Up {
    process: std::process::Child,
    stdout: Log,
    stderr: Log,
}

impl Up {
    /// Started as an author starts it: in the folder.
    fn spawn(dir: &Path, args: &[&str]) -> Self {
        let mut process = Command::new(WHARF)
            .args([&["up", "--log", "json"], args].concat())
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Log::read(process.stdout.take().unwrap());
        let stderr = Log::read(process.stderr.take().unwrap());
        Up { process, stdout, stderr }
    }

    async fn interrupted(mut self) -> ExitStatus {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        tokio::task::spawn_blocking(move || self.process.wait().unwrap()).await.unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("---- log of the host ----\n{}\n----", self.stderr.text());
        }
    }
}

#[test]
fn a_component_and_a_manifest_are_watched_in_the_folder_where_one_is() {
    run(async {
        let app = host(&everything("guest.wasm")).copy("guest.wasm", components::VERSION_ONE).write();
        let up = Up::spawn(app.path(), &[]);
        up.stdout.wait("listening on http://").await;
        app.replace("guest.wasm", fs::read(components::VERSION_TWO).unwrap());
        up.stderr.wait_json(0, "a swap", |line| line["generation"] == 2 && line["replaced"] == 1).await;
        let more = "[plugin.more]\ncomponent = \"guest.wasm\"\n";
        app.set_manifest(&(everything("guest.wasm") + more));
        up.stderr.wait("manifest applied").await;
        assert!(up.interrupted().await.success());
    });
}

#[test]
fn what_the_host_says_into_a_file_of_the_folder_is_no_save() {
    run(async {
        let app = watching(&built_by(COPY)).copy("source", components::VERSION_ONE).write();
        let file = fs::File::create(app.path().join("up.log")).unwrap();
        let mut command = Command::new(WHARF);
        command.args(["up", "--watch", "--log", "json"]).current_dir(app.path());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let nothing = || Log::read(std::io::empty());
        let up = Up { process: command.spawn().unwrap(), stdout: nothing(), stderr: nothing() };
        let said = || fs::read_to_string(app.path().join("up.log")).unwrap();
        eventually("the host to serve", async || said().contains("listening on http://").then_some(())).await;

        for (generation, source) in [(2, components::VERSION_TWO), (3, components::VERSION_ONE)] {
            app.replace("source", fs::read(source).unwrap());
            let serves = format!("generation {generation} serves");
            eventually(&serves, async || said().contains(&serves).then_some(())).await;
            // Long enough for a build that nobody asked for to begin.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let builds = said().lines().filter(|line| line.starts_with("building guest: ")).count();
        assert_eq!(builds, 3, "{}", said());
        assert!(up.interrupted().await.success());
    });
}

#[test]
fn ctrl_c_ends_a_first_build_as_well() {
    run(async {
        let app = watching(&built_by("mkfifo .go; read go < .go")).write();
        let up = Up::spawn(app.path(), &["--watch"]);
        // The host is in the folder, and the shell.
        eventually("the build to run", async || (working_in(app.path()) >= 2).then_some(())).await;
        let ended = up.interrupted().await;
        assert!(ended.success(), "{ended}");
        eventually("the build to be gone", async || (working_in(app.path()) == 0).then_some(())).await;
    });
}

#[test]
fn a_first_build_that_fails_is_mended_by_a_save() {
    run(async {
        let app = watching(&built_by(COPY)).write();
        let up = Up::spawn(app.path(), &["--watch"]);
        up.stderr.wait("error: building guest failed").await;
        up.stderr.wait("the next save builds again").await;
        app.replace("source", fs::read(components::VERSION_TWO).unwrap());
        up.stdout.wait("listening on http://").await;
        assert!(up.interrupted().await.success());
    });
}

/// How many processes have `dir` as their working directory.
fn working_in(dir: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == dir)).count()
}

#[test]
fn a_plugin_that_is_added_is_built_before_the_manifest_is_applied() {
    run(async {
        let host = watching(&built_by(COPY)).copy("source", components::VERSION_ONE).start().await;
        let more = r#"
            [plugin.more]
            component = "more.wasm"
            build = "cp source more.tmp && mv more.tmp more.wasm"
        "#;
        host.app().set_manifest(&(built_by(COPY) + more));
        host.admin()
            .wait("more", "it is built and loaded", |status| status["serving"]["generation"] == 1)
            .await;
        assert_eq!(host.admin().plugin("guest").await["serving"]["generation"], 1);
    });
}

#[test]
fn watching_without_a_build_command_is_an_error_that_prints_the_line() {
    run(async {
        let app = host(&everything("guest.wasm")).copy("guest.wasm", components::VERSION_ONE).write();
        let refused = app.wharf(&["up", "--watch", "--log", "json"]).await;
        assert_eq!((refused.code, &*refused.stdout), (Some(1), ""), "{refused:?}");
        assert!(refused.stderr.contains("build = \"cargo build"), "{refused:?}");
    });
}
