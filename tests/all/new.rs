//! `wharf new`: from an empty folder outside of the repository to a plugin that is tested, served and edited.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use wharf_harness::{
    Finished, Host, Load, TempDir, body, command, eventually, finish, request, run, run_alone,
};

use crate::{ROOT, WHARF};

/// How long after the end of a build the new version may begin to serve. Most of it is spent in Cranelift, and a
/// debug build of that is several times slower: there it only shows that the time is bounded.
const RELOAD: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

/// Compiling everything that a plugin depends on, twice: natively, and for its target.
const FIRST_BUILD: Duration = Duration::from_secs(900);

/// An author's folder, outside of the repository and always the same, so that Cargo finds what it has built.
struct Author(PathBuf);

impl Author {
    fn new(name: &str) -> Self {
        let checkout: String = ROOT.chars().map(|char| if char == '/' { '-' } else { char }).collect();
        let dir = std::env::temp_dir().join(format!("wharf-author{checkout}-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Author(dir.canonicalize().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    async fn wharf(&self, args: &[&str]) -> Finished {
        command(WHARF, &self.0, args).await
    }

    /// Where dependencies are compiled is shared by all tests, and kept for the next run.
    fn share_target(&self, project: &str) {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author");
        fs::create_dir_all(&shared).unwrap();
        let target = self.path(project).join("target");
        if !target.exists() {
            std::os::unix::fs::symlink(&shared, target).unwrap();
        }
    }

    /// Cargo in a project, as it would be typed, with the binary under test as the installed one.
    async fn cargo(&self, project: &str, args: &[&str]) -> Finished {
        self.share_target(project);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(args).current_dir(self.path(project)).env("WHARF", WHARF);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let of_this_build =
                ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];
            if of_this_build.contains(&&*name)
                || name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
            {
                cargo.env_remove(name);
            }
        }
        finish(&mut cargo, FIRST_BUILD).await
    }

    /// Saves a file with something else in it, as an editor does: under another name first.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}: {text}");
        let new = path.with_extension("rs~");
        fs::write(&new, text.replace(from, to)).unwrap();
        fs::rename(new, path).unwrap();
    }
}

impl Drop for Author {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_new_plugin_passes_its_tests_and_is_swapped_as_it_is_saved_without_a_failed_request() {
    run_alone(FIRST_BUILD + Duration::from_secs(300), async {
        let author = Author::new("greet");
        let made = author.wharf(&["new", "handler", "greet"]).await;
        assert_eq!((made.code, &*made.stderr), (Some(0), ""), "{made:?}");
        assert!(made.stdout.contains("cd greet") && made.stdout.contains("wharf up --watch"), "{made:?}");

        let lock = fs::read_to_string(author.path("greet/Cargo.lock")).unwrap();
        let tested = author.cargo("greet", &["test"]).await;
        assert_eq!(tested.code, Some(0), "{}\n{}", tested.stdout, tested.stderr);
        for test in ["a_greeting_names_who_is_greeted", "it_greets"] {
            assert!(
                tested.stdout.lines().any(|line| line.contains(test) && line.ends_with("ok")),
                "{tested:?}"
            );
        }
        let lock_after = fs::read_to_string(author.path("greet/Cargo.lock")).unwrap();
        assert_eq!(lock, lock_after, "the lock file that the project starts with is complete");

        let greet = author.path("greet");
        let ports = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let host =
            Host::spawn(WHARF, &[&["up", greet.to_str().unwrap(), "--watch"], &ports[..]].concat()).await;
        host.log().wait("watching the sources of greet").await;
        let load = Load::start(host.http(), "/hello/Ann", 100, 4);
        load.more(20).await;

        let serves = async |greeting: &str| {
            let begun = Instant::now();
            let expected = format!("{greeting}, Ann!\n");
            eventually(&expected, async || (host.get("/hello/Ann").await.text() == expected).then_some(()))
                .await;
            begun.elapsed()
        };
        let mark = host.log().mark();
        author.edit("greet/src/lib.rs", "Hello, ", "Welcome, ");
        host.log().wait_from(mark, "the end of the build", |line| line.starts_with("built greet in ")).await;
        let reloaded = serves("Welcome").await;
        assert!(reloaded < RELOAD, "the new version served {reloaded:?} after its build");
        let said = host.log().wait_from(mark, "a reload", |line| line.starts_with("greet: built in ")).await;
        assert!(said.contains("generation 2 serves"), "{said}");

        // What the compiler says stands as it is; the version before serves.
        let mark = host.log().mark();
        author.edit("greet/src/lib.rs", "Ok(format!", "Ok(formatt!");
        let said =
            host.log().wait_from(mark, "a refusal", |line| line.starts_with("greet: not reloaded")).await;
        assert!(said.ends_with("generation 2 goes on serving"), "{said}");
        let compiler = host.log().since(mark);
        for part in ["error: cannot find macro `formatt`", "--> src/lib.rs:"] {
            assert!(compiler.iter().any(|line| line.contains(part)), "{part}: {compiler:#?}");
        }
        assert_eq!(host.get("/hello/Ann").await.expect(200).text(), "Welcome, Ann!\n");

        author.edit("greet/src/lib.rs", "Ok(formatt!(\"Welcome", "Ok(format!(\"Good day");
        serves("Good day").await;
        load.more(20).await;

        let report = load.stop().await.expect_no_failures();
        let bodies: BTreeSet<&str> = report.answers.keys().map(|(_, _, body)| &**body).collect();
        assert_eq!(
            bodies,
            BTreeSet::from(["Good day, Ann!\n", "Hello, Ann!\n", "Welcome, Ann!\n"]),
            "{report:#?}"
        );
        assert!(report.answers.keys().all(|(status, ..)| *status == 200), "{report:#?}");
        host.sigint();
        assert_eq!(host.wait_exit(Duration::from_secs(15)).await, Some(0));
    });
}

#[test]
fn a_new_service_is_built_and_served_as_it_is() {
    run_alone(FIRST_BUILD, async {
        let author = Author::new("greeter");
        let made = author.wharf(&["new", "service", "greeter"]).await;
        assert_eq!((made.code, &*made.stderr), (Some(0), ""), "{made:?}");
        let lock = fs::read_to_string(author.path("greeter/Cargo.lock")).unwrap();
        author.share_target("greeter");
        let dir = author.path("greeter");
        // By itself, because a first build takes longer than a host is given to serve.
        let built = finish(Command::new(WHARF).arg("build").current_dir(&dir), FIRST_BUILD).await;
        assert_eq!(built.code, Some(0), "{built:?}");
        let ports = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let host = Host::spawn(WHARF, &[&["up", dir.to_str().unwrap()], &ports[..]].concat()).await;
        assert_eq!(
            lock,
            fs::read_to_string(author.path("greeter/Cargo.lock")).unwrap(),
            "the lock file that the project starts with is complete"
        );

        let greet = async |name: &str| {
            let sent = format!(r#"{{"name": "{name}", "tone": "cheerful"}}"#);
            let mut asked = request("POST", "/rpc/example:greetings@1/greetings/greet", body(sent));
            asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
            host.send(asked).await
        };
        let greeted = greet("Ann").await.expect(200).json();
        assert_eq!((&greeted["text"], &greeted["tone"]), (&"Hello, Ann!".into(), &"cheerful".into()));
        let refused = greet("").await.expect_problem(400, "not_a_name").json();
        assert_eq!(refused["error"]["notAName"], "a name has 1 to 64 bytes");
        assert_eq!(host.get("/hello/Bob").await.expect(200).json()["text"], "Hello, Bob.");
        let document = host.get("/openapi.json").await.expect(200);
        assert!(document.text().contains("Greets somebody by name"), "its comments reach the clients");
    });
}

#[test]
fn nothing_is_ever_overwritten() {
    run(async {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("greet")).unwrap();
        fs::write(dir.path().join("greet/notes.txt"), "mine").unwrap();
        let refused = command(WHARF, dir.path(), ["new", "handler", "greet"]).await;
        assert_eq!((refused.code, &*refused.stdout), (Some(1), ""), "{refused:?}");
        assert!(refused.stderr.starts_with("error: greet exists and is not empty"), "{refused:?}");
        assert_eq!(fs::read_dir(dir.path().join("greet")).unwrap().count(), 1);

        let made =
            command(WHARF, dir.path(), ["new", "handler", "greet", "--dir", "other/place", "--json"]).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let files = made.json()["files"].as_array().unwrap().clone();
        assert!(files.iter().any(|file| file == "vendor/wharf/plugin-sdk/src/lib.rs"), "{files:?}");
        for file in files {
            let path = dir.path().join("other/place").join(file.as_str().unwrap());
            assert!(path.is_file(), "{}", path.display());
        }
    });
}

#[test]
fn the_lock_file_of_a_new_project_is_complete() {
    run(async {
        let dir = TempDir::new();
        command(WHARF, dir.path(), ["new", "handler", "greet"]).await;
        let args = ["metadata", "--format-version", "1", "--locked"];
        let locked = command(env!("CARGO"), dir.path().join("greet"), args).await;
        // It is made of examples/hello/Cargo.lock, which Cargo brings up to date in that folder.
        assert_eq!(locked.code, Some(0), "{}", locked.stderr);
    });
}

#[test]
fn a_name_that_cannot_be_one_is_refused_and_nothing_is_made() {
    run(async {
        let dir = TempDir::new();
        for (name, says) in
            [("My Plugin", "How about my-plugin?"), ("../x", "How about x?"), ("match", "in Rust")]
        {
            let refused = command(WHARF, dir.path(), ["new", "handler", name]).await;
            assert_eq!(refused.code, Some(1), "{refused:?}");
            assert!(refused.stderr.starts_with("error: ") && refused.stderr.contains(says), "{refused:?}");
        }
        assert_eq!(command(WHARF, dir.path(), ["new", "sorcerer", "merlin"]).await.code, Some(2));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    });
}

#[test]
fn an_sdk_copy_is_updated_but_not_when_it_was_changed_by_hand() {
    run(async {
        let dir = TempDir::new();
        command(WHARF, dir.path(), ["new", "handler", "greet", "--dir", "."]).await;
        let sdk = async |args: &[&str]| command(WHARF, dir.path(), [&["sdk"], args].concat()).await;
        assert_eq!(sdk(&["show", "--json"]).await.json()["state"], "current");

        let lib = dir.path().join("vendor/wharf/plugin-sdk/src/lib.rs");
        let original = fs::read_to_string(&lib).unwrap();
        fs::write(&lib, "// mine\n").unwrap();
        let refused = sdk(&["update"]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("wharf sdk update --force"), "{refused:?}");
        assert_eq!(fs::read_to_string(&lib).unwrap(), "// mine\n");

        let updated = sdk(&["update", "--force", "--json"]).await;
        assert_eq!((updated.code, updated.json()["updated"].as_bool()), (Some(0), Some(true)), "{updated:?}");
        assert_eq!(fs::read_to_string(&lib).unwrap(), original);
        assert_eq!(sdk(&["update", "--json"]).await.json()["updated"], false);
    });
}
