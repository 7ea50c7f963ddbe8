//! `wharf doctor`: what is wrong, and the command that mends it.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wharf_harness::{App, Finished, HostBuilder, TempDir, finish, run};

use crate::{WHARF, everything, host};

async fn doctor(app: &App, args: &[&str], path: Option<&str>) -> Finished {
    let mut command = Command::new(WHARF);
    command.arg("doctor").args(args).current_dir(app.path());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    finish(&mut command, Duration::from_secs(60)).await
}

fn check(report: &Value, name: &str) -> Value {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no checks: {report}"));
    checks
        .iter()
        .find(|check| check["name"] == name)
        .cloned()
        .unwrap_or_else(|| panic!("no {name}: {report}"))
}

/// An application whose ports are of the system's choice, and so free.
fn application(manifest: &str) -> HostBuilder {
    host(manifest)
}

fn built_by_cargo() -> String {
    everything("guest.wasm").replace("component =", "build = \"cargo build\"\ncomponent =")
}

#[test]
fn a_machine_that_has_everything_is_told_so_and_nothing_is_changed() {
    run(async {
        let app = application(&built_by_cargo()).write();
        let report = doctor(&app, &["--json"], None).await;
        assert_eq!(report.code, Some(0), "{report:?}");
        let json = report.json();
        assert_eq!(json["ok"], true);
        // What this machine has must be so for these tests to run at all; the rest may be a warning.
        for name in ["manifest", "rustc", "cargo", "target", "port http", "port admin"] {
            assert_eq!(check(&json, name)["status"], "ok", "{json:#}");
        }
        for check in json["checks"].as_array().unwrap() {
            assert_eq!(check["status"] == "ok", check["mend"].is_null(), "{check}");
        }
        assert!(!app.path().join(".wharf").exists(), "the data folder was made");

        let text = doctor(&app, &[], None).await;
        assert_eq!((text.code, &*text.stderr), (Some(0), ""), "{text:?}");
        assert!(text.stdout.lines().any(|line| line.starts_with("ok    target ")), "{}", text.stdout);
    });
}

#[test]
fn a_port_that_is_taken_fails_with_the_command_that_finds_who_has_it() {
    run(async {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let app = application("").write();
        let manifest =
            format!("[app]\nname = \"test\"\n[listen]\nhttp = \"{address}\"\nadmin = \"127.0.0.1:0\"\n");
        app.replace("wharf.toml", manifest);
        let report = doctor(&app, &["--json"], None).await;
        assert_eq!(report.code, Some(1), "{report:?}");
        let port = check(&report.json(), "port http");
        assert_eq!(port["status"], "fail", "{port}");
        assert!(
            port["mend"].as_str().unwrap().contains(&format!("ss -ltnp 'sport = :{}'", address.port())),
            "{port}"
        );

        let text = doctor(&app, &[], None).await;
        assert_eq!(text.code, Some(1));
        assert!(text.stderr.starts_with("error: 1 thing does not work"), "{text:?}");
        assert!(text.stdout.contains("-> see what: ss -ltnp"), "{}", text.stdout);
    });
}

#[test]
fn a_missing_toolchain_fails_where_a_plugin_is_built_by_cargo_and_is_a_warning_elsewhere() {
    run(async {
        let nothing = TempDir::new();
        let path = nothing.path().to_str().unwrap();
        for (manifest, status, code) in [(built_by_cargo(), "fail", 1), (everything("guest.wasm"), "warn", 0)]
        {
            let app = application(&manifest).write();
            let report = doctor(&app, &["--json"], Some(path)).await;
            assert_eq!(report.code, Some(code), "{report:?}");
            for name in ["rustc", "cargo", "target"] {
                let check = check(&report.json(), name);
                assert_eq!(check["status"], status, "{check}");
                assert!(check["mend"].as_str().unwrap().contains("sh.rustup.rs"), "{check}");
            }
        }
    });
}

#[test]
fn a_manifest_with_errors_and_an_edited_sdk_are_found() {
    run(async {
        let app = application("").write();
        app.replace("wharf.toml", "[app]\nnam = \"x\"\n");
        let manifest = check(&doctor(&app, &["--json"], None).await.json(), "manifest");
        assert_eq!(
            (&manifest["status"], &manifest["mend"]),
            (&"fail".into(), &"wharf check .".into()),
            "{manifest}"
        );

        app.wharf(&["new", "handler", "greet"]).await;
        let sdk = async || check(&doctor(&app, &["greet", "--json"], None).await.json(), "sdk");
        assert_eq!(sdk().await["status"], "ok");
        std::fs::write(app.path().join("greet/vendor/wharf/wit/types.wit"), "package a:b;").unwrap();
        let edited = sdk().await;
        assert_eq!(
            (&edited["status"], &edited["mend"]),
            (&"warn".into(), &"wharf sdk update greet --force".into())
        );
    });
}
