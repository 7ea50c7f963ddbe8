//! The folder and the files of a store, and what may be wrong with them.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageBackend};
#[cfg(target_os = "linux")]
use rustix::fs::{Advice, fadvise};

use crate::Config;
use crate::log::Place;
use crate::pages::Pages;

/// The names of the files in their folder.
pub(crate) const FILE_NAME: &str = "kv.redb";
const LOG_NAME: &str = "kv.log";

/// Makes the folder `dir` if it is not there, and takes the lock that keeps other processes out of it until
/// the file that is returned is closed.
pub(crate) fn lock_dir(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(FILE_NAME);
    let opened = (|| {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        open_private(&dir.join("lock"))
    })();
    let lock = opened.map_err(|error| OpenError::Io { path: path.clone(), error })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path }),
        Err(TryLockError::Error(error)) => Err(OpenError::Io { path, error }),
    }
}

/// Opens the database in `dir`, whose lock is held, and makes it when there is none.
pub(crate) fn open_in(dir: &Path, config: &Config) -> Result<Database, OpenError> {
    let path = dir.join(FILE_NAME);
    let io = |error| OpenError::Io { path: path.clone(), error };
    if !path.try_exists().map_err(io)? {
        make_in(dir, &path, config)?;
    }
    open_database(backend(open_private(&path).map_err(io)?, &path)?, &path, config)
}

/// Makes an empty database under another name first: redb cannot open what a crash leaves of a file that is
/// being made, and the host would not start again.
fn make_in(dir: &Path, path: &Path, config: &Config) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    let unfinished = path.with_extension("redb.new");
    let file = open_private(&unfinished).map_err(io)?;
    file.set_len(0).map_err(io)?;
    drop(open_database(backend(file, path)?, path, config)?);
    publish(&unfinished, path, dir).map_err(io)
}

/// Gives the file `unfinished` its name in `dir`, for good.
fn publish(unfinished: &Path, path: &Path, dir: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, path)?;
    // The file is found after a power failure only when the folders that name it were flushed too.
    File::open(dir)?.sync_all()?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// The log's file, beside that of the database. The lock of their folder is held.
pub(crate) struct LogFile {
    dir: PathBuf,
    path: PathBuf,
}

impl LogFile {
    pub(crate) fn new(dir: &Path) -> Self {
        LogFile { dir: dir.to_owned(), path: dir.join(LOG_NAME) }
    }
}

impl Place for LogFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn find(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        if !self.path.try_exists()? {
            return Ok(None);
        }
        Ok(Some(Box::new(LogStorage::new(open_private(&self.path)?, &self.path)?)))
    }

    fn put(&self, content: &[u8]) -> io::Result<Box<dyn StorageBackend>> {
        let unfinished = self.path.with_extension("log.new");
        let mut file = open_private(&unfinished)?;
        file.set_len(0)?;
        file.write_all(content)?;
        publish(&unfinished, &self.path, &self.dir)?;
        Ok(Box::new(LogStorage::new(file, &self.path)?))
    }
}

/// The file of the log: read through the page cache, which nothing is in when a log is opened, and written
/// past it. What is written is flushed at once, so a copy in the cache costs a tenth of a small write and is
/// good for nothing.
#[derive(Debug)]
struct LogStorage {
    file: FileBackend,
    /// `None` where the file system has nothing but the cache.
    direct: Option<File>,
}

impl LogStorage {
    fn new(file: File, path: &Path) -> io::Result<Self> {
        let direct = direct(path);
        Ok(LogStorage { file: FileBackend::new(file).map_err(io::Error::other)?, direct })
    }
}

#[cfg(target_os = "linux")]
fn direct(path: &Path) -> Option<File> {
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).ok()?;
    // Some file systems take the flag and nothing with it, or want larger blocks. Reading has the same rules as
    // writing, and harms nobody.
    file.read_exact_at(Pages::default().zeroed(1), 0).ok()?;
    Some(file)
}

#[cfg(not(target_os = "linux"))]
fn direct(_path: &Path) -> Option<File> {
    None
}

impl StorageBackend for LogStorage {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &self.direct {
            Some(direct) => direct.write_all_at(data, offset),
            None => self.file.write(offset, data),
        }
    }
}

/// Opens a file, and lets the kernel forget what it remembers of it: after a flush that failed, that may
/// be what the disk does not have. (Pages in use by another process stay; there is none, by the lock.)
fn open_private(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    #[cfg(target_os = "linux")]
    {
        // Only what is not waiting to be written can be forgotten.
        file.sync_data()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(file)
}

fn backend(file: File, path: &Path) -> Result<FileBackend, OpenError> {
    FileBackend::new(file)
        .map_err(|error| OpenError::Damaged { path: path.to_owned(), why: error.to_string() })
}

/// Opens the database on `storage`; `path` is what errors call it.
pub(crate) fn open_database(
    storage: impl StorageBackend,
    path: &Path,
    config: &Config,
) -> Result<Database, OpenError> {
    let mut builder = Database::builder();
    builder.set_cache_size(config.cache_bytes);
    let repaired = path.to_owned();
    let told = std::cell::Cell::new(false);
    builder.set_repair_callback(move |_| {
        // Called again and again while it works.
        if !told.replace(true) {
            tracing::info!(path = %repaired.display(), "the key-value store was not closed; checking it");
        }
    });
    builder.create_with_backend(storage).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.to_owned() },
        DatabaseError::Storage(error) => OpenError::storage(path, error),
        other => OpenError::Damaged { path: path.to_owned(), why: other.to_string() },
    })
}

/// Why a store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has the file open.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder could not be made, read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not a store, or not one that can be repaired.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The log is missing, damaged, or that of another store: what was acknowledged would be lost.
    Log {
        /// The file of the log.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file was written by a newer host.
    Newer {
        /// The file.
        path: PathBuf,
    },
}

impl OpenError {
    pub(crate) fn storage(path: &Path, error: impl Into<redb::Error>) -> Self {
        let path = path.to_owned();
        match error.into() {
            // What redb says of a file that is something else.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                OpenError::Damaged { path, why: error.to_string() }
            }
            redb::Error::Io(error) => OpenError::Io { path, error },
            other => OpenError::Damaged { path, why: other.to_string() },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InUse { path } => {
                write!(f, "{} is in use: another wharf runs with the same data folder", path.display())
            }
            OpenError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            OpenError::Damaged { path, why } => {
                write!(
                    f,
                    "{} cannot be used: {why}; move it and kv.log away to begin with an empty store",
                    path.display()
                )
            }
            OpenError::Log { path, why } => {
                write!(
                    f,
                    "{} cannot be used: {why}; put kv.redb and kv.log back from the same copy, or move both \
                     away to begin with an empty store",
                    path.display()
                )
            }
            OpenError::Newer { path } => {
                write!(f, "{} was written by a newer version of wharf", path.display())
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OpenError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
