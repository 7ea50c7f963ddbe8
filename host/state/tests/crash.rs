//! The death of the process in the middle of writes: whatever was acknowledged is there afterwards.
//!
//! The test runs its own binary as a child, in which eight writers print each write that was acknowledged
//! to a pipe, and kills the child with SIGKILL at a random moment. What reached the pipe must be in the
//! store. `WHARF_CRASH_ROUNDS` sets the number of rounds (default: 10).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use bytes::Bytes;
use wharf_call::{Change, KeyValue};
use wharf_state::{Config, State};

const WRITERS: u64 = 8;
const KEYS: u64 = 40;
const DIR: &str = "WHARF_CRASH_DIR";
const ROUND: &str = "WHARF_CRASH_ROUND";

/// The number `n` and as many bytes as it says, under a checksum: a torn value is not one of these.
fn value(n: u64) -> Bytes {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(8 + (n.wrapping_mul(0x9e37_79b9) % 9_000) as usize, n as u8);
    bytes.extend_from_slice(&fnv1a(&bytes).to_le_bytes());
    Bytes::from(bytes)
}

fn number(value: &[u8]) -> u64 {
    let (content, sum) = value.split_last_chunk().expect("a value has a checksum");
    assert_eq!(fnv1a(content).to_le_bytes(), *sum, "a torn value");
    u64::from_le_bytes(*content.first_chunk().unwrap())
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn open(dir: &Path) -> State {
    let state = State::open(dir, Config::default()).unwrap();
    state.provide("crash", None);
    state
}

#[test]
#[ignore = "the child of the test below; it writes until it is killed"]
fn child() {
    let dir = PathBuf::from(env::var(DIR).expect("the parent says where"));
    let round: u64 = env::var(ROUND).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let state = Arc::new(open(&dir));
    let write_for_ever = |writer: u64| {
        let state = state.clone();
        async move {
            // Numbers only grow, over all rounds: the newest of a key is the largest.
            for n in (round << 32).. {
                let key = format!("{writer}-{}", n.wrapping_mul(7) % KEYS);
                let set = Change::Set { key: key.clone(), value: value(n) };
                state.write("crash", vec![set]).await.unwrap();
                state.increment("crash", "writes", 1).await.unwrap();
                // One line is one write to the pipe: the parent sees it whole or not at all.
                std::io::stdout().lock().write_all(format!("ack {key} {n}\n").as_bytes()).unwrap();
            }
        }
    };
    let writers: Vec<_> = (0..WRITERS).map(|writer| runtime.spawn(write_for_ever(writer))).collect();
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill_and_nothing_is_torn() {
    let rounds = env::var("WHARF_CRASH_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let dir = env::temp_dir().join(format!("wharf-state-crash-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    let mut acknowledged = BTreeMap::<String, u64>::new();
    let mut writes = 0;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 1..=rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // The first rounds die while the file is made, or soon after.
        let lines = if round < 4 { 0 } else { 1 + random % 400 };
        writes += run_and_kill(&dir, round, lines as usize, &mut acknowledged);
        runtime.block_on(check(&dir, &acknowledged, writes));
    }
    fs::remove_dir_all(&dir).unwrap();
}

/// Runs the child until it has acknowledged `lines` writes, kills it, and reads what else it had said.
/// Returns the number of acknowledged writes.
fn run_and_kill(dir: &Path, round: u64, lines: usize, acknowledged: &mut BTreeMap<String, u64>) -> i64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut count = 0;
    let output = BufReader::new(child.stdout.take().unwrap()).lines();
    if lines == 0 {
        while !dir.join("lock").exists() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
    }
    for line in output {
        let line = line.unwrap();
        // The harness prints a line of its own first.
        let Some(ack) = line.split_once("ack ").map(|(_, ack)| ack) else { continue };
        let (key, n) = ack.split_once(' ').unwrap();
        acknowledged.insert(key.to_owned(), n.parse().unwrap());
        count += 1;
        if count == lines as i64 {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "the child was to be killed");
    count
}

async fn check(dir: &Path, acknowledged: &BTreeMap<String, u64>, writes: i64) {
    let state = open(dir);
    for (key, n) in acknowledged {
        let found = state.get("crash", key).await.unwrap();
        let found = number(&found.unwrap_or_else(|| panic!("{key} was acknowledged and is gone")));
        assert!(found >= *n, "{key} holds {found:#x}, and {n:#x} was acknowledged");
    }
    let counted = state.get("crash", "writes").await.unwrap().unwrap_or(Bytes::from_static(b"0"));
    let counted: i64 = std::str::from_utf8(&counted).unwrap().parse().unwrap();
    assert!(counted >= writes, "{counted} increments are left of {writes}");
    // The count is exact, too, and every value is whole.
    let mut used = 0;
    let mut cursor = None;
    loop {
        let page = state.list_keys("crash", cursor.as_deref()).await.unwrap();
        for key in page.keys {
            let found = state.get("crash", &key).await.unwrap().unwrap();
            used += (key.len() + found.len()) as u64;
            if key != "writes" {
                number(&found);
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(state.used_bytes("crash"), Some(used));
}
