//! The arrows that never exist, and the pages that must match the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wharf_harness::components;

use crate::ROOT;

/// The direct dependencies of each crate of ours, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Who may know wasmtime: the engine, and the bindings that are generated for it.
const KNOWS_WASMTIME: &[&str] = &["wharf-bindings", "wharf-engine"];

/// Crates that decide or keep something and must not know how a call arrives or is run.
const POLICY_AND_STATE: &[&str] = &[
    "wharf-budget",
    "wharf-chaos",
    "wharf-events",
    "wharf-inference",
    "wharf-resilience",
    "wharf-scaling",
    "wharf-security",
    "wharf-state",
];

/// Crates through which calls come in.
const WAYS_IN: &[&str] = &["wharf-admin", "wharf-doors", "wharf-gateway", "wharf-graphql", "wharf-grpc"];

/// Crates that are below all others.
const LEAVES: &[&str] = &["wharf-allocator", "wharf-bindings", "wharf-call", "wharf-telemetry"];

/// Crates of ours that are not the host's: they meet the host in WIT, or in its command line.
const OUTSIDE: &[&str] = &["wharf-bench", "wharf-harness", "wharf-sdk", "wharf-sdk-macros"];

/// Each forbidden arrow of `graph`, as a sentence.
fn forbidden_arrows(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (from, dependencies) in graph {
        let from = from.as_str();
        for to in dependencies.iter().map(String::as_str) {
            let ours = graph.contains_key(to);
            if to.starts_with("wasmtime") && !KNOWS_WASMTIME.contains(&from) {
                found.push(format!("{from} -> {to}: only the engine knows wasmtime"));
            }
            if to.starts_with("tract") && from != "wharf-inference" {
                found.push(format!("{from} -> {to}: only inference knows tract"));
            }
            if to == "wharf" {
                found.push(format!("{from} -> {to}: nothing depends on the binary"));
            }
            if ours && LEAVES.contains(&from) {
                found.push(format!("{from} -> {to}: {from} depends on none of ours"));
            }
            if ours && OUTSIDE.contains(&from) != OUTSIDE.contains(&to) {
                found.push(format!("{from} -> {to}: the host and what is outside of it meet in WIT only"));
            }
        }
        let reached = reachable(graph, from);
        let door = WAYS_IN.contains(&from);
        let policy = POLICY_AND_STATE.contains(&from);
        if (door || policy) && reached.contains("wharf-engine") {
            found.push(format!("{from} -> wharf-engine: a plugin is reached through a port"));
        }
        if policy && reached.contains("wharf-gateway") {
            found.push(format!("{from} -> wharf-gateway: policy and state do not know how a call arrives"));
        }
    }
    found
}

/// Every crate of ours that `from` depends on, directly or not.
fn reachable<'a>(graph: &'a Graph, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = graph.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if graph.contains_key(name) && reached.insert(name) {
            next.extend(graph[name].iter().map(String::as_str));
        }
    }
    reached
}

/// The graph of the workspace in `dir`. Dependencies of tests count as well, except those on the helpers
/// of tests, which are not part of the host.
fn graph(dir: &Path) -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let for_tests = |value: &&Value| value["kind"] == "dev" && value["name"] == "wharf-harness";
            (name(package), dependencies.filter(|value| !for_tests(value)).map(name).collect())
        })
        .collect()
}

#[test]
fn no_forbidden_arrow_exists() {
    let graph = graph(Path::new(ROOT));
    assert!(graph["wharf-engine"].contains("wasmtime"), "the graph is not read right: {graph:#?}");
    assert_eq!(forbidden_arrows(&graph), Vec::<String>::new());
}

#[test]
fn each_forbidden_arrow_would_be_found() {
    for (from, to) in [
        ("wharf-gateway", "wasmtime"),
        ("wharf", "wasmtime-wasi"),
        ("wharf-engine", "tract-onnx"),
        ("wharf-admin", "wharf"),
        ("wharf-call", "wharf-budget"),
        ("wharf-telemetry", "wharf-call"),
        ("wharf-sdk", "wharf-call"),
        ("wharf-engine", "wharf-sdk"),
        ("wharf-harness", "wharf-engine"),
        ("wharf-gateway", "wharf-engine"),
        ("wharf-admin", "wharf-engine"),
        ("wharf-budget", "wharf-gateway"),
        ("wharf-security", "wharf-engine"),
    ] {
        let mut graph = graph(Path::new(ROOT));
        graph.entry(from.to_owned()).or_default().insert(to.to_owned());
        assert_ne!(forbidden_arrows(&graph), Vec::<String>::new(), "{from} -> {to}");
    }
}

#[test]
fn guests_do_not_depend_on_the_host() {
    let mut workspaces = vec!["tests/components".to_owned(), "plugins".to_owned()];
    workspaces.extend(
        folders(&Path::new(ROOT).join("examples")).into_iter().map(|name| format!("examples/{name}")),
    );
    let host: BTreeSet<String> = graph(Path::new(ROOT)).into_keys().collect();
    for workspace in workspaces {
        let dir = Path::new(ROOT).join(&workspace);
        if !dir.join("Cargo.toml").exists() {
            continue;
        }
        for (guest, dependencies) in graph(&dir) {
            let of_host = dependencies.intersection(&host).filter(|name| *name != "wharf-sdk");
            assert_eq!(of_host.collect::<Vec<_>>(), Vec::<&String>::new(), "{workspace}: {guest}");
        }
    }
}

#[test]
fn there_is_one_cryptographic_provider() {
    // Not Cargo.lock: it lists ring, which rustls-webpki names in a feature that is off, and nothing builds it.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"])
        .args(["--locked", "--offline"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let built = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    assert!(built("aws-lc-rs"), "the tree is not read right: {tree}");
    for other in ["ring", "openssl", "openssl-sys", "native-tls", "boring-sys"] {
        assert!(!built(other), "{other} is built");
    }
}

#[test]
fn the_code_map_names_each_folder_of_the_host_and_nothing_that_is_not_there() {
    let page = read("host/ARCHITECTURE.md");
    let map = page.split("\n## ").find(|section| section.to_lowercase().starts_with("code map"));
    let map = map.expect("host/ARCHITECTURE.md has a section \"Code map\"");
    let mut named = BTreeSet::new();
    for path in map.split('`').skip(1).step_by(2).filter(|text| is_path(text)) {
        let host = Path::new(ROOT).join("host").join(path);
        assert!(host.exists() || Path::new(ROOT).join(path).exists(), "the code map names {path:?}");
        let path = path.strip_prefix("host/").unwrap_or(path);
        named.extend(path.split('/').next().filter(|_| host.exists()).map(str::to_owned));
    }
    let missing: Vec<_> =
        folders(&Path::new(ROOT).join("host")).into_iter().filter(|name| !named.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new(), "not in the code map");
}

/// Whether a piece of code in prose is meant as a path: `engine/`, `engine/src/lease.rs`.
fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    plain && !text.starts_with('/') && (text.contains('/') || text.ends_with(".rs"))
}

#[test]
fn each_guest_is_used_by_a_test() {
    let places =
        ["tests/all", "tests/components/zoo", "tests/bench/src", "host/engine/benches", "host/engine/tests"];
    let tests: String = places.iter().map(|place| all_text_in(&Path::new(ROOT).join(place))).collect();
    assert!(!components::ALL.is_empty());
    for (name, _) in components::ALL {
        let constant = format!("components::{}", name.replace('-', "_").to_uppercase());
        let used = tests.contains(&format!("{{{{{name}}}}}"))
            || tests.contains(&constant)
            || tests.contains(&format!(";; guest: {name}\n"));
        assert!(used, "no test uses the guest {name}");
    }
}

#[test]
fn the_readme_has_two_commands_and_ci_runs_the_second_as_it_stands() {
    let readme = read("README.md");
    for command in ["cargo run --release -- up examples/hello", "cargo test --workspace"] {
        assert!(readme.lines().any(|line| line.trim() == command), "README.md lacks the line {command:?}");
    }
    let ci = read(".ci/run");
    assert!(ci.lines().any(|line| line.trim() == "step cargo test --workspace"), "{ci}");
}

/// Every file below `dir`, one after the other.
fn all_text_in(dir: &Path) -> String {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { all_text_in(&path) } else { fs::read_to_string(path).unwrap() })
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the folders in `dir`.
fn folders(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name != "target" && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
