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
    for file in ["kv.redb", "kv.log", "lock"] {
        assert_eq!(fs::metadata(state_dir.join(file)).unwrap().mode() & 0o777, 0o600, "{file}");
    }
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
    fs::remove_file(dir.0.join("kv.log")).unwrap();
    fs::write(dir.0.join("kv.log.new"), [0; 100_000]).unwrap();
    State::open(&dir.0, Config::default()).unwrap();
    assert!(dir.0.join("kv.log").exists() && !dir.0.join("kv.log.new").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = Dir::new("folder");
    fs::write(&dir.0, "a file").unwrap();
    let error = State::open(&dir.0.join("state"), Config::default()).err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    fs::remove_file(&dir.0).unwrap();
}

impl Dir {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    async fn open_and_set(&self, key: &str) -> State {
        let state = State::open(&self.0, Config::default()).unwrap();
        state.provide("a", None);
        state.write("a", vec![set(key, "v")]).await.unwrap();
        state
    }

    async fn keys(&self) -> Vec<String> {
        let state = State::open(&self.0, Config::default()).unwrap();
        state.provide("a", None);
        keys(&state, "a").await
    }

    /// What a crash at this moment leaves.
    fn crashed(&self, name: &str) -> Dir {
        let copy = Dir::new(name);
        fs::create_dir_all(&copy.0).unwrap();
        for file in ["kv.redb", "kv.log"] {
            fs::copy(self.file(file), copy.file(file)).unwrap();
        }
        copy
    }

    fn refusal(&self) -> String {
        let error = State::open(&self.0, Config::default()).err().expect("the store is to be refused");
        assert!(matches!(error, OpenError::Log { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("kv.log cannot be used") && text.contains("from the same copy"), "{text}");
        text
    }
}

#[tokio::test]
async fn after_a_crash_the_newest_writes_come_from_the_log() {
    let dir = Dir::new("log-live");
    let state = dir.open_and_set("k").await;
    let crashed = dir.crashed("log-crashed");
    drop(state);
    assert_eq!(crashed.keys().await, ["k"]);
    assert_eq!(crashed.keys().await, ["k"], "also the second time");
}

#[tokio::test]
async fn a_store_that_was_closed_does_not_need_its_log() {
    let dir = Dir::new("log-closed");
    drop(dir.open_and_set("k").await);
    fs::remove_file(dir.file("kv.log")).unwrap();
    assert_eq!(dir.keys().await, ["k"]);
    assert!(dir.file("kv.log").exists());
}

#[tokio::test]
async fn a_store_that_was_not_closed_is_refused_without_its_log_and_is_there_again_with_it() {
    let dir = Dir::new("log-lost");
    let state = dir.open_and_set("k").await;
    let crashed = dir.crashed("log-lost-crashed");
    drop(state);
    let log = fs::read(crashed.file("kv.log")).unwrap();
    fs::remove_file(crashed.file("kv.log")).unwrap();
    assert!(crashed.refusal().contains("the newest writes are in it"));
    fs::write(crashed.file("kv.log"), "").unwrap();
    assert!(crashed.refusal().contains("it is too short"));
    fs::write(crashed.file("kv.log"), &log).unwrap();
    assert_eq!(crashed.keys().await, ["k"]);
}

#[tokio::test]
async fn the_log_of_another_store_is_refused_and_left_alone() {
    let [dir, other] = ["log-mixed", "log-other"].map(Dir::new);
    let state = dir.open_and_set("k").await;
    let crashed = dir.crashed("log-mixed-crashed");
    drop(state);
    drop(other.open_and_set("k").await);
    let log = fs::read(other.file("kv.log")).unwrap();
    for store in [&crashed, &dir] {
        fs::write(store.file("kv.log"), &log).unwrap();
        store.refusal();
        assert!(fs::read(store.file("kv.log")).unwrap() == log);
    }
    // Nor does a new store take it over.
    fs::remove_file(other.file("kv.redb")).unwrap();
    assert!(other.refusal().contains("they belong to another kv.redb"));
    assert!(fs::read(other.file("kv.log")).unwrap() == log);
}

#[tokio::test]
async fn a_database_from_an_older_copy_is_refused() {
    let dir = Dir::new("log-old");
    let state = dir.open_and_set("old").await;
    let old = dir.crashed("log-old-copy");
    drop(state);
    let state = dir.open_and_set("new").await;
    let new = dir.crashed("log-new-copy");
    drop(state);
    fs::copy(new.file("kv.log"), old.file("kv.log")).unwrap();
    assert!(old.refusal().contains("newer than kv.redb"));
}

#[test]
fn the_store_of_a_newer_host_is_left_alone() {
    let dir = Dir::new("newer");
    drop(State::open(&dir.0, Config::default()).unwrap());
    let database = redb::Database::open(dir.file("kv.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap();
        meta.insert("layout", 1_000).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let error = State::open(&dir.0, Config::default()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { .. }), "{error:?}");
}
