//! A disk in memory that fails when it is told to, and can lose its power.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use redb::StorageBackend;

use super::Random;

#[derive(Default)]
pub(super) struct Disk {
    state: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    /// What reads see: the page cache.
    cached: Vec<u8>,
    /// What is there after the power was cut.
    durable: Vec<u8>,
    /// Written since the last flush.
    unflushed: Vec<(usize, Vec<u8>)>,
    flushes: usize,
    flush_held: bool,
    flush_waits: bool,
    fault: Option<Fault>,
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

    pub(super) fn plug_in(self: Arc<Self>) -> Plugged {
        Plugged(self)
    }

    pub(super) fn break_with(&self, fault: Fault) {
        self.state.lock().fault = Some(fault);
    }

    /// Mends the disk. It has what was flushed and, where `random` wants it, some of the rest, in part torn.
    pub(super) fn cut_power(&self, random: &mut Random) {
        let mut state = self.state.lock();
        state.fault = None;
        // The length of a file is in the journal of the file system.
        let length = state.cached.len();
        state.durable.resize(length, 0);
        for (offset, mut bytes) in std::mem::take(&mut state.unflushed) {
            match random.below(3) {
                0 => continue,
                1 => bytes.truncate(random.below(bytes.len() as u64 + 1) as usize),
                _ => {}
            }
            overwrite(&mut state.durable, offset, &bytes);
        }
        state.cached = state.durable.clone();
    }

    pub(super) fn flushes(&self) -> usize {
        self.state.lock().flushes
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
        if !matches!(self.fault, Some(Fault::Everything(_))) {
            self.fault = None;
        }
        Err(io::Error::other("the disk was told to fail"))
    }
}

/// The disk, as redb sees it.
pub(super) struct Plugged(Arc<Disk>);

impl fmt::Debug for Plugged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a disk in memory")
    }
}

impl StorageBackend for Plugged {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.state.lock().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        out.copy_from_slice(&self.0.state.lock().cached[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.fails(false)?;
        state.cached.resize(len as usize, 0);
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
        let unflushed = std::mem::take(&mut state.unflushed);
        if let Err(error) = state.fails(true) {
            // As Linux does it: the pages are marked clean, so that a later flush would succeed without
            // them. With the power cut, they are still on their way.
            if matches!(state.fault, Some(Fault::Everything(_))) {
                state.unflushed = unflushed;
            }
            return Err(error);
        }
        let length = state.cached.len();
        state.durable.resize(length, 0);
        for (offset, bytes) in unflushed {
            overwrite(&mut state.durable, offset, &bytes);
        }
        state.flushes += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.fails(false)?;
        overwrite(&mut state.cached, offset as usize, data);
        state.unflushed.push((offset as usize, data.to_vec()));
        Ok(())
    }
}

/// The file may have become shorter since: what is beyond its end is gone.
fn overwrite(content: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = content.get_mut(offset..) {
        let length = place.len().min(bytes.len());
        place[..length].copy_from_slice(&bytes[..length]);
    }
}
