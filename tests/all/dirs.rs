//! Directories of the host: what a plugin was granted, as it was granted, and nothing around it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use wharf_harness::{Answer, App, Host, empty, request, run};

use crate::{everything, host};

/// A guest of each world. They import sockets as well, so they need a peer to be loaded at all.
const GUESTS: [&str; 3] = ["{{explorer}}", "{{wasip3-explorer}}", "{{wstd-explorer}}"];

fn manifest(component: &str, dirs: &str) -> String {
    format!("{}\n[plugin.guest.grants]\ntcp = [\"127.0.0.1:9\"]\n{dirs}\n", everything(component))
}

/// A folder with `data/hello.txt`, `data/below/deep.txt` and, outside of it, `secret.txt`.
fn folder(component: &str, dirs: &str) -> App {
    let app = host(&manifest(component, dirs)).write();
    fs::create_dir_all(app.path().join("data/below")).unwrap();
    fs::write(app.path().join("data/hello.txt"), "hello").unwrap();
    fs::write(app.path().join("data/below/deep.txt"), "deep").unwrap();
    fs::write(app.path().join("secret.txt"), "secret").unwrap();
    app
}

async fn ask(host: &Host, what: &str, path: &str, text: &str) -> Answer {
    let mut order = request("GET", what, empty());
    order.headers_mut().insert("x-path", path.parse().unwrap());
    order.headers_mut().insert("x-text", text.parse().unwrap());
    host.send(order).await.expect(200)
}

fn read(host: &Host, path: &str) -> String {
    fs::read_to_string(host.app().path().join(path)).unwrap()
}

#[test]
fn a_granted_directory_is_read_and_only_with_the_word_written() {
    run(async {
        for component in GUESTS {
            let reads = folder(component, r#"dirs = [{ path = "data", at = "/files" }]"#).start().await;
            assert_eq!(ask(&reads, "/read", "/files/hello.txt", "").await.text(), "hello", "{component}");
            assert_eq!(ask(&reads, "/read", "/files/below/deep.txt", "").await.text(), "deep", "{component}");
            for path in ["/files/hello.txt", "/files/new.txt"] {
                let refused = ask(&reads, "/write", path, "changed").await;
                assert!(refused.text().starts_with("error: "), "{component}: {path}: {refused:?}");
            }
            assert_eq!(read(&reads, "data/hello.txt"), "hello", "{component}");
            assert!(!reads.app().path().join("data/new.txt").exists(), "{component}");

            let writes =
                folder(component, r#"dirs = [{ path = "data", at = "/files", write = true }]"#).start().await;
            assert_eq!(
                ask(&writes, "/write", "/files/new.txt", "made").await.text(),
                "written",
                "{component}"
            );
            assert_eq!(read(&writes, "data/new.txt"), "made", "{component}");
            assert_eq!(ask(&writes, "/read", "/files/new.txt", "").await.text(), "made", "{component}");
        }
    });
}

#[test]
fn without_the_grant_there_are_no_files() {
    run(async {
        for component in GUESTS {
            let host = folder(component, "").start().await;
            let data = host.app().path().join("data/hello.txt");
            for path in [
                "/files/hello.txt",
                "/data/hello.txt",
                "data/hello.txt",
                "/etc/passwd",
                data.to_str().unwrap(),
            ] {
                let refused = ask(&host, "/read", path, "").await;
                assert!(refused.text().starts_with("error: "), "{component}: {path}: {refused:?}");
            }
        }
    });
}

#[test]
fn nothing_around_a_directory_is_reached() {
    run(async {
        for component in GUESTS {
            let app = folder(component, r#"dirs = [{ path = "data", at = "/files", write = true }]"#);
            let secret = app.path().join("secret.txt");
            symlink("../secret.txt", app.path().join("data/relative")).unwrap();
            symlink(&secret, app.path().join("data/absolute")).unwrap();
            symlink("..", app.path().join("data/up")).unwrap();
            symlink("hello.txt", app.path().join("data/within")).unwrap();
            let host = app.start().await;
            for path in [
                "/files/../secret.txt",
                "/files/below/../../secret.txt",
                "/files/relative",
                "/files/absolute",
                "/files/up/secret.txt",
                "/files/up/data/../secret.txt",
                secret.to_str().unwrap(),
            ] {
                let refused = ask(&host, "/read", path, "").await;
                assert!(refused.text().starts_with("error: "), "{component}: {path}: {refused:?}");
                let refused = ask(&host, "/write", path, "overwritten").await;
                assert!(refused.text().starts_with("error: "), "{component}: {path}: {refused:?}");
            }
            assert_eq!(ask(&host, "/read", "/files/within", "").await.text(), "hello", "{component}");
            assert_eq!(read(&host, "secret.txt"), "secret", "{component}");
        }
    });
}

#[test]
fn a_link_that_a_plugin_makes_does_not_lead_out() {
    run(async {
        let host =
            folder("{{wasip3-explorer}}", r#"dirs = [{ path = "data", at = "/files", write = true }]"#)
                .start()
                .await;
        for (name, target) in
            [("a", "../secret.txt"), ("b", ".."), ("c", "/etc/passwd"), ("d", "below/../../secret.txt")]
        {
            let _ = ask(&host, "/link", &format!("/files/{name}"), target).await;
        }
        for path in ["/files/a", "/files/b/secret.txt", "/files/c", "/files/d"] {
            let refused = ask(&host, "/read", path, "").await;
            assert!(refused.text().starts_with("error: "), "{path}: {refused:?}");
        }
    });
}

#[test]
fn each_generation_keeps_the_directory_that_was_checked() {
    run(async {
        let app = folder("{{explorer}}", r#"dirs = [{ path = "data", at = "/files" }]"#);
        app.set_manifest(
            &(manifest("{{explorer}}", r#"dirs = [{ path = "data", at = "/files" }]"#)
                + "[plugin.guest.pool]\nreuse = 1\n"),
        );
        let host = app.start().await;
        assert_eq!(ask(&host, "/read", "/files/hello.txt", "").await.text(), "hello");
        // Every call gets a fresh instance, and none of them the host's own folder.
        let root = host.app().path().to_owned();
        fs::rename(root.join("data"), root.join("moved")).unwrap();
        symlink(".wharf", root.join("data")).unwrap();
        assert_eq!(ask(&host, "/read", "/files/hello.txt", "").await.text(), "hello");
        let token = ask(&host, "/read", "/files/admin.token", "").await;
        assert!(token.text().starts_with("error: "), "{token:?}");
    });
}

#[test]
fn a_directory_that_cannot_be_given_is_refused_with_the_fix() {
    run(async {
        for (dirs, says) in [
            (r#"dirs = [{ path = "nowhere", at = "/x" }]"#, "mkdir -p "),
            (r#"dirs = [{ path = "secret.txt", at = "/x" }]"#, "is not a directory"),
            (r#"dirs = [{ path = ".", at = "/x" }]"#, "where the host keeps what is its own"),
            (r#"dirs = [{ path = ".wharf", at = "/x" }]"#, "where the host keeps what is its own"),
            (r#"dirs = [{ path = "link", at = "/x" }]"#, "where the host keeps what is its own"),
            (r#"dirs = [{ path = "/", at = "/x" }]"#, "where the host keeps what is its own"),
        ] {
            let app = folder("{{explorer}}", dirs);
            fs::create_dir_all(app.path().join(".wharf")).unwrap();
            symlink(".wharf", app.path().join("link")).unwrap();
            for found in [app.wharf(&["check", "."]).await, app.wharf(&["up", ".", "--log", "json"]).await] {
                assert_eq!(found.code, Some(1), "{dirs}: {found:?}");
                assert!(found.stderr.contains(says), "{dirs}: {}", found.stderr);
                assert!(found.stderr.contains("guest"), "{dirs}: the plugin is not named: {}", found.stderr);
            }
        }
    });
}

#[test]
fn a_plugin_that_opens_files_without_end_is_held_by_its_limit() {
    run(async {
        for component in ["{{explorer}}", "{{wstd-explorer}}"] {
            let dirs = "dirs = [{ path = \"data\", at = \"/files\" }]\n[plugin.guest.limits]\nhandles = 40";
            let host = folder(component, dirs).start().await;
            let open =
                || fs::read_dir(Path::new("/proc").join(host.pid().to_string()).join("fd")).unwrap().count();
            assert_eq!(ask(&host, "/read", "/files/hello.txt", "").await.text(), "hello", "{component}");
            let before = open();
            let mut order = request("GET", "/open-many", empty());
            order.headers_mut().insert("x-path", "/files/hello.txt".parse().unwrap());
            let ended = host.send(order).await;
            let stopped = ended.status == 500 || ended.text().starts_with("error: ");
            assert!(stopped, "{component}: {ended:?}");
            assert!(open() <= before + 45, "{component}: {} files are open, {before} before", open());
            assert_eq!(ask(&host, "/read", "/files/hello.txt", "").await.text(), "hello", "{component}");
        }
    });
}
