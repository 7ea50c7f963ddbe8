//! Files that are not what the host runs are refused by name, wherever they come from.

use std::fs;

use wharf_harness::{App, Host, components, run};

use crate::{everything, host};

/// What is wrong with a file, and what a refusal must say about it.
struct Bad {
    file: &'static str,
    bytes: Vec<u8>,
    says: &'static [&'static str],
}

fn bad_files() -> Vec<Bad> {
    let kitchen = fs::read(components::KITCHEN).unwrap();
    let no_world = fs::read(components::NO_WORLD).unwrap();
    let bad = |file, bytes: &[u8], says| Bad { file, bytes: bytes.to_vec(), says };
    vec![
        bad("empty.wasm", b"", &["the file is empty"]),
        bad("core.wasm", b"\0asm\x01\0\0\0", &["core WebAssembly module", "wasm32-wasip2"]),
        bad("header.wasm", &kitchen[..6], &["cut off", "6 bytes"]),
        bad("half.wasm", &kitchen[..kitchen.len() / 2], &["not a valid component"]),
        bad("random.wasm", &noise(4096), &["not WebAssembly"]),
        bad(
            "native.cwasm",
            b"\x7fELF\x02\x01\x01\xc8\0\0\0\0\0\0\0\0",
            &["precompiled native code", ".cwasm"],
        ),
        bad(
            "no-world.wasm",
            &no_world,
            &["wharf:plugin/handler@0.1.0", "wasi:http/", "no interface of its own", "exports: add", "imports:"],
        ),
    ]
}

/// Bytes without a pattern: a linear congruential generator (Knuth, MMIX), so that each run sees the same.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 42u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn assert_says(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn inspect_names_what_a_file_is_instead_of_a_component() {
    run(async {
        let app = bad_files().into_iter().fold(host(""), |host, bad| host.file(bad.file, bad.bytes)).write();
        for bad in bad_files() {
            let found = app.wharf(&["inspect", bad.file]).await;
            let text = found.stdout + &found.stderr;
            assert_says(&text, bad.says);
            // A component that is valid but of no use here can be inspected; the others are errors.
            let code = if bad.file == "no-world.wasm" { 0 } else { 1 };
            assert_eq!(found.code, Some(code), "{}: {text}", bad.file);
        }
    });
}

#[test]
fn check_refuses_each_of_them_and_reports_all_at_once() {
    run(async {
        let mut manifest = String::new();
        for bad in bad_files() {
            let name = bad.file.split('.').next().unwrap();
            manifest += &format!("[plugin.{name}]\ncomponent = \"{}\"\n\n", bad.file);
        }
        let app =
            bad_files().into_iter().fold(host(&manifest), |host, bad| host.file(bad.file, bad.bytes)).write();
        let checked = app.wharf(&["check", "."]).await;
        assert_eq!(checked.code, Some(1), "{checked:?}");
        for bad in bad_files() {
            assert_says(&checked.stderr, bad.says);
        }
    });
}

#[test]
fn the_admin_api_refuses_each_of_them_and_the_plugin_serves_on() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        for bad in bad_files() {
            let answer = host.admin().put("guest", bad.bytes).await.expect(422);
            assert_eq!(answer.json()["stage"], "inspect", "{answer:?}");
            assert_says(answer.json()["detail"].as_str().unwrap(), bad.says);
            assert_eq!(host.get("/hello").await.expect(200).text(), "hello\n");
        }
    });
}

#[test]
fn a_host_does_not_start_with_a_bad_component() {
    run(async {
        for bad in bad_files() {
            let app = host(&everything(bad.file)).file(bad.file, bad.bytes).write();
            let started = up(&app).await;
            assert_ne!(started.code, Some(0));
            assert_says(&started.stderr, bad.says);
            assert!(started.stderr.contains("guest"), "the plugin is not named: {}", started.stderr);
        }
    });
}

#[test]
fn an_import_that_no_host_offers_is_named_with_the_plugin() {
    run(async {
        let app = host(&everything("{{needs-nowhere}}")).write();
        for found in [app.wharf(&["check", "."]).await, up(&app).await] {
            assert_eq!(found.code, Some(1), "{found:?}");
            assert_says(&found.stderr, &["guest", "test:needs-nowhere/door", "not offer"]);
        }
    });
}

#[test]
fn an_import_that_was_not_granted_is_refused_with_the_line_to_add() {
    run(async {
        let app = host(&everything("{{config-reader}}")).write();
        for found in [app.wharf(&["check", "."]).await, up(&app).await] {
            assert_eq!(found.code, Some(1), "{found:?}");
            assert_says(&found.stderr, &["guest", "wasi:config/store", "config = {"]);
        }
        let host = host(&everything("{{kitchen}}")).start().await;
        let answer = host.admin().put_file("guest", components::CONFIG_READER).await.expect(422);
        assert_eq!(answer.json()["stage"], "grant", "{answer:?}");
        assert_says(answer.json()["detail"].as_str().unwrap(), &["guest", "wasi:config/store", "config = {"]);
    });
}

#[test]
fn configuration_that_was_granted_is_what_the_plugin_reads() {
    run(async {
        let manifest = everything("{{config-reader}}")
            .replace("component =", "config = { title = \"My notes\", colour = \"blue\" }\ncomponent =");
        let host = host(&manifest).start().await;
        assert_eq!(host.get("/get/title").await.expect(200).text().trim_end(), "My notes");
        host.get("/get/other").await.expect_problem(404, "not_found");
        let all = host.get("/all").await.expect(200);
        assert_says(all.text(), &["title", "My notes", "colour", "blue"]);
    });
}

#[test]
fn a_component_with_another_digest_than_the_pinned_one_is_refused() {
    run(async {
        let pin = |digest: &str| {
            everything("guest.wasm").replace("component =", &format!("sha256 = \"{digest}\"\ncomponent ="))
        };
        let app = host(&everything("guest.wasm")).copy("guest.wasm", components::KITCHEN).write();
        let inspected = app.wharf(&["inspect", "guest.wasm", "--json"]).await.json();
        let digest = inspected["sha256"].as_str().unwrap().to_owned();

        app.set_manifest(&pin(&"0".repeat(64)));
        let found = up(&app).await;
        assert_eq!(found.code, Some(1), "{found:?}");
        assert_says(&found.stderr, &["sha256", &digest]);

        app.set_manifest(&pin(&digest));
        let host: Host = app.start().await;
        host.get("/hello").await.expect(200);
        let answer = host.admin().put_file("guest", components::VERSION_ONE).await.expect(422);
        assert_says(answer.json()["detail"].as_str().unwrap(), &["sha256"]);
        host.get("/hello").await.expect(200);
    });
}

/// Runs `wharf up`, which must end by itself.
async fn up(app: &App) -> wharf_harness::Finished {
    app.wharf(&["up", ".", "--log", "json"]).await
}
