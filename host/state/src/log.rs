//! The write-ahead log: what makes a write durable with one flush of one page.
//!
//! A durable commit of redb writes seven or eight pages in two flushes. So a group is made durable here, as
//! what it did (`effects.rs`), and then shown to readers from memory (`view.rs`). Once in a while a
//! *checkpoint*, a durable commit of redb, takes over what the log has, and the log begins again at its
//! start (`committer.rs`); opening a store does again what the log has and
//! redb's file has not (`recovery.rs`).
//!
//! **Layout.** A file of pages, all of them written when the log is made, so that a flush later finds no
//! size, no extent and no name to write beside the page. The first page says which log this is, and is
//! never written again. A record takes one or more whole pages; each page has a head: a checksum, the
//! *round* (how many checkpoints there were), the record's number in its round, its length, and which of
//! its pages this is. Nothing that a plugin stores ever stands where a head does, and the checksum begins
//! with the log's own random number: no value can pass for a page.
//!
//! **What is a record?** redb's file names the log and the round that comes after it, in the very commit
//! that is the checkpoint. Record `n` of that round is where record `n - 1` ended, and it counts when each
//! of its pages is whole and is that page of that record.
//!
//! - *A torn or lost write.* A page of the record is that of an older round, or its checksum is wrong: the
//!   record does not count, and it was never acknowledged, because its flush had not returned.
//! - *What an earlier round left.* It has a smaller round. Rounds are never used twice: opening a store
//!   begins one, so a torn record and what later takes its number differ in their round.
//! - *A crash between a checkpoint and the first record after it.* redb's file names a round of which
//!   there is no record. Before that, it names the round before, whose records are all there: nothing is
//!   written to the log until the checkpoint's flush has returned.
//! - *Damage.* Invariant: a record is written when the one before it has been flushed. So only the last
//!   record can be torn; when a later one of the same round is found behind a bad one, something that was
//!   acknowledged is gone, and the store is not opened. A page of a *later* round says that redb's file is
//!   older than its log: it is not opened either. What cannot be told from a torn write is damage to the
//!   very last record.
//! - *A lost log, or that of another store.* `recovery.rs`.

use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;

use crate::OpenError;
use crate::pages::{PAGE, Pages};

const HEAD: usize = 32;
const CONTENT: usize = PAGE - HEAD;

const MAGIC: &[u8; 8] = b"wharflog";
const LAYOUT: u32 = 1;

/// Where a log is kept: a folder, or what a test makes of one.
pub(crate) trait Place {
    /// What errors call it.
    fn path(&self) -> &Path;

    /// The log that is there.
    fn find(&self) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Puts a log there, in place of one that may be there. When it returns it is there for good; until
    /// then it is there whole or not at all.
    fn put(&self, content: &[u8]) -> io::Result<Box<dyn StorageBackend>>;
}

/// An open log.
pub(crate) struct Log {
    storage: Box<dyn StorageBackend>,
    path: PathBuf,
    id: u64,
    pages: u64,
    round: u64,
    /// The number and the first page of the next record.
    number: u64,
    next: u64,
    /// Kept, because each record needs one.
    buffer: Pages,
}

/// What a page says of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Head {
    round: u64,
    number: u64,
    /// The bytes of the whole record.
    length: u32,
    index: u32,
}

impl Log {
    /// The log in `place`, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not a log.
    pub(crate) fn find(place: &dyn Place) -> Result<Option<Log>, OpenError> {
        let io = |error| OpenError::Io { path: place.path().to_owned(), error };
        let Some(storage) = place.find().map_err(io)? else { return Ok(None) };
        let length = storage.len().map_err(io)?;
        let mut first = [0; PAGE];
        let parsed = if length < PAGE as u64 {
            Err("it is too short")
        } else {
            storage.read(0, &mut first).map_err(io)?;
            parse_first(&first, length)
        };
        match parsed {
            Ok((id, pages)) => Ok(Some(Log::new(place, storage, id, pages))),
            Err(why) => Err(OpenError::Log { path: place.path().to_owned(), why: why.to_owned() }),
        }
    }

    /// A new log of `bytes` in `place`.
    pub(crate) fn make(place: &dyn Place, id: u64, bytes: usize) -> Result<Log, OpenError> {
        // The first page, and room for a record at least.
        let pages = (bytes / PAGE).max(2);
        let mut content = vec![0; pages * PAGE];
        write_first(&mut content[..PAGE], id, pages as u64);
        let storage =
            place.put(&content).map_err(|error| OpenError::Io { path: place.path().to_owned(), error })?;
        Ok(Log::new(place, storage, id, pages as u64))
    }

    fn new(place: &dyn Place, storage: Box<dyn StorageBackend>, id: u64, pages: u64) -> Log {
        let path = place.path().to_owned();
        Log { storage, path, id, pages, round: 0, number: 0, next: 1, buffer: Pages::default() }
    }

    /// The number that tells this log from every other.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Whether this round has no record yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.number == 0
    }

    /// How many bytes the next record may have.
    pub(crate) fn room(&self) -> usize {
        (self.pages - self.next) as usize * CONTENT
    }

    /// Begins `round` at the start of the log. Call it only when a checkpoint that names `round` has been
    /// flushed: what is there will be overwritten.
    pub(crate) fn begin(&mut self, round: u64) {
        (self.round, self.number, self.next) = (round, 0, 1);
    }

    /// Writes `record`, and flushes it. After an error the log must not be used: it is not known what
    /// it has.
    pub(crate) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        assert!(!record.is_empty() && record.len() <= self.room(), "the writer asks for the room first");
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        let pages = self.buffer.zeroed(record.len().div_ceil(CONTENT));
        for (index, (page, content)) in pages.chunks_mut(PAGE).zip(record.chunks(CONTENT)).enumerate() {
            let head = Head { round: self.round, number: self.number, length, index: index as u32 };
            write_page(page, self.id, head, content);
        }
        let written = (pages.len() / PAGE) as u64;
        self.storage.write(self.next * PAGE as u64, pages)?;
        self.storage.sync_data()?;
        self.next += written;
        self.number += 1;
        Ok(())
    }

    /// Hands each record of `round` to `each`, in their order.
    ///
    /// # Errors
    ///
    /// Those of `each`, and what the module says about damage.
    pub(crate) fn replay(
        &self,
        round: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), OpenError>,
    ) -> Result<u64, OpenError> {
        let (mut number, mut next) = (0, 1);
        let mut record = Vec::new();
        while let Some(pages) = self.read_record(round, number, next, &mut record)? {
            each(&record)?;
            number += 1;
            next += pages;
        }
        // The rest has what earlier rounds left, and may have a part of one record that was never
        // acknowledged.
        for page in next..self.pages {
            match self.read_page(page, &mut [0; PAGE])? {
                Some(head) if head.round > round => {
                    let newer = "it is newer than kv.redb, which is perhaps from an older copy";
                    return Err(self.damaged(newer.to_owned()));
                }
                Some(head) if head.round == round && head.number != number => {
                    return Err(self.damaged(format!(
                        "record {number} is damaged, and record {} behind it is not",
                        head.number
                    )));
                }
                _ => {}
            }
        }
        Ok(number)
    }

    /// Whether there is a record, or a part of one, of any round.
    pub(crate) fn was_used(&self) -> Result<bool, OpenError> {
        for page in 1..self.pages {
            if self.read_page(page, &mut [0; PAGE])?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn damaged(&self, why: String) -> OpenError {
        OpenError::Log { path: self.path.clone(), why }
    }

    /// Reads a record and returns how many pages it has; `None` when it is not there, or not whole.
    fn read_record(
        &self,
        round: u64,
        number: u64,
        next: u64,
        record: &mut Vec<u8>,
    ) -> Result<Option<u64>, OpenError> {
        record.clear();
        let mut page = [0; PAGE];
        let mut length = None;
        for index in 0.. {
            if next + index >= self.pages {
                return Ok(None);
            }
            let Some(head) = self.read_page(next + index, &mut page)? else { return Ok(None) };
            let length = *length.get_or_insert(head.length);
            if head != (Head { round, number, length, index: index as u32 }) {
                return Ok(None);
            }
            let missing = length as usize - record.len();
            record.extend_from_slice(&page[HEAD..HEAD + missing.min(CONTENT)]);
            if record.len() == length as usize {
                return Ok(Some(index + 1));
            }
        }
        unreachable!("a log has an end");
    }

    /// Reads a page; `None` when it is not whole, or was never written.
    fn read_page(&self, page: u64, out: &mut [u8; PAGE]) -> Result<Option<Head>, OpenError> {
        self.storage
            .read(page * PAGE as u64, out)
            .map_err(|error| OpenError::Io { path: self.path.clone(), error })?;
        let head = Head {
            round: u64::from_le_bytes(take(out, 4)),
            number: u64::from_le_bytes(take(out, 12)),
            length: u32::from_le_bytes(take(out, 20)),
            index: u32::from_le_bytes(take(out, 24)),
        };
        let is_whole = take(out, 0) == checksum(self.id, &out[4..]).to_le_bytes();
        // No round is 0: a page of zeros is none, whatever its checksum.
        Ok((is_whole && head.round > 0).then_some(head))
    }
}

fn write_page(page: &mut [u8], id: u64, head: Head, content: &[u8]) {
    page[4..12].copy_from_slice(&head.round.to_le_bytes());
    page[12..20].copy_from_slice(&head.number.to_le_bytes());
    page[20..24].copy_from_slice(&head.length.to_le_bytes());
    page[24..28].copy_from_slice(&head.index.to_le_bytes());
    page[HEAD..HEAD + content.len()].copy_from_slice(content);
    let sum = checksum(id, &page[4..]);
    page[..4].copy_from_slice(&sum.to_le_bytes());
}

fn write_first(page: &mut [u8], id: u64, pages: u64) {
    page[4..12].copy_from_slice(MAGIC);
    page[12..16].copy_from_slice(&LAYOUT.to_le_bytes());
    page[16..24].copy_from_slice(&id.to_le_bytes());
    page[24..32].copy_from_slice(&pages.to_le_bytes());
    let sum = checksum(id, &page[4..]);
    page[..4].copy_from_slice(&sum.to_le_bytes());
}

/// The log's number and its pages, when it is a log of that length.
fn parse_first(page: &[u8; PAGE], length: u64) -> Result<(u64, u64), &'static str> {
    let (id, pages) = (u64::from_le_bytes(take(page, 16)), u64::from_le_bytes(take(page, 24)));
    if take(page, 4) != *MAGIC {
        Err("it is not a log")
    } else if u32::from_le_bytes(take(page, 12)) > LAYOUT {
        Err("it was written by a newer version of wharf")
    } else if take(page, 0) != checksum(id, &page[4..]).to_le_bytes() {
        Err("its first page is damaged")
    } else if pages.checked_mul(PAGE as u64) != Some(length) {
        Err("it does not have its length")
    } else {
        Ok((id, pages))
    }
}

/// CRC-32 (IEEE 802.3): finds each torn or flipped page but one in four thousand million.
fn checksum(id: u64, bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&id.to_le_bytes());
    sum.update(bytes);
    sum.finalize()
}

fn take<const N: usize>(page: &[u8; PAGE], at: usize) -> [u8; N] {
    *page[at..].first_chunk().expect("heads are shorter than pages")
}
