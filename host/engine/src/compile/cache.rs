//! Compiled code on disk, which is never trusted.
//!
//! An entry is a file named by what it was made from: the digest of the component and of the engine's
//! configuration. It begins with a magic, then an HMAC-SHA256 (RFC 2104) over its own name and the code,
//! keyed with 32 random bytes that only this host's user can read. Loading native code runs it; so an entry
//! that is unreadable, stale, shortened, renamed or changed by a single bit is compiled anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{constant_time, hmac, rand};
use bytes::Bytes;

const MAGIC: &[u8; 8] = b"WHARFAOT";
const TAG_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
/// When the entries together exceed this, the ones that were used longest ago are removed.
const CACHE_BYTES_MAX: u64 = 2 << 30;

/// A directory of entries that only this host can have written.
pub(super) struct Cache {
    dir: PathBuf,
    key: hmac::Key,
}

impl Cache {
    /// Opens the cache at `dir`, making it and its key if they are not there.
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &read_or_make_key(&dir.join("key"))?);
        Ok(Cache { dir, key })
    }

    /// The code of an entry, if there is one that is ours.
    pub(super) fn read(&self, name: &str) -> Option<Bytes> {
        let path = self.dir.join(name);
        let mut bytes = Vec::new();
        let mut file = File::open(&path).ok()?;
        file.read_to_end(&mut bytes).ok()?;
        let code_at = MAGIC.len() + TAG_BYTES;
        let genuine = bytes.len() > code_at && bytes.starts_with(MAGIC) && {
            let (tag, code) = bytes[MAGIC.len()..].split_at(TAG_BYTES);
            self.verify(name, code, tag)
        };
        if !genuine {
            tracing::warn!(
                entry = name,
                "a cache entry is not one that this host has written; compiling anew"
            );
            return None;
        }
        // Marks it as used, for `evict`. When that fails the entry is only evicted earlier.
        let _ = file.set_modified(std::time::SystemTime::now());
        Some(Bytes::from(bytes).slice(code_at..))
    }

    /// Keeps `code` under `name`, in one step: a crash leaves the old entry or the new one.
    pub(super) fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mut suffix = [0; 8];
        rand::fill(&mut suffix).map_err(io::Error::other)?;
        let temporary = self.dir.join(format!("{name}.{}.tmp", hex(&suffix)));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(self.sign(name, code).as_ref())?;
            file.write_all(code)?;
            fs::rename(&temporary, self.dir.join(name))
        })();
        if written.is_err() {
            // The disk may be full: the part that was written must not stay.
            let _ = fs::remove_file(&temporary);
        }
        written.and_then(|()| evict(&self.dir, CACHE_BYTES_MAX))
    }

    fn sign(&self, name: &str, code: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(name.as_bytes());
        context.update(b"\0");
        context.update(code);
        context.sign()
    }

    fn verify(&self, name: &str, code: &[u8], tag: &[u8]) -> bool {
        // `hmac::verify` takes one slice: code of many megabytes is not copied for that.
        constant_time::verify_slices_are_equal(self.sign(name, code).as_ref(), tag).is_ok()
    }
}

/// The key of the cache. One that others could have read or written is replaced, and with it every entry.
fn read_or_make_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    if let Some(key) = read_key(path) {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    rand::fill(&mut key).map_err(io::Error::other)?;
    let mut suffix = [0; 8];
    rand::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = path.with_extension(hex(&suffix));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?.write_all(&key)?;
    // Two hosts that share a cache may start at once: the first key stays.
    if read_key(path).is_none() && path.exists() {
        fs::remove_file(path)?;
    }
    match fs::hard_link(&temporary, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            key = read_key(path).unwrap_or(key);
        }
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
    }
    fs::remove_file(&temporary)?;
    Ok(key)
}

fn read_key(path: &Path) -> Option<[u8; KEY_BYTES]> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours || metadata.mode() & 0o077 != 0 || metadata.len() != KEY_BYTES as u64 {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key).ok()?;
    Some(key)
}

/// Removes the entries used longest ago until at most `bytes_max` are left, and what a crash left half-written.
fn evict(dir: &Path, bytes_max: u64) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == "key" {
            continue;
        }
        let metadata = entry.metadata()?;
        entries.push((metadata.modified()?, metadata.len(), entry.path()));
    }
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, path) in entries {
        if total <= bytes_max {
            break;
        }
        // Another host that shares the cache may have removed it first.
        let _ = fs::remove_file(path);
        total -= bytes;
    }
    Ok(())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wharf-cache-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Dir(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn cache(dir: &Dir) -> Cache {
        Cache::open(dir.0.clone()).expect("a new cache")
    }

    #[test]
    fn what_was_written_is_read_back_under_its_own_name_only() {
        let dir = Dir::new("names");
        let cache = cache(&dir);
        cache.write("a", b"code").expect("writes");
        assert_eq!(cache.read("a").as_deref(), Some(&b"code"[..]));
        fs::rename(dir.0.join("a"), dir.0.join("b")).expect("renames");
        assert_eq!(cache.read("b"), None);
        assert_eq!(cache.read("never"), None);
    }

    #[test]
    fn a_single_changed_bit_anywhere_is_seen() {
        let dir = Dir::new("bits");
        let cache = cache(&dir);
        cache.write("a", b"code").expect("writes");
        let genuine = fs::read(dir.0.join("a")).expect("reads");
        for at in 0..genuine.len() * 8 {
            let mut changed = genuine.clone();
            changed[at / 8] ^= 1 << (at % 8);
            fs::write(dir.0.join("a"), &changed).expect("writes");
            assert_eq!(cache.read("a"), None, "bit {at}");
        }
        for length in 0..genuine.len() {
            fs::write(dir.0.join("a"), &genuine[..length]).expect("writes");
            assert_eq!(cache.read("a"), None, "length {length}");
        }
    }

    #[test]
    fn a_key_that_others_could_read_is_replaced() {
        let dir = Dir::new("key");
        cache(&dir).write("a", b"code").expect("writes");
        let key = dir.0.join("key");
        assert_eq!(fs::metadata(&key).expect("there").mode() & 0o777, 0o600);
        assert!(cache(&dir).read("a").is_some(), "the same key is used again");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert_eq!(cache(&dir).read("a"), None);
        assert_eq!(fs::metadata(&key).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn the_entries_used_longest_ago_are_evicted_and_the_key_stays() {
        let dir = Dir::new("evict");
        let cache = cache(&dir);
        for name in ["old", "new"] {
            cache.write(name, &[7; 1000]).expect("writes");
        }
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        File::options()
            .write(true)
            .open(dir.0.join("old"))
            .and_then(|f| f.set_modified(long_ago))
            .expect("touch");
        evict(&dir.0, 1500).expect("evicts");
        assert!(cache.read("old").is_none() && cache.read("new").is_some());
        assert!(dir.0.join("key").exists());
    }
}
