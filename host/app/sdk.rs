//! The SDK for Rust plugins, carried in the binary, and its copies in projects.
//!
//! The SDK is on no registry, and a path on one machine is of no use on another. So a project has a copy in
//! [`FOLDER`], committed with it: it builds anywhere, offline, with exactly the SDK that it was tested with, and
//! a change of the SDK is a change that a review sees. A folder in the user's home would save a few hundred
//! KiB and break the build of everybody else. The copy is stamped with its version and digest;
//! `wharf sdk update` replaces it, `wharf build` says when it is another one than the binary's.

mod files {
    include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));
}

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where a project has its copy, relative to its manifest.
pub(crate) const FOLDER: &str = "vendor/wharf";

/// The version of the SDK, which is the host's.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What says which SDK a copy is.
const STAMP: &str = "VERSION";
/// What says that a copy is one.
const README: &str = "README.md";
const README_TEXT: &str = include_str!("templates/sdk/README.md");

/// A folder with more is not a copy of ours.
const FILES_MAX: usize = 2_000;
/// A file that is longer is not one of ours.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What a project has of the SDK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Installed {
    /// No copy.
    Absent,
    /// The one that this binary carries.
    Current,
    /// Another one, as it was written.
    Other {
        /// Its version.
        version: String,
    },
    /// One that was changed by hand, or is not complete.
    Edited {
        /// The version that it was.
        version: String,
    },
}

/// Every file of a copy except its stamp: its path with `/`, and its bytes.
fn carried() -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> =
        files::FILES.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
    files.insert(README.to_owned(), README_TEXT.replace("{{version}}", VERSION).into_bytes());
    files
}

/// The digest of a copy: over each path and each content with its length, in the order of the paths.
fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut all = Vec::new();
    for (path, bytes) in files {
        all.extend_from_slice(path.as_bytes());
        all.push(0);
        all.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        all.extend_from_slice(bytes);
    }
    wharf_engine::sha256_hex(&all)
}

fn stamp(files: &BTreeMap<String, Vec<u8>>) -> String {
    format!("wharf-sdk {VERSION}\nsha256 {}\n", digest(files))
}

/// Everything that a copy consists of, relative to a project: paths with `/`, and bytes.
pub(crate) fn copy() -> Vec<(String, Vec<u8>)> {
    let mut files = carried();
    files.insert(STAMP.to_owned(), stamp(&files).into_bytes());
    files.into_iter().map(|(path, bytes)| (format!("{FOLDER}/{path}"), bytes)).collect()
}

/// The lock file of a new project `name`: the versions that the SDK is tested with.
pub(crate) fn lock(name: &str) -> String {
    let mut blocks = files::LOCK.split("\n\n").map(str::trim_end);
    let head = blocks.next().unwrap_or_default();
    let mut packages: Vec<String> =
        blocks.map(|block| block.replacen("name = \"hello\"", &format!("name = \"{name}\""), 1)).collect();
    // Cargo keeps them sorted, and `--locked` wants to find them so.
    packages.sort_by(|a, b| package_key(a).cmp(&package_key(b)));
    let mut lock = head.to_owned();
    for package in packages {
        let _ = write!(lock, "\n\n{package}");
    }
    lock.push('\n');
    lock
}

/// The names of all packages that a plugin is built of besides itself.
pub(crate) fn packages() -> impl Iterator<Item = &'static str> {
    let names = files::LOCK.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names.filter(|name| *name != "hello")
}

fn package_key(block: &str) -> (&str, &str) {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    (field("name = "), field("version = "))
}

/// What the project in `dir` has of the SDK.
///
/// # Errors
/// When the copy cannot be read.
pub(crate) fn installed(dir: &Path) -> io::Result<Installed> {
    let folder = dir.join(FOLDER);
    let stamp = match std::fs::read_to_string(folder.join(STAMP)) {
        Ok(stamp) => stamp,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Installed::Absent),
        Err(error) => return Err(error),
    };
    let field = |name: &str| stamp.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let (version, stamped) = (field("wharf-sdk ").to_owned(), field("sha256 "));
    let mut files = BTreeMap::new();
    read(&folder, "", &mut files)?;
    files.remove(STAMP);
    Ok(if digest(&files) != stamped {
        Installed::Edited { version }
    } else if stamped == digest(&carried()) {
        Installed::Current
    } else {
        Installed::Other { version }
    })
}

/// Every file below `dir`, by its path with `/`; what a build or an editor left there is passed over.
fn read(dir: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "Cargo.lock" {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else if files.len() < FILES_MAX && entry.metadata()?.len() <= FILE_BYTES_MAX {
            files.insert(path, std::fs::read(entry.path())?);
        } else {
            // Neither can be part of a copy: an empty content makes the digest another one.
            files.insert(path, Vec::new());
        }
    }
    Ok(())
}

/// Puts the SDK of this binary in the place of the copy in `dir`, in one step: a build that runs meanwhile
/// sees the old one or the new one.
///
/// # Errors
/// When the new copy cannot be written; the old one is still there then.
pub(crate) fn update(dir: &Path) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    let vendor = folder.parent().unwrap_or(dir);
    let name = |what: &str| vendor.join(format!(".wharf-{what}-{}", std::process::id()));
    let (new, old) = (name("new"), name("old"));
    let result = (|| {
        for (path, bytes) in copy() {
            // Written beside the old copy, below another name.
            let path = new.join(path.strip_prefix(FOLDER).unwrap_or(&path).trim_start_matches('/'));
            write_new(&path, &bytes)?;
        }
        match std::fs::rename(&folder, &old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::rename(&new, &folder)
    })();
    if result.is_err() && !folder.exists() {
        let _ = std::fs::rename(&old, &folder);
    }
    let _ = std::fs::remove_dir_all(&new);
    let _ = std::fs::remove_dir_all(&old);
    result
}

/// Writes a file that must not exist yet, and the folders that it is in.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}

/// One line about a copy that is not the binary's, for commands that build; none when all is well.
pub(crate) fn notice(dir: &Path) -> Option<String> {
    let folder: PathBuf = dir.join(FOLDER);
    match installed(dir).ok()? {
        Installed::Other { version } if version == VERSION => Some(format!(
            "note: {} is not the SDK of this wharf, although both say {VERSION}. To take this one: wharf sdk update",
            folder.display()
        )),
        Installed::Other { version } => Some(format!(
            "note: {} is the SDK of wharf {version}, and this is wharf {VERSION}. To take this one: wharf sdk update",
            folder.display()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    struct Project(PathBuf);

    impl Project {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("wharf-sdk-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&dir);
            for (path, bytes) in copy() {
                write_new(&dir.join(path), &bytes).unwrap();
            }
            Project(dir)
        }
    }

    impl Drop for Project {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_sdk_that_is_carried_is_whole_and_has_the_version_of_the_host() {
        let files = carried();
        for path in ["plugin-sdk/src/lib.rs", "plugin-sdk/macros/src/lib.rs", "wit/handler.wit", "LICENSE"] {
            assert!(files.contains_key(path), "{path} of {:?}", files.keys());
        }
        for manifest in ["plugin-sdk/Cargo.toml", "plugin-sdk/macros/Cargo.toml"] {
            let text = String::from_utf8(files[manifest].clone()).unwrap();
            assert!(text.contains(&format!("\nversion = \"{VERSION}\"\n")), "{manifest}: {text}");
        }
    }

    #[test]
    fn a_copy_is_current_until_somebody_edits_it_and_then_until_it_is_updated() {
        let project = Project::new("state");
        let dir = &project.0;
        assert_eq!(installed(dir).unwrap(), Installed::Current);
        assert_eq!(notice(dir), None);

        let lib = dir.join(FOLDER).join("plugin-sdk/src/lib.rs");
        std::fs::write(&lib, "// mine").unwrap();
        assert_eq!(installed(dir).unwrap(), Installed::Edited { version: VERSION.into() });
        update(dir).unwrap();
        assert_eq!(installed(dir).unwrap(), Installed::Current);

        std::fs::remove_file(&lib).unwrap();
        assert_eq!(installed(dir).unwrap(), Installed::Edited { version: VERSION.into() });
        // What a build leaves there is not an edit.
        update(dir).unwrap();
        write_new(&dir.join(FOLDER).join("plugin-sdk/target/x"), b"x").unwrap();
        assert_eq!(installed(dir).unwrap(), Installed::Current);
        assert_eq!(std::fs::read_dir(dir.join("vendor")).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn an_older_copy_is_told_from_one_that_was_edited() {
        let project = Project::new("older");
        let folder = project.0.join(FOLDER);
        std::fs::remove_file(folder.join("LICENSE")).unwrap();
        let mut files = BTreeMap::new();
        read(&folder, "", &mut files).unwrap();
        files.remove(STAMP);
        std::fs::write(folder.join(STAMP), format!("wharf-sdk 0.0.9\nsha256 {}\n", digest(&files))).unwrap();
        assert_eq!(installed(&project.0).unwrap(), Installed::Other { version: "0.0.9".into() });
        assert!(notice(&project.0).unwrap().contains("SDK of wharf 0.0.9"));
    }

    #[test]
    fn a_lock_file_names_the_project_and_stays_sorted() {
        let names = |lock: &str| -> Vec<String> {
            let names = lock.lines().filter(|line| line.starts_with("name = "));
            names.map(|line| line["name = \"".len()..line.len() - 1].to_owned()).collect()
        };
        for name in ["aaa", "greet", "zzz"] {
            let lock = lock(name);
            let names = names(&lock);
            assert!(names.is_sorted() && names.iter().any(|found| found == name), "{names:?}");
            assert!(!names.iter().any(|found| found == "hello"), "{names:?}");
        }
        assert_eq!(lock("hello"), files::LOCK, "nothing else changes");
        assert!(packages().any(|name| name == "wit-bindgen"));
    }
}
