//! The log alone: which records count after which harm.

use super::*;
use crate::log::Log;
use crate::pages::PAGE;

const ID: u64 = 0x1234_5678_9abc_def0;

/// A log on a disk of its own, with `pages` for records, full of what round 1 left; round 2 has begun.
fn used_log(pages: usize) -> (Arc<Disk>, Log) {
    let disk = Disk::new();
    let mut log = Log::make(&disk, ID, (1 + pages) * PAGE).unwrap();
    log.begin(1);
    for n in 0..pages {
        log.append(&[n as u8; 4_000]).unwrap();
    }
    log.begin(2);
    (disk, log)
}

/// The records of `round` that are found in a log with these bytes.
fn replay(bytes: Vec<u8>, round: u64) -> Result<Vec<Vec<u8>>, OpenError> {
    let disk = Disk::new();
    disk.set_bytes(Which::Log, bytes);
    let log = Log::find(&disk)?.unwrap();
    let mut records = Vec::new();
    log.replay(round, |record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok(records)
}

/// A record that has no two pages, and no two sectors, alike.
fn record(length: usize, seed: u64) -> Vec<u8> {
    let random = &mut Random(seed);
    (0..length).map(|_| random.below(256) as u8).collect()
}

#[test]
fn records_of_every_size_come_back_until_the_log_is_full() {
    let (disk, mut log) = used_log(16);
    let mut written = Vec::new();
    for length in [1, 100, 4_063, 4_064, 4_065, 9_000, 4_064 * 3, 200] {
        written.push(record(length, length as u64));
        log.append(written.last().unwrap()).unwrap();
        assert_eq!(replay(disk.bytes(Which::Log), 2).unwrap(), written);
    }
    let rest = record(log.room(), 99);
    log.append(&rest).unwrap();
    written.push(rest);
    assert_eq!(log.room(), 0);
    assert_eq!(replay(disk.bytes(Which::Log), 2).unwrap(), written);
    assert_eq!(replay(disk.bytes(Which::Log), 3).unwrap(), Vec::<Vec<u8>>::new(), "a round that has begun");
}

/// A log with two whole records before and after a third one of two pages was written, and where that is.
fn third_record() -> (Vec<u8>, Vec<u8>, usize, [Vec<u8>; 3]) {
    let (disk, mut log) = used_log(6);
    let records = [record(50, 1), record(5_000, 2), record(6_000, 3)];
    log.append(&records[0]).unwrap();
    log.append(&records[1]).unwrap();
    let before = disk.bytes(Which::Log);
    log.append(&records[2]).unwrap();
    (before, disk.bytes(Which::Log), 4 * PAGE, records)
}

#[test]
fn a_record_that_is_torn_at_any_byte_does_not_count_and_those_before_it_do() {
    let (before, after, begin, records) = third_record();
    for written in 0..=2 * PAGE {
        let mut bytes = before.clone();
        bytes[begin..begin + written].copy_from_slice(&after[begin..begin + written]);
        let whole = if bytes == after { 3 } else { 2 };
        assert_eq!(replay(bytes, 2).unwrap(), records[..whole], "{written} bytes were written");
    }
}

#[test]
fn a_record_of_which_any_sectors_are_missing_does_not_count() {
    let (before, after, begin, records) = third_record();
    // Sectors of 1,024 bytes: eight in two pages.
    for set in 0..256 {
        let mut bytes = before.clone();
        for sector in (0..8).filter(|sector| set & (1 << sector) != 0) {
            let place = begin + sector * 1_024..begin + (sector + 1) * 1_024;
            bytes[place.clone()].copy_from_slice(&after[place]);
        }
        let whole = if bytes == after { 3 } else { 2 };
        assert_eq!(replay(bytes, 2).unwrap(), records[..whole], "sectors {set:08b} were written");
    }
}

fn why(error: &OpenError) -> String {
    assert!(matches!(error, OpenError::Log { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_bad_record_before_a_good_one_is_damage_and_no_torn_tail() {
    let (_, good, _, _) = third_record();
    for (place, number) in [(PAGE + 40, 0), (2 * PAGE + 4_000, 1), (3 * PAGE + 10, 1)] {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        let error = replay(bytes, 2).unwrap_err();
        assert!(why(&error).contains(&format!("record {number} is damaged, and record {}", number + 1)));
    }
    // A whole page that is gone is no better.
    let mut bytes = good;
    bytes[PAGE..2 * PAGE].fill(0);
    assert!(why(&replay(bytes, 2).unwrap_err()).contains("record 0 is damaged"));
}

#[test]
fn a_log_that_is_newer_than_its_database_is_refused() {
    let (_, bytes, _, _) = third_record();
    assert!(why(&replay(bytes, 1).unwrap_err()).contains("newer than kv.redb"));
}

#[test]
fn a_log_without_its_first_page_or_its_end_is_refused() {
    let (_, good, _, _) = third_record();
    // (No byte at all is what the disk of these tests calls missing; `opening.rs` has an empty file.)
    for length in [1, PAGE - 1, PAGE, good.len() - PAGE, good.len() - 1] {
        let mut bytes = good.clone();
        bytes.truncate(length);
        assert!(why(&replay(bytes, 2).unwrap_err()).contains("kv.log cannot be used"), "{length} bytes");
    }
    for place in [0, 5, 13, 20, 25, 4_000] {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        why(&replay(bytes, 2).unwrap_err());
    }
}

#[test]
fn a_value_that_looks_like_a_page_of_the_log_is_a_value() {
    // A page of the record that comes next, wherever in a value it stands.
    let forged = {
        let disk = Disk::new();
        let mut log = Log::make(&disk, ID, 4 * PAGE).unwrap();
        log.begin(2);
        log.append(b"zero").unwrap();
        log.append(b"forged").unwrap();
        disk.bytes(Which::Log)[2 * PAGE..3 * PAGE].to_vec()
    };
    for shift in [0, 1, 32, 4_064, 4_096] {
        let (disk, mut log) = used_log(8);
        log.append(b"first").unwrap();
        let mut value = vec![0; shift];
        value.extend_from_slice(&forged.repeat(3));
        log.append(&value).unwrap();
        let mut bytes = disk.bytes(Which::Log);
        assert_eq!(replay(bytes.clone(), 2).unwrap(), [b"first".to_vec(), value]);
        // Torn, it is nothing at all.
        bytes[2 * PAGE] ^= 1;
        assert_eq!(replay(bytes, 2).unwrap(), [b"first".to_vec()]);
    }
}
