//! The file, its modes, and the ways in which it cannot be opened.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::*;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wharf-state-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_store_is_found_again_and_is_for_its_user_only() {
    let dir = Dir::new("modes");
    let state_dir = dir.0.join("state");
    for expected in [None, Some("1"), Some("2")] {
        let state = State::open(&state_dir, Config::default()).unwrap();
        state.provide("a", None);
        assert_eq!(state.get("a", "runs").await.unwrap().as_deref(), expected.map(str::as_bytes));
        assert_eq!(state.used_bytes("a"), Some(if expected.is_some() { 5 } else { 0 }));
        state.increment("a", "runs", 1).await.unwrap();
    }
    assert_eq!(fs::metadata(&state_dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(state_dir.join("kv.redb")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_second_opening_is_told_that_the_store_is_in_use() {
    let dir = Dir::new("in-use");
    let first = State::open(&dir.0, Config::default()).unwrap();
    let error = State::open(&dir.0, Config::default()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("kv.redb is in use: another wharf runs"), "{error}");
    drop(first);
    State::open(&dir.0, Config::default()).unwrap();
}

#[test]
fn a_file_that_is_something_else_is_named_and_left_alone() {
    let dir = Dir::new("damaged");
    fs::create_dir_all(&dir.0).unwrap();
    let text = "this is not a store ".repeat(1_000);
    fs::write(dir.0.join("kv.redb"), &text).unwrap();
    let error = State::open(&dir.0, Config::default()).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(dir.0.join("kv.redb")).unwrap(), text);
}

#[test]
fn what_a_crash_left_of_a_file_that_was_being_made_is_made_anew() {
    let dir = Dir::new("unfinished");
    fs::create_dir_all(&dir.0).unwrap();
    fs::write(dir.0.join("kv.redb.new"), [0; 100_000]).unwrap();
    State::open(&dir.0, Config::default()).unwrap();
    assert!(dir.0.join("kv.redb").exists() && !dir.0.join("kv.redb.new").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = Dir::new("folder");
    fs::write(&dir.0, "a file").unwrap();
    let error = State::open(&dir.0.join("state"), Config::default()).err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    fs::remove_file(&dir.0).unwrap();
}
