//! What an operator learns about a trap: where in the guest's source it was, and what its memory held.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wharf_harness::{Host, empty, request, run};

use crate::{everything, host};

async fn rogue(plugin: &str) -> Host {
    let manifest = everything("{{rogue}}").replacen("[[route]]", &format!("{plugin}\n[[route]]"), 1);
    host(&manifest).start().await
}

/// The dumps of the plugin `guest`, sorted by name.
fn dumps(host: &Host) -> Vec<PathBuf> {
    let Ok(dir) = fs::read_dir(host.app().path().join(".wharf/cores/guest")) else { return Vec::new() };
    let mut dumps: Vec<PathBuf> = dir.map(|entry| entry.unwrap().path()).collect();
    dumps.sort();
    dumps
}

async fn written(host: &Host, mark: usize) -> Value {
    host.log().wait_json(mark, "the core dump", |line| line["message"] == "core dump written").await
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The sections of a module by their ids, and those that are custom (id 0) by their names too, with their sizes.
fn sections(module: &[u8]) -> BTreeMap<String, usize> {
    fn number(bytes: &mut &[u8]) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0").unwrap();
    let mut sections = BTreeMap::new();
    while let Some((id, after)) = rest.split_first() {
        rest = after;
        let length = number(&mut rest);
        let (mut content, after) = rest.split_at(length);
        rest = after;
        let name = match id {
            0 => {
                let length = number(&mut content);
                String::from_utf8(content[..length].to_vec()).unwrap()
            }
            id => id.to_string(),
        };
        sections.insert(name, length);
    }
    sections
}

/// The backtrace of the next trap.
async fn backtrace(host: &Host) -> String {
    let answer = host.get("/trap").await.expect_problem(500, "guest_trapped");
    let id = answer.header("x-request-id").unwrap();
    let logged = |line: &Value| line["request_id"] == id && line["backtrace"].is_string();
    host.log().wait_json(0, "the backtrace", logged).await["backtrace"].as_str().unwrap().to_owned()
}

#[test]
fn a_backtrace_has_the_lines_of_the_source_where_the_plugin_is_trusted_with_them() {
    run(async {
        let host = rogue("").await;
        let names = backtrace(&host).await;
        assert!(names.contains("rogue::deep::detonate\n") && !names.contains("lib.rs"), "{names}");

        let trusted = everything("{{rogue}}").replacen("[[route]]", "debug_info = true\n[[route]]", 1);
        host.app().set_manifest(&trusted);
        host.admin().wait("guest", "a new generation", |status| status["serving"]["generation"] == 2).await;
        let lines = backtrace(&host).await;
        // The function that trapped, inlined or not, then who called it, each with the file, line and column.
        let (_, callers) = lines.split_once("detonate").unwrap_or_else(|| panic!("{lines}"));
        let places: Vec<_> =
            callers.lines().filter_map(|line| line.split_once("rogue/src/lib.rs:")).collect();
        assert!(places.len() >= 2, "{lines}");
        for (_, place) in places {
            assert!(place.split(':').all(|part| part.parse::<u32>().is_ok()), "{place}: {lines}");
        }
    });
}

#[test]
fn a_backtrace_has_readable_names_where_the_guest_was_built_with_nothing_else() {
    run(async {
        let host = host(&everything("{{wasip3-http}}")).start().await;
        host.get("/trap").await.expect_problem(500, "guest_trapped");
        let line = host.log().wait_json(0, "the backtrace", |line| line["backtrace"].is_string()).await;
        let backtrace = line["backtrace"].as_str().unwrap();
        for name in
            ["std::process::abort\n", "core::panicking::panic_fmt\n", "wasi:http/handler@0.3.0#handle"]
        {
            assert!(backtrace.contains(name), "{name}: {backtrace}");
        }
        assert!(!backtrace.contains("_ZN") && !backtrace.contains("::h4"), "mangled: {backtrace}");
    });
}

#[test]
fn a_trap_leaves_a_core_dump_where_the_plugin_says_so() {
    run(async {
        let host = rogue("core_dumps = 2").await;
        let mut trap = request("GET", "/trap", empty());
        trap.headers_mut().insert("x-request-id", "../../etc/first".parse().unwrap());
        let mark = host.log().mark();
        host.send(trap).await.expect_problem(500, "guest_trapped");
        let line = written(&host, mark).await;
        assert_eq!((&line["request_id"], &line["generation"]), (&"../../etc/first".into(), &1.into()));
        let [dump] = &dumps(&host)[..] else { panic!("{:?}", dumps(&host)) };
        assert_eq!(name(dump), "1-______etc_first.core.wasm");
        assert_eq!(line["path"].as_str().map(Path::new), Some(dump.as_path()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(dump), mode(dump.parent().unwrap())), (0o600, 0o700));

        let bytes = fs::read(dump).unwrap();
        let sections = sections(&bytes);
        // Memories (5), globals (6) and what was in them (11) beside what the format adds.
        for section in ["core", "coremodules", "coreinstances", "corestack", "5", "6", "11"] {
            assert!(sections.contains_key(section), "{section}: {sections:?}");
        }
        // What the guest had in its memory, and for which request.
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("the rogue does not do that") && holds("guest 1 ../../etc/first"));
        host.get("/hello").await.expect(200);
    });
}

#[test]
fn the_newest_core_dumps_are_kept_whatever_ended_the_guest() {
    run(async {
        let host = rogue("core_dumps = 2\n[plugin.guest.limits]\ncpu = \"50ms\"").await;
        let mut expected = Vec::new();
        for (path, status, kind) in [
            ("/trap", 500, "guest_trapped"),
            ("/spin", 504, "cpu_exceeded"),
            ("/panic", 500, "guest_trapped"),
        ] {
            let mark = host.log().mark();
            let answer = host.get(path).await.expect_problem(status, kind);
            written(&host, mark).await;
            expected.push(format!("1-{}.core.wasm", answer.header("x-request-id").unwrap()));
        }
        let mut expected = expected.split_off(1);
        expected.sort();
        assert_eq!(dumps(&host).iter().map(|dump| name(dump)).collect::<Vec<_>>(), expected);
        let metrics = host.admin().metrics().await;
        let count =
            metrics.sum("wharf_plugin_core_dumps_total", &["plugin=\"guest\"", "outcome=\"written\""]);
        assert_eq!(count, 3.0);
    });
}

#[test]
fn no_core_dump_is_written_unasked() {
    run(async {
        let host = rogue("").await;
        let mark = host.log().mark();
        host.get("/trap").await.expect_problem(500, "guest_trapped");
        host.log().wait_json(mark, "the backtrace", |line| line["backtrace"].is_string()).await;
        // The host has ended, and with it whatever it had begun to write.
        let app = host.stop().await;
        assert!(!app.path().join(".wharf/cores").exists());
    });
}
