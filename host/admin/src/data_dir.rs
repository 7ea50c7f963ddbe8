use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const TOKEN_FILE: &str = "admin.token";
const ADDRESS_FILE: &str = "admin.json";

/// What a write to the admin API has to present as `Authorization: Bearer <token>`: 256 random bits in hex.
#[derive(Clone)]
pub struct Token {
    secret: String,
    path: PathBuf,
}

impl Token {
    /// The token in `<data_dir>/admin.token`. Makes the folder (0700) and the file (0600) when they do not
    /// exist; the file appears with its whole content or not at all.
    ///
    /// # Errors
    /// When others than its owner can read the file, when it holds something else, or on I/O errors.
    pub fn create_or_read(data_dir: &Path) -> Result<Self, DataDirError> {
        let path = data_dir.join(TOKEN_FILE);
        match Self::read(data_dir) {
            Err(error) if error.kind() == Some(io::ErrorKind::NotFound) => {}
            read => return read,
        }
        let created = create_dir(data_dir)
            .and_then(|()| random_hex())
            .and_then(|secret| place(&path, secret.as_bytes(), Existing::Keep));
        match created {
            Ok(()) => Self::read(data_dir),
            // Another host was faster with the same folder: its token counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(data_dir),
            Err(error) => Err(DataDirError::io("create the admin token", &path, error)),
        }
    }

    /// The token that a running host left in `<data_dir>/admin.token`.
    ///
    /// # Errors
    /// As [`Token::create_or_read`], and when there is no file.
    pub fn read(data_dir: &Path) -> Result<Self, DataDirError> {
        let path = data_dir.join(TOKEN_FILE);
        let failed = |error| DataDirError::io("read the admin token", &path, error);
        let file = File::open(&path).map_err(failed)?;
        // Of the file that is open, not of whatever has the name by now.
        let metadata = file.metadata().map_err(failed)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(DataDirError::text(format!(
                "the admin token {path} can be read by others than its owner. Run: chmod 600 {path}",
                path = path.display()
            )));
        }
        let mut secret = String::new();
        file.take(4096).read_to_string(&mut secret).map_err(failed)?;
        let secret = secret.trim().to_owned();
        if secret.len() != 64 || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DataDirError::text(format!(
                "{path} is not an admin token (64 hex digits). Remove it and start the host again to get a new one: rm {path}",
                path = path.display()
            )));
        }
        Ok(Token { secret, path })
    }

    /// The secret itself.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Where the token is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        let secret = self.secret.as_bytes();
        let different = secret.iter().zip(presented).fold(0u8, |bits, (a, b)| bits | (a ^ b));
        // Not a loop that the compiler may leave early: the value is opaque to it.
        secret.len() == presented.len() && std::hint::black_box(different) == 0
    }
}

/// The path, never the secret: a configuration may end up in a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.path.display())
    }
}

#[derive(Serialize, Deserialize)]
struct Address {
    address: SocketAddr,
}

/// Leaves in `<data_dir>/admin.json` where the admin API listens, for the command line to find.
///
/// # Errors
/// On I/O errors.
pub fn write_address(data_dir: &Path, address: SocketAddr) -> Result<(), DataDirError> {
    let path = data_dir.join(ADDRESS_FILE);
    let failed = |error| DataDirError::io("write", &path, error);
    let json = serde_json::to_vec(&Address { address }).map_err(|error| failed(error.into()))?;
    create_dir(data_dir).map_err(failed)?;
    place(&path, &json, Existing::Replace).map_err(failed)
}

/// Where the host of `<data_dir>` listens, or listened when it last ran.
///
/// # Errors
/// When no host has left its address there, or the file holds something else.
pub fn read_address(data_dir: &Path) -> Result<SocketAddr, DataDirError> {
    let path = data_dir.join(ADDRESS_FILE);
    let failed = |error| DataDirError::io("read", &path, error);
    let mut json = String::new();
    File::open(&path).and_then(|file| file.take(4096).read_to_string(&mut json)).map_err(failed)?;
    let address: Address = serde_json::from_str(&json).map_err(|error| failed(error.into()))?;
    Ok(address.address)
}

/// What happens to a file of that name.
#[derive(Clone, Copy)]
enum Existing {
    Keep,
    Replace,
}

/// Puts a file with its whole content in its place, readable by its owner only.
fn place(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // What a killed process with the same id left behind.
    let _ = std::fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let placed = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| match existing {
        Existing::Replace => std::fs::rename(&temporary, path),
        // A link, other than a rename, fails where something exists.
        Existing::Keep => std::fs::hard_link(&temporary, path),
    });
    let _ = std::fs::remove_file(&temporary);
    placed
}

fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Why the token or the address could not be kept or found.
#[derive(Debug)]
pub struct DataDirError {
    message: String,
    kind: Option<io::ErrorKind>,
}

impl DataDirError {
    fn io(what: &str, path: &Path, error: io::Error) -> Self {
        DataDirError {
            message: format!("cannot {what} {}: {error}", path.display()),
            kind: Some(error.kind()),
        }
    }

    fn text(message: String) -> Self {
        DataDirError { message, kind: None }
    }

    /// The kind of the I/O error, if it was one: [`io::ErrorKind::NotFound`] when no host has run there.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        self.kind
    }
}

impl fmt::Display for DataDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DataDirError {}
