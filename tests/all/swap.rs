//! New generations come in while requests run: none fails, none sees two, and a bad one never serves.

use std::fs;
use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use wharf_harness::{Host, Load, Report, components, eventually, process, run, run_alone};

use crate::{everything, host};

/// One plugin from a file that a test may replace. Access lines would be thousands.
fn manifest() -> String {
    format!("[log]\naccess = false\n{}", everything("guest.wasm"))
}

async fn start() -> Host {
    host(&manifest()).copy("guest.wasm", components::VERSION_ONE).start().await
}

/// Both good generations, alternating, the second first.
fn version(number: u64) -> &'static str {
    if number.is_multiple_of(2) { components::VERSION_TWO } else { components::VERSION_ONE }
}

/// A load of 1,000 requests per second.
fn load(host: &Host) -> Load {
    Load::start(host.http(), "/version", 1_000, 16)
}

/// Every answer must be a whole one, all of it from one generation; how many versions there were.
#[track_caller]
fn assert_no_mixture(report: Report) -> usize {
    let report = report.expect_no_failures();
    let mut versions: Vec<String> = Vec::new();
    for (status, version, body) in report.answers.keys() {
        let version = version.as_deref().unwrap_or_default();
        assert_eq!((*status, body.lines().count()), (200, 5), "{report:#?}");
        assert!(!version.is_empty() && body.lines().all(|line| line == version), "{report:#?}");
        versions.push(version.to_owned());
    }
    versions.dedup();
    versions.len()
}

async fn generation(host: &Host) -> Value {
    host.admin().plugin("guest").await["serving"]["generation"].clone()
}

#[test]
fn fifty_swaps_by_the_admin_api_fail_no_request_of_a_thousand_per_second() {
    run_alone(Duration::from_secs(180), async {
        let host = start().await;
        let load = load(&host);
        for number in 2..=51 {
            load.more(50).await;
            host.admin().put_file("guest", version(number)).await.expect(200);
        }
        load.more(50).await;
        let report = load.stop().await;
        assert!(report.sent > 2_500, "{report:#?}");
        assert_eq!(assert_no_mixture(report), 2);
        assert_eq!(generation(&host).await, 51);
    });
}

#[test]
fn fifty_replacements_of_the_file_fail_no_request_of_a_thousand_per_second() {
    run_alone(Duration::from_secs(180), async {
        let host = start().await;
        let load = load(&host);
        for number in 2..=51 {
            host.app().replace("guest.wasm", fs::read(version(number)).unwrap());
            let loaded = |status: &Value| status["serving"]["generation"] == number;
            host.admin().wait("guest", "the next generation", loaded).await;
        }
        let report = load.stop().await;
        assert!(report.sent > 1_000, "{report:#?}");
        assert_eq!(assert_no_mixture(report), 2);
    });
}

/// Generations that must never serve, and the step that must refuse them.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let read = |path| fs::read(path).unwrap();
    let good = read(components::VERSION_TWO);
    vec![
        ("unhealthy", read(components::VERSION_THREE_UNHEALTHY), "health"),
        ("its start fails", read(components::VERSION_FOUR_START_FAILS), "start"),
        ("its start traps", read(components::VERSION_FIVE_START_TRAPS), "start"),
        ("cut off", good[..good.len() / 2].to_vec(), "inspect"),
        ("not WebAssembly", b"what is this".to_vec(), "inspect"),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "inspect"),
        ("of no known world", read(components::NO_WORLD), "inspect"),
        ("in need of a grant", read(components::CONFIG_READER), "grant"),
    ]
}

#[test]
fn a_broken_generation_changes_nothing_but_the_report() {
    run_alone(Duration::from_secs(180), async {
        let host = start().await;
        let load = load(&host);
        for (what, bytes, stage) in broken() {
            let before = host.admin().plugin("guest").await["serving"].clone();
            let mark = host.log().mark();
            let answer = host.admin().put("guest", bytes).await.expect(422);
            assert_eq!(answer.json()["stage"], stage, "{what}: {answer:?}");
            let why = answer.json()["detail"].as_str().unwrap().to_owned();

            let status = host.admin().plugin("guest").await;
            for same in ["generation", "sha256", "world", "loaded_at_s"] {
                assert_eq!(status["serving"][same], before[same], "{what}: {status}");
            }
            assert_eq!(status["refused"]["stage"], stage, "{what}: {status}");
            assert_eq!(status["refused"]["message"], why, "{what}: {status}");
            let logged = |line: &Value| {
                line["stage"] == stage && line["message"].as_str().is_some_and(|text| text.contains(&why))
            };
            host.log().wait_json(mark, what, logged).await;
            let list = host.app().wharf(&["plugin", "list"]).await;
            assert!(list.stdout.contains(why.lines().next().unwrap()), "{what}: {list:?}");
            load.more(50).await;
        }
        assert_eq!(assert_no_mixture(load.stop().await), 1);
        host.admin().put_file("guest", components::VERSION_TWO).await.expect(200);
        assert_eq!(host.admin().plugin("guest").await["refused"], Value::Null);
    });
}

#[test]
fn a_broken_file_changes_nothing_but_the_report() {
    run_alone(Duration::from_secs(180), async {
        let host = start().await;
        let load = load(&host);
        for (what, bytes, stage) in broken() {
            host.app().replace("guest.wasm", bytes);
            let refused = |status: &Value| status["refused"]["stage"] == stage;
            let status = host.admin().wait("guest", what, refused).await;
            assert!(status["refused"]["source"].as_str().unwrap().ends_with("guest.wasm"), "{status}");
            // The next one must be seen as a refusal of its own.
            host.app().replace("guest.wasm", fs::read(components::VERSION_TWO).unwrap());
            host.admin().wait("guest", "a good one", |status| status["refused"].is_null()).await;
        }
        assert_no_mixture(load.stop().await);
    });
}

#[test]
fn a_rollback_serves_the_component_before() {
    run(async {
        let host = start().await;
        let served = async || host.get("/").await.expect(200).header("x-version").unwrap().to_owned();
        let sha256 = async || host.admin().plugin("guest").await["serving"]["sha256"].clone();
        let (first, first_sha256) = (served().await, sha256().await);
        let nothing = host.admin().rollback("guest").await.expect(404);
        assert_eq!(nothing.json()["stage"], "find");

        host.admin().put_file("guest", components::VERSION_TWO).await.expect(200);
        let (second, second_sha256) = (served().await, sha256().await);
        assert_ne!((&first, &first_sha256), (&second, &second_sha256));

        host.admin().rollback("guest").await.expect(200);
        assert_eq!((served().await, sha256().await), (first, first_sha256));
        assert_eq!(generation(&host).await, 3);
        host.admin().rollback("guest").await.expect(200);
        assert_eq!((served().await, sha256().await), (second, second_sha256));
    });
}

#[test]
fn a_request_under_way_finishes_on_the_generation_that_it_began_with() {
    run(async {
        let host = host(&everything("guest.wasm")).copy("guest.wasm", components::KITCHEN).start().await;
        let mut client = host.connect(wharf_harness::Protocol::Http1).await;
        let path = "/download?bytes=20000000&chunk=65536";
        let response =
            client.send(wharf_harness::request("GET", path, wharf_harness::empty())).await.unwrap();

        host.admin().put_file("guest", components::VERSION_ONE).await.expect(200);
        host.admin().put_file("guest", components::VERSION_TWO).await.expect(200);
        assert_eq!(host.admin().plugin("guest").await["draining"], serde_json::json!([1]));

        let answer = wharf_harness::Answer::read(response).await.expect(200);
        assert_eq!(answer.body.len(), 20_000_000);
        let drained = |status: &Value| status["draining"] == serde_json::json!([]);
        host.admin().wait("guest", "the old generation is dropped", drained).await;
    });
}

#[test]
fn a_half_written_file_is_not_loaded() {
    run(async {
        let manifest = manifest() + "[plugin.other]\ncomponent = \"other.wasm\"\n";
        let host = host(&manifest)
            .copy("guest.wasm", components::VERSION_ONE)
            .copy("other.wasm", components::VERSION_ONE)
            .start()
            .await;
        let bytes = fs::read(components::VERSION_TWO).unwrap();
        let (first, second) = bytes.split_at(bytes.len() / 2);

        let mut file = fs::File::create(host.app().path().join("guest.wasm")).unwrap();
        file.write_all(first).unwrap();
        // The host sees changes in their order: once it has loaded this one, it has seen the half file.
        host.app().replace("other.wasm", &bytes);
        host.admin()
            .wait("other", "the file that is whole", |status| status["serving"]["generation"] == 2)
            .await;
        assert_eq!(generation(&host).await, 1);
        let one = host.get("/").await.expect(200);

        file.write_all(second).unwrap();
        drop(file);
        host.admin().wait("guest", "the complete file", |status| status["serving"]["generation"] != 1).await;
        let two = host.get("/").await.expect(200);
        assert_ne!(one.header("x-version"), two.header("x-version"));
    });
}

#[test]
fn a_changed_manifest_adds_and_removes_plugins_routes_and_limits() {
    run(async {
        let more = r#"
            [plugin.more]
            component = "{{kitchen}}"

            [[route]]
            path = "/upload"
            plugin = "more"
        "#;
        let limit = "\n[plugin.more.limits]\nrequest_body = \"1KiB\"\n";
        let host = host(&manifest()).copy("guest.wasm", components::VERSION_ONE).start().await;
        let is_version =
            async || host.post("/upload", vec![0; 2_000]).await.expect(200).header("x-version").is_some();
        assert!(is_version().await);

        host.app().set_manifest(&(manifest() + more));
        host.admin().wait("more", "it is there", |status| status["serving"]["generation"] == 1).await;
        eventually("its route", async || (!is_version().await).then_some(())).await;

        host.app().set_manifest(&(manifest() + more + limit));
        eventually("its limit", async || {
            let answer = host.post("/upload", vec![0; 2_000]).await;
            (answer.status == 413).then(|| answer.expect_problem(413, "payload_too_large"))
        })
        .await;

        host.app().set_manifest(&manifest());
        host.admin().wait("more", "it is gone", Value::is_null).await;
        assert!(is_version().await);
        assert_eq!(generation(&host).await, 1, "a plugin that was not changed was loaded again");
    });
}

#[test]
fn a_bad_manifest_changes_nothing_and_the_log_says_why() {
    run(async {
        let host = start().await;
        let added = "[plugin.added]\ncomponent = \"{{kitchen}}\"\n";
        for (bad, says) in [
            ("[plugin.guest", "wharf.toml"),
            ("[plugin.guest]\ncomponnent = \"guest.wasm\"", "componnent"),
            ("[[route]]\npath = \"/x\"\nplugin = \"nobody\"", "nobody"),
            ("[plugin.lost]\ncomponent = \"lost.wasm\"", "lost.wasm"),
        ] {
            let mark = host.log().mark();
            // What is good in a manifest does not count while something in it is bad.
            host.app().set_manifest(&format!("[log]\naccess = false\n{added}{bad}\n"));
            host.log().wait_from(mark, says, |line| line.contains(says) && !line.contains("\"INFO\"")).await;
            host.get("/").await.expect(200);
            assert_eq!(generation(&host).await, 1);
            assert_eq!(host.admin().plugins().await.len(), 1);
        }
        host.app().set_manifest(&(manifest() + added));
        host.admin().wait("added", "the good manifest", |status| !status.is_null()).await;
    });
}

#[test]
fn after_two_hundred_reloads_under_load_memory_and_open_files_are_back() {
    run_alone(Duration::from_secs(240), async {
        let host = start().await;
        let load = Load::start(host.http(), "/version", 300, 8);
        let swap = async |number| {
            load.more(5).await;
            host.admin().put_file("guest", version(number)).await.expect(200);
        };
        // The allocator's and the pool's own reserves have grown to their size after a few.
        for number in 0..40 {
            swap(number).await;
        }
        let (rss, files) = (process::rss_bytes(host.pid()), process::open_files(host.pid()));
        for number in 0..200 {
            swap(number).await;
        }
        let drained = |status: &Value| status["draining"] == serde_json::json!([]);
        host.admin().wait("guest", "the old generations are dropped", drained).await;
        assert_no_mixture(load.stop().await);

        let allowed = rss + (24 << 20);
        eventually("the memory of old generations to be given back", async || {
            (process::rss_bytes(host.pid()) <= allowed).then_some(())
        })
        .await;
        eventually("the files of old generations to be closed", async || {
            (process::open_files(host.pid()) <= files + 4).then_some(())
        })
        .await;
    });
}
