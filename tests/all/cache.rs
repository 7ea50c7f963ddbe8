//! Compiled components are kept, and what is kept is used only when it is certain to be our own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use wharf_harness::{TempDir, run};

use crate::{everything, host};

/// What a start did for its one component.
#[derive(Debug, PartialEq)]
enum Outcome {
    Compiled,
    Cached,
}

/// Starts a host that keeps compiled components in `cache`, and has it answer once.
async fn start(cache: &Path) -> Outcome {
    let host = host(&everything("{{version-one}}")).cache(cache).start().await;
    host.get("/").await.expect(200);
    let metrics = host.admin().metrics().await;
    let count = |outcome: &str| metrics.sum("wharf_compile_total", &[&format!("outcome=\"{outcome}\"")]);
    match (count("compiled"), count("cached")) {
        (1.0, 0.0) => Outcome::Compiled,
        (0.0, 1.0) => Outcome::Cached,
        other => panic!("compiled and cached: {other:?}\n{}", metrics.0),
    }
}

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// The largest file: the compiled code.
fn entry(cache: &Path) -> PathBuf {
    files(cache).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[test]
fn a_second_start_compiles_nothing() {
    run(async {
        let cache = TempDir::new();
        assert_eq!(start(cache.path()).await, Outcome::Compiled);
        assert_eq!(start(cache.path()).await, Outcome::Cached);
    });
}

#[test]
fn nobody_else_can_read_or_write_what_is_kept() {
    run(async {
        let cache = TempDir::new();
        let dir = cache.path().join("new");
        start(&dir).await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        let files = files(&dir);
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    });
}

#[test]
fn an_entry_that_was_changed_is_compiled_again() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 6] = [
        ("the first byte is another", |bytes| bytes[0] ^= 1),
        ("a byte in the middle is another", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("the last byte is another", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("the second half is missing", |bytes| bytes.truncate(bytes.len() / 2)),
        ("nothing is left", Vec::clear),
        ("there is more than before", |bytes| bytes.push(0)),
    ];
    run(async {
        let cache = TempDir::new();
        assert_eq!(start(cache.path()).await, Outcome::Compiled);
        for (what, change) in changes {
            let entry = entry(cache.path());
            let mut bytes = fs::read(&entry).unwrap();
            change(&mut bytes);
            fs::write(&entry, bytes).unwrap();
            assert_eq!(start(cache.path()).await, Outcome::Compiled, "{what}");
            assert_eq!(start(cache.path()).await, Outcome::Cached, "after {what}");
        }
    });
}

#[test]
fn an_entry_that_another_key_has_authenticated_is_compiled_again() {
    run(async {
        let ours = TempDir::new();
        let theirs = TempDir::new();
        assert_eq!(start(ours.path()).await, Outcome::Compiled);
        assert_eq!(start(theirs.path()).await, Outcome::Compiled);
        // The same component for the same engine: the entry differs in nothing but its authentication.
        fs::copy(entry(theirs.path()), entry(ours.path())).unwrap();
        assert_eq!(start(ours.path()).await, Outcome::Compiled);
        assert_eq!(start(ours.path()).await, Outcome::Cached);
    });
}
