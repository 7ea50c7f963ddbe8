//! How long the host takes to read and check a manifest: `cargo bench -p wharf-bench`.
//!
//! The manifest's reader is part of the binary, so the binary is what is measured: `wharf check`, from the start
//! of its process to its end. `wharf --version` is what of that has nothing to do with a manifest.
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]
#![allow(missing_docs, reason = "nobody depends on a benchmark")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};
use wharf_harness::{TempDir, components};

/// Brings the binary up to date.
fn wharf() -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    // target/release/deps/manifest-HASH
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--bin", "wharf", "--target-dir"]).arg(&target).current_dir(root);
    assert!(build.status().unwrap().success());
    target.join("release/wharf")
}

fn folder(plugins: usize, routes: usize) -> TempDir {
    let mut text = "[app]\nname = \"bench\"\n".to_owned();
    for plugin in 0..plugins {
        text += &format!("[plugin.p{plugin}]\ncomponent = {:?}\n", components::RAW_HANDLER);
        text += "[plugin.p0.limits]\nmemory = \"32MiB\"\ncpu = \"20ms\"\n"
            .replace("p0", &format!("p{plugin}"))
            .as_str();
    }
    for route in 0..routes {
        text += &format!(
            "[[route]]\npath = \"/service-{route}/{{id}}/{{*rest}}\"\nplugin = \"p{}\"\n",
            route % plugins
        );
    }
    let dir = TempDir::new();
    std::fs::write(dir.path().join("wharf.toml"), text).unwrap();
    dir
}

fn manifest(criterion: &mut Criterion) {
    let wharf = wharf();
    let mut group = criterion.benchmark_group("manifest");
    let mut measure = |name: &str, arguments: &[&str]| {
        let run = || {
            let mut command = Command::new(&wharf);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "{command:?}");
        };
        group.bench_function(name, |bencher| bencher.iter(run));
    };
    measure("nothing: wharf --version", &["--version"]);
    for (plugins, routes) in [(1, 1), (1, 1_000), (50, 1_000)] {
        let dir = folder(plugins, routes);
        let name = format!("wharf check, {plugins} plugins, {routes} routes");
        measure(&name, &["check", dir.path().to_str().unwrap()]);
    }
}

criterion_group!(benches, manifest);
criterion_main!(benches);
