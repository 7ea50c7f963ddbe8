//! A disk in memory that fails when it is told to, and can lose its power.
//!
//! It has the two files of a store, the database and its log, which share their fate.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use redb::StorageBackend;

use super::Random;
use crate::log::Place;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Default)]
pub(super) struct Disk {
    state: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    files: [Stored; 2],
    flush_held: bool,
    flush_waits: bool,
    fault: Option<Fault>,
    has_failed: bool,
}

#[derive(Default)]
struct Stored {
    /// What reads see: the page cache. A log without a byte is not there.
    cached: Vec<u8>,
    /// What is there after the power was cut.
    durable: Vec<u8>,
    /// Written since the last flush.
    unflushed: Vec<(usize, Vec<u8>)>,
    flushes: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Database,
    Log,
}

/// What goes wrong, and after how many times of going right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Write(usize),
    Flush(usize),
    /// From then on nothing goes right.
    Everything(usize),
}

impl Disk {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn plug_in(self: &Arc<Self>, which: Which) -> Plugged {
        Plugged(self.clone(), which)
    }

    pub(super) fn break_with(&self, fault: Fault) {
        let mut state = self.state.lock();
        state.fault = Some(fault);
        state.has_failed = false;
    }

    /// Whether something went wrong since it was told to.
    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().has_failed
    }

    /// Mends the disk. It has what was flushed and, where `random` wants it, some of the rest: whole
    /// writes, their beginnings, or any of their sectors, no matter which of them was written first.
    pub(super) fn cut_power(&self, random: &mut Random) {
        let mut state = self.state.lock();
        state.fault = None;
        for file in &mut state.files {
            // The length of a file is in the journal of the file system.
            let length = file.cached.len();
            file.durable.resize(length, 0);
            for (offset, mut bytes) in std::mem::take(&mut file.unflushed) {
                match random.below(4) {
                    0 => {}
                    1 => {
                        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
                        overwrite(&mut file.durable, offset, &bytes);
                    }
                    2 => {
                        for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                            if random.below(2) == 0 {
                                overwrite(&mut file.durable, offset + n * SECTOR, sector);
                            }
                        }
                    }
                    _ => overwrite(&mut file.durable, offset, &bytes),
                }
            }
            file.cached = file.durable.clone();
        }
    }

    /// Mends the disk for the next process on the same machine: `file.rs` has the rest flushed, and the
    /// page cache forgotten.
    pub(super) fn open_anew(&self) {
        let mut state = self.state.lock();
        state.fault = None;
        for file in &mut state.files {
            file.flush();
            file.cached = file.durable.clone();
        }
    }

    pub(super) fn flushes(&self, which: Which) -> usize {
        self.state.lock().files[which as usize].flushes
    }

    pub(super) fn bytes(&self, which: Which) -> Vec<u8> {
        self.state.lock().files[which as usize].cached.clone()
    }

    pub(super) fn set_bytes(&self, which: Which, bytes: Vec<u8>) {
        let mut state = self.state.lock();
        state.files[which as usize] = Stored { durable: bytes.clone(), cached: bytes, ..Stored::default() };
    }

    /// Lets each flush wait until [`let_go`](Self::let_go).
    pub(super) fn hold_flushes(&self) {
        self.state.lock().flush_held = true;
    }

    pub(super) fn wait_for_a_held_flush(&self) {
        let mut state = self.state.lock();
        while !state.flush_waits {
            let late = self.changed.wait_for(&mut state, Duration::from_secs(10)).timed_out();
            assert!(!late, "nothing is flushed");
        }
    }

    pub(super) fn let_go(&self) {
        self.state.lock().flush_held = false;
        self.changed.notify_all();
    }

    /// Waits until so many flushes of a file are done.
    pub(super) fn wait_for_flushes(&self, which: Which, flushes: usize) {
        let mut state = self.state.lock();
        while state.files[which as usize].flushes < flushes {
            let late = self.changed.wait_for(&mut state, Duration::from_secs(10)).timed_out();
            assert!(!late, "nothing is flushed");
        }
    }
}

impl Content {
    /// Whether this write, or flush, fails.
    fn fails(&mut self, is_flush: bool) -> io::Result<()> {
        let left = match &mut self.fault {
            Some(Fault::Write(left)) if !is_flush => left,
            Some(Fault::Flush(left)) if is_flush => left,
            Some(Fault::Everything(left)) => left,
            _ => return Ok(()),
        };
        if *left > 0 {
            *left -= 1;
            return Ok(());
        }
        self.has_failed = true;
        if !matches!(self.fault, Some(Fault::Everything(_))) {
            self.fault = None;
        }
        Err(io::Error::other("the disk was told to fail"))
    }
}

impl Stored {
    fn flush(&mut self) {
        let length = self.cached.len();
        self.durable.resize(length, 0);
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            overwrite(&mut self.durable, offset, &bytes);
        }
    }
}

/// One file of the disk, as redb and the log see it.
pub(super) struct Plugged(Arc<Disk>, Which);

impl fmt::Debug for Plugged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a disk in memory")
    }
}

impl StorageBackend for Plugged {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.state.lock().files[self.1 as usize].cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        out.copy_from_slice(&self.0.state.lock().files[self.1 as usize].cached[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.fails(false)?;
        state.files[self.1 as usize].cached.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state.lock();
        while state.flush_held {
            state.flush_waits = true;
            self.0.changed.notify_all();
            self.0.changed.wait(&mut state);
        }
        state.flush_waits = false;
        if let Err(error) = state.fails(true) {
            // As Linux does it: the pages are marked clean, so that a later flush would succeed without
            // them. With the power cut, they are still on their way.
            if !matches!(state.fault, Some(Fault::Everything(_))) {
                state.files[self.1 as usize].unflushed.clear();
            }
            return Err(error);
        }
        let file = &mut state.files[self.1 as usize];
        file.flush();
        file.flushes += 1;
        self.0.changed.notify_all();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.fails(false)?;
        let file = &mut state.files[self.1 as usize];
        overwrite(&mut file.cached, offset as usize, data);
        file.unflushed.push((offset as usize, data.to_vec()));
        Ok(())
    }
}

impl Place for Arc<Disk> {
    fn path(&self) -> &Path {
        Path::new("kv.log")
    }

    fn find(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let is_there = !self.bytes(Which::Log).is_empty();
        Ok(is_there.then(|| Box::new(self.plug_in(Which::Log)) as Box<dyn StorageBackend>))
    }

    /// The file is written and flushed under another name; then it is there, and then it is there for good.
    fn put(&self, content: &[u8]) -> io::Result<Box<dyn StorageBackend>> {
        self.state.lock().fails(false)?;
        self.state.lock().fails(true)?;
        self.set_bytes(Which::Log, content.to_vec());
        self.state.lock().fails(true)?;
        Ok(Box::new(self.plug_in(Which::Log)))
    }
}

/// The file may have become shorter since: what is beyond its end is gone.
fn overwrite(content: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = content.get_mut(offset..) {
        let length = place.len().min(bytes.len());
        place[..length].copy_from_slice(&bytes[..length]);
    }
}
