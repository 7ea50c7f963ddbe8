//! The store beside a map that is easy to understand.

use std::collections::BTreeMap;

use bytes::Bytes;
use wharf_call::{Change, KEY_BYTES_MAX, KeyValue, KeyValueError, Swap};

use super::*;

const QUOTA: u64 = 400;

/// What a bucket is meant to be.
#[derive(Clone, Default)]
struct Model(BTreeMap<String, Bytes>);

impl Model {
    fn used(&self) -> u64 {
        self.0.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), KeyValueError> {
        let mut after = self.clone();
        for change in changes {
            match change {
                Change::Set { key, value } => drop(after.0.insert(key.clone(), value.clone())),
                Change::Delete { key } => drop(after.0.remove(key)),
            }
        }
        if after.used() > self.used() && after.used() > QUOTA {
            return Err(KeyValueError::QuotaExceeded { bucket: "a".to_owned(), limit: QUOTA });
        }
        *self = after;
        Ok(())
    }

    fn increment(&mut self, key: &str, delta: i64) -> Result<i64, KeyValueError> {
        let before = match self.0.get(key) {
            None => 0,
            Some(value) => {
                let text = String::from_utf8(value.to_vec()).map_err(|_| KeyValueError::NotANumber)?;
                text.parse::<i64>().map_err(|_| KeyValueError::NotANumber)?
            }
        };
        let sum = before.checked_add(delta).ok_or(KeyValueError::Overflow)?;
        self.write(&[set(key, sum.to_string())])?;
        Ok(sum)
    }
}

fn random_change(random: &mut Random) -> Change {
    let key = format!("key-{}", random.below(12));
    match random.below(3) {
        0 => delete(&key),
        1 => set(&key, random.below(1_000).to_string()),
        _ => set(&key, vec![b'x'; random.below(90) as usize]),
    }
}

#[tokio::test]
async fn every_answer_is_that_of_a_map_also_at_the_quota_and_across_reopening() {
    for seed in 1..=6 {
        let random = &mut Random(seed * 0x9e37_79b9);
        let disk = Disk::new();
        let config = Config { bucket_bytes_max: QUOTA, page_keys_max: 3, ..Config::default() };
        let mut state = open(&disk, config.clone());
        let mut model = Model::default();
        for _ in 0..400 {
            let key = format!("key-{}", random.below(12));
            match random.below(12) {
                0..=3 => {
                    let changes = vec![random_change(random)];
                    assert_eq!(state.write("a", changes.clone()).await, model.write(&changes));
                }
                4 | 5 => {
                    let changes: Vec<_> = (0..random.below(6)).map(|_| random_change(random)).collect();
                    assert_eq!(state.write("a", changes.clone()).await, model.write(&changes), "{changes:?}");
                }
                6 | 7 => {
                    let delta = if random.below(9) == 0 { i64::MAX } else { random.below(100) as i64 - 50 };
                    assert_eq!(state.increment("a", &key, delta).await, model.increment(&key, delta));
                }
                8 => {
                    let current = model.0.get(&key).cloned();
                    let seen =
                        if random.below(3) == 0 { Some(Bytes::from("other")) } else { current.clone() };
                    let value = Bytes::from(vec![b'y'; random.below(60) as usize]);
                    let expected = if seen == current {
                        model.write(&[set(&key, value.clone())]).map(|()| Swap::Swapped)
                    } else {
                        Ok(Swap::Changed(current))
                    };
                    assert_eq!(state.swap("a", &key, seen, value).await, expected);
                }
                9 => {
                    assert_eq!(state.get("a", &key).await.unwrap().as_ref(), model.0.get(&key));
                    assert_eq!(state.exists("a", &key).await.unwrap(), model.0.contains_key(&key));
                }
                10 => {
                    let wanted: Vec<_> = (0..12).map(|n| format!("key-{n}")).collect();
                    let expected: Vec<_> = wanted.iter().map(|key| model.0.get(key).cloned()).collect();
                    assert_eq!(state.get_many("a", &wanted).await.unwrap(), expected);
                    assert_eq!(keys(&state, "a").await, model.0.keys().cloned().collect::<Vec<_>>());
                }
                _ if random.below(8) == 0 => {
                    drop(state);
                    state = open(&disk, config.clone());
                }
                _ => {}
            }
            assert_eq!(state.used_bytes("a"), Some(model.used()), "the quota counts exactly");
        }
        assert_eq!(keys(&state, "b").await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn each_size_is_refused_at_its_limit_and_nothing_is_kept() {
    let config =
        Config { value_bytes_max: 100, batch_entries_max: 3, batch_bytes_max: 250, ..Config::default() };
    let state = open(&Disk::new(), config);
    let too_large = |what, limit| Err(KeyValueError::TooLarge { what, limit });
    let long = "k".repeat(KEY_BYTES_MAX);

    assert_eq!(state.write("a", vec![set(&long, "v")]).await, Ok(()));
    let longer = format!("{long}k");
    assert_eq!(state.write("a", vec![set(&longer, "v")]).await, too_large("bytes of a key", 1_024));
    assert_eq!(state.write("a", vec![set("", "v")]).await, Err(KeyValueError::EmptyKey));
    assert_eq!(state.get("a", "").await, Err(KeyValueError::EmptyKey));

    assert_eq!(state.write("a", vec![set("k", vec![0; 100])]).await, Ok(()));
    assert_eq!(state.write("a", vec![set("k", vec![0; 101])]).await, too_large("bytes of a value", 100));
    let value = Bytes::from(vec![0; 101]);
    assert_eq!(
        state.swap("a", "k", None, value).await,
        Err(KeyValueError::TooLarge { what: "bytes of a value", limit: 100 })
    );

    let many = ["1", "2", "3", "4"].map(|key| set(key, "v")).to_vec();
    assert_eq!(state.write("a", many).await, too_large("keys in one call", 3));
    let heavy = ["1", "2", "3"].map(|key| set(key, vec![0; 90])).to_vec();
    assert_eq!(state.write("a", heavy).await, too_large("bytes in one call", 250));

    for key in ["1", "2", "3"] {
        assert_eq!(state.write("a", vec![set(key, vec![0; 90])]).await, Ok(()));
    }
    let three = ["1", "2", "3"].map(str::to_owned);
    assert_eq!(
        state.get_many("a", &three).await,
        Err(KeyValueError::TooLarge { what: "bytes in one call", limit: 250 })
    );
    assert_eq!(state.write("c", vec![set("k", "v")]).await, Err(KeyValueError::NoSuchBucket));
    assert_eq!(state.get("c", "k").await, Err(KeyValueError::NoSuchBucket));
    assert_eq!(state.used_bytes("a"), Some(1_025 + 101 + 3 * 91));
}

#[tokio::test]
async fn a_full_bucket_refuses_what_grows_and_its_neighbour_does_not_notice() {
    let state = open(&Disk::new(), Config::default());
    state.provide("a", Some(10));
    assert_eq!(state.write("a", vec![set("12345", "12345")]).await, Ok(()));
    let full = Err(KeyValueError::QuotaExceeded { bucket: "a".to_owned(), limit: 10 });
    assert_eq!(state.write("a", vec![set("1", "")]).await, full);
    assert_eq!(state.write("b", vec![set("1", "2")]).await, Ok(()));
    state.provide("a", Some(5));
    assert_eq!(state.write("a", vec![set("12345", "54321")]).await, Ok(()), "it does not grow");
    assert_eq!(state.write("a", vec![set("x", "1"), delete("12345")]).await, Ok(()), "the sum counts");
    assert_eq!(state.used_bytes("a"), Some(2));
}

#[tokio::test]
async fn a_cursor_survives_what_happens_to_its_keys() {
    let state = open(&Disk::new(), Config { page_keys_max: 2, ..Config::default() });
    let all = ["b", "d", "f", "h", "ü"].map(|key| set(key, "")).to_vec();
    state.write("a", all).await.unwrap();
    let first = state.list_keys("a", None).await.unwrap();
    assert_eq!((first.keys, first.cursor.as_deref()), (vec!["b".into(), "d".into()], Some("d")));
    // The key of the cursor goes away, one comes before it, one after it.
    state.write("a", vec![delete("d"), set("a", ""), set("e", "")]).await.unwrap();
    let second = state.list_keys("a", Some("d")).await.unwrap();
    assert_eq!(second.keys, ["e", "f"]);
    let third = state.list_keys("a", second.cursor.as_deref()).await.unwrap();
    assert_eq!(third.keys, ["h", "ü"]);
    assert_eq!(third.cursor, None, "a page that ends with the last key is the last page");
    assert_eq!(state.list_keys("a", Some("zzz")).await.unwrap().keys, ["ü"]);
    assert_eq!(state.list_keys("a", Some("ü")).await.unwrap(), Default::default());
}

#[tokio::test]
async fn increments_from_many_tasks_lose_nothing_and_leave_decimal_text() {
    let state = Arc::new(open(&Disk::new(), Config::default()));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let state = state.clone();
            tokio::spawn(async move { state.increment("a", "hits", 2).await })
        })
        .collect();
    let mut sums = Vec::new();
    for task in tasks {
        sums.push(task.await.unwrap().unwrap());
    }
    sums.sort();
    assert_eq!(sums, (1..=50).map(|n| n * 2).collect::<Vec<i64>>(), "each saw a sum of its own");
    assert_eq!(state.get("a", "hits").await.unwrap().unwrap(), "100");
}

#[tokio::test]
async fn of_many_swaps_that_saw_the_same_one_wins() {
    let state = Arc::new(open(&Disk::new(), Config::default()));
    let tasks: Vec<_> = (0..20)
        .map(|n: u32| {
            let state = state.clone();
            tokio::spawn(async move { state.swap("a", "leader", None, n.to_string().into()).await.unwrap() })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap() == Swap::Swapped);
    }
    assert_eq!(won, 1);
}
