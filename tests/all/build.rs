//! `wharf build`: what is stale is built, and what does not build is said with its cause.

use std::fs;

use wharf_harness::{body, components, request, run};

use crate::{everything, host};

/// The plugin `guest` and what builds it: anything but Cargo, so that it is built when it is stale.
fn built_by(command: &str) -> String {
    let entry = format!("component = \"guest.wasm\"\nbuild = {command:?}");
    everything("guest.wasm").replace("component = \"guest.wasm\"", &entry)
}

#[test]
fn what_is_stale_is_built_and_what_is_not_is_left_alone() {
    run(async {
        let app = host(&built_by("cp source guest.wasm")).copy("source", components::VERSION_ONE).write();
        let first = app.wharf(&["build", "--json"]).await;
        assert_eq!(first.code, Some(0), "{first:?}");
        assert!(first.stderr.contains("building guest: cp source guest.wasm"), "{first:?}");
        let json = first.json();
        assert_eq!((&json["ok"], &json["built"][0]["plugin"]), (&true.into(), &"guest".into()), "{json}");
        assert_eq!(json["built"][0]["ran"], true, "{json}");
        assert!(json["built"][0]["seconds"].as_f64().unwrap() > 0.0, "{json}");

        let again = app.wharf(&["build"]).await;
        assert_eq!((again.code, &*again.stderr), (Some(0), ""), "{again:?}");
        assert_eq!(again.stdout, "ok: guest is up to date\nok: every component is built\n");
    });
}

#[test]
fn a_command_that_several_plugins_share_runs_once() {
    run(async {
        let manifest = "[plugin.a]\ncomponent = \"a.wasm\"\nbuild = \"sh make\"\n\
                        [plugin.b]\ncomponent = \"b.wasm\"\nbuild = \"sh make\"\n";
        let app =
            host(manifest).file("make", "echo x >> .runs; touch -d '1 hour ago' a.wasm b.wasm\n").write();
        // It leaves both older than their source, so that both stay stale.
        let built = app.wharf(&["build"]).await;
        assert_eq!(built.code, Some(0), "{built:?}");
        assert_eq!(fs::read_to_string(app.path().join(".runs")).unwrap(), "x\n");
    });
}

#[test]
fn what_does_not_build_ends_with_the_cause_below_what_the_command_said() {
    run(async {
        let app = host(&built_by("echo the reason >&2; exit 3")).write();
        let failed = app.wharf(&["build"]).await;
        assert_eq!((failed.code, &*failed.stdout), (Some(1), ""), "{failed:?}");
        let lines: Vec<&str> = failed.stderr.lines().collect();
        assert_eq!(lines[1], "the reason", "{failed:?}");
        assert!(lines[2].starts_with("error: building guest failed (exit status: 3)"), "{failed:?}");

        let failed = app.wharf(&["build", "--json"]).await;
        assert_eq!((failed.code, &failed.json()["ok"]), (Some(1), &false.into()), "{failed:?}");
        assert_eq!(failed.json()["failed"]["plugin"], "guest", "{failed:?}");

        let nothing = host(&built_by("true")).write().wharf(&["build"]).await;
        assert!(
            nothing.stderr.contains("made no ") && nothing.stderr.contains("[plugin.guest]"),
            "{nothing:?}"
        );
    });
}

/// A component as a toolchain makes it that knows nothing of Wharf.
const SUMS: &str = r#"(component
    (core module $m
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (instance $sums (export "add" (func $add)))
    (export "demo:math/sums@1.0.0" (instance $sums)))"#;

const SUMS_WIT: &str = "package demo:math@1.0.0;

interface sums {
    /// Adds two numbers.
    ///
    /// @query
    add: func(a: u32, b: u32) -> u32;
}
";

#[test]
fn wit_that_a_toolchain_leaves_out_is_put_into_the_component() {
    run(async {
        let manifest =
            "[plugin.guest]\ncomponent = \"guest.wasm\"\nbuild = \"cp source guest.wasm\"\nwit = \"wit\"\n";
        let app = host(manifest).file("source", wat::parse_str(SUMS).unwrap()).write();
        fs::create_dir(app.path().join("wit")).unwrap();
        fs::write(app.path().join("wit/math.wit"), SUMS_WIT).unwrap();
        let add = async |file: &str| {
            let inspected = app.wharf(&["inspect", file, "--json"]).await.json();
            inspected["schema"]["interfaces"][0]["functions"][0].clone()
        };

        let bare = add("source").await;
        assert_eq!((&bare["name"], bare.get("docs")), (&"add".into(), None), "{bare}");
        assert_eq!(app.wharf(&["build"]).await.code, Some(0));
        assert_eq!(add("guest.wasm").await["docs"], "Adds two numbers.");
        let made = fs::read(app.path().join("guest.wasm")).unwrap();

        // Built of what has its WIT already, it has it once; and what the WIT says anew, it says.
        app.replace("source", &made);
        assert_eq!(app.wharf(&["build"]).await.code, Some(0));
        assert_eq!(fs::read(app.path().join("guest.wasm")).unwrap(), made);
        fs::write(app.path().join("wit/math.wit"), SUMS_WIT.replace("Adds two", "Adds both")).unwrap();
        assert_eq!(app.wharf(&["build"]).await.code, Some(0));
        assert_eq!(add("guest.wasm").await["docs"], "Adds both numbers.");

        for (wrong, said) in [
            (SUMS_WIT.replace("a: u32", "a: u64"), "is not that of the component"),
            (SUMS_WIT.replace("demo:math", "demo:others"), "has no interface demo:math/sums@1.0.0"),
            (SUMS_WIT.replace("sums {", "sums"), "cannot be read"),
        ] {
            fs::write(app.path().join("wit/math.wit"), &wrong).unwrap();
            let failed = app.wharf(&["build"]).await;
            assert_eq!(failed.code, Some(1), "{failed:?}");
            assert!(
                failed.stderr.contains("building guest failed") && failed.stderr.contains(said),
                "{failed:?}"
            );
            assert!(failed.stderr.contains("See `wit` in [plugin.guest]"), "{failed:?}");
            let again = app.wharf(&["build"]).await;
            assert!(
                again.code == Some(1) && again.stderr.contains(said),
                "what failed is not up to date: {again:?}"
            );
        }

        fs::write(app.path().join("wit/math.wit"), SUMS_WIT).unwrap();
        assert_eq!(app.wharf(&["build"]).await.code, Some(0));
        let host = app.start().await;
        let mut asked = request("POST", "/graphql", body(r#"{"query": "{ add(a: 1, b: 2) }"}"#));
        asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
        assert_eq!(host.send(asked).await.json()["data"]["add"], 3, "a query, as its WIT says");
    });
}

#[test]
fn an_older_sdk_copy_is_mentioned_and_does_not_stop_a_build() {
    run(async {
        let app = host(&built_by("cp source guest.wasm")).copy("source", components::VERSION_ONE).write();
        fs::create_dir_all(app.path().join("vendor/wharf")).unwrap();
        // The digest is that of a copy without a file.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        app.replace("stamp", format!("wharf-sdk 0.0.1\nsha256 {empty}\n"));
        fs::rename(app.path().join("stamp"), app.path().join("vendor/wharf/VERSION")).unwrap();
        let built = app.wharf(&["build"]).await;
        assert_eq!(built.code, Some(0), "{built:?}");
        assert!(built.stderr.contains("is the SDK of wharf 0.0.1"), "{built:?}");
        assert!(built.stderr.contains("wharf sdk update"), "{built:?}");
    });
}
