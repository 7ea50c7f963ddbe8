//! `wasi:filesystem`: the directories of `grants.dirs`, and nothing beside them.
//!
//! A directory is opened once for a generation. Its instances get that very directory, whatever its path leads to
//! by then: a plugin that may write in one directory cannot put a link in the place of another one. Within it,
//! wasmtime-wasi follows no link that leads out.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags, access, open};
use rustix::io::Errno;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::config::{DirGrant, DirGrants};

/// A granted directory.
pub(crate) struct OpenDir {
    dir: OwnedFd,
    at: String,
    write: bool,
}

impl OpenDir {
    /// Opens what is granted.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be given, and what to do about it.
    pub(crate) fn open_all(grants: &DirGrants) -> Result<Vec<Self>, String> {
        grants.dirs.iter().map(|grant| Self::open(grant, grants)).collect()
    }

    fn open(grant: &DirGrant, grants: &DirGrants) -> Result<Self, String> {
        let shown = grant.path.display();
        // Not `File::open`, which would wait for a writer if this is a pipe.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(&grant.path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => {
                format!("the directory {shown} of `dirs` does not exist. Make it, or correct the path:\n  mkdir -p {shown}")
            }
            Errno::NOTDIR => format!("{shown} of `dirs` is not a directory. Grant the directory that it is in:\n  {}", line(grant, grant.path.parent())),
            error => format!("the directory {shown} of `dirs` cannot be opened: {error}"),
        })?;
        if grant.write && access(&grant.path, Access::WRITE_OK).is_err() {
            return Err(format!(
                "the directory {shown} of `dirs` cannot be written by the user that runs wharf. Let it write there, or \
                 leave `write = true` out:\n  chmod u+w {shown}"
            ));
        }
        let real = fs::read_link(proc_path(&dir)).map_err(|error| {
            format!("where the directory {shown} of `dirs` is cannot be found out: {error}")
        })?;
        for secret in grants.secret.iter().map(|path| real_path(path)) {
            if real.starts_with(&secret) || secret.starts_with(&real) {
                let where_it_is = if real.starts_with(&secret) { "lies in" } else { "holds" };
                return Err(format!(
                    "the directory {shown} of `dirs` {where_it_is} {}, where the host keeps what is its own: its token, its \
                     stores and its code. Grant a directory beside it.",
                    secret.display()
                ));
            }
        }
        for code in grants.code.iter().map(|path| real_path(path)).filter(|_| grant.write) {
            if code.starts_with(&real) {
                return Err(format!(
                    "the directory {shown} of `dirs` holds {}, which decides what the host runs, so it can be granted for \
                     reading only. Leave `write = true` out, or grant a directory beside it.",
                    code.display()
                ));
            }
        }
        Ok(OpenDir { dir, at: grant.at.clone(), write: grant.write })
    }

    /// Gives it to an instance.
    pub(crate) fn give(&self, wasi: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
        let perms = if self.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(proc_path(&self.dir), &self.at, perms)?;
        Ok(())
    }
}

impl DirGrants {
    /// Looks whether every directory can be given, without giving any.
    ///
    /// # Errors
    /// What is wrong with the first that cannot, and what to do about it.
    pub fn check(&self) -> Result<(), String> {
        OpenDir::open_all(self).map(drop)
    }
}

/// A path of the open directory itself: the link leads to what is open, not to what the path names now.
fn proc_path(dir: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", dir.as_raw_fd()).into()
}

/// Where `path` really is; what does not exist is taken as it is written.
fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

fn line(grant: &DirGrant, path: Option<&Path>) -> String {
    let path = path.unwrap_or(Path::new(".")).display().to_string();
    let write = if grant.write { ", write = true" } else { "" };
    format!("dirs = [{{ path = {path:?}, at = {:?}{write} }}]", grant.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the test's own with `own/token`, `data/` and `app.toml`.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wharf-dirs-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("own")).expect("a folder");
            fs::create_dir_all(path.join("data/below")).expect("a folder");
            fs::write(path.join("app.toml"), "").expect("a file");
            Folder(path)
        }

        fn check(&self, path: &str, write: bool) -> Result<(), String> {
            let dir = DirGrant { path: self.0.join(path), at: "/data".into(), write };
            let (secret, code) = (vec![self.0.join("own")], vec![self.0.join("app.toml")]);
            DirGrants { dirs: vec![dir], secret, code }.check()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_directory_is_there_or_the_fix_is_named() {
        let folder = Folder::new("there");
        assert_eq!(folder.check("data", true), Ok(()));
        assert_eq!(folder.check("data/below/..", false), Ok(()));
        assert!(folder.check("nowhere", false).is_err_and(|error| error.contains("mkdir -p ")));
        let file = folder.check("app.toml", true).expect_err("a file");
        assert!(file.contains("is not a directory") && file.contains("write = true }]"), "{file}");
    }

    #[test]
    fn what_is_the_hosts_own_cannot_be_given_in_any_way() {
        let folder = Folder::new("own");
        std::os::unix::fs::symlink("own", folder.0.join("link")).expect("a link");
        fs::create_dir_all(folder.0.join("own/below")).expect("a folder");
        for path in [".", "own", "own/below", "data/../own", "link", "link/below", "data/.."] {
            for write in [false, true] {
                let refused = folder.check(path, write).expect_err(path);
                assert!(refused.contains("its own"), "{path}: {refused}");
            }
        }
    }

    #[test]
    fn what_decides_what_runs_can_be_read_and_not_written() {
        let folder = Folder::new("code");
        fs::rename(folder.0.join("app.toml"), folder.0.join("data/below/app.toml")).expect("moved");
        let dirs = |write| {
            let dir = DirGrant { path: folder.0.join("data"), at: "/data".into(), write };
            DirGrants { dirs: vec![dir], secret: vec![], code: vec![folder.0.join("data/below/app.toml")] }
                .check()
        };
        assert_eq!(dirs(false), Ok(()));
        assert!(dirs(true).is_err_and(|error| error.contains("reading only")));
    }
}
