//! What the application itself needs: its ports, and its data folder.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Application, Check};

/// With less room, a build or a store will fail soon; with still less, at once.
const DISK_WARN: u64 = 1 << 30;
const DISK_FAIL: u64 = 64 << 20;

pub(super) fn checks(application: &Application) -> Vec<Check> {
    let manifest = &application.manifest;
    // Taken ports are as they should be while the host of this very folder runs.
    let running = wharf_admin::read_address(&manifest.app.data).is_ok_and(answers_as_a_host);
    let mut checks = vec![
        port("port http", "http", manifest.http.listen, running),
        port("port admin", "admin", manifest.admin.listen, running),
    ];
    checks.push(data(&manifest.app.data));
    checks.extend(disk(&manifest.app.data));
    checks
}

/// Whether `address` can be listened on, or is taken by the host of this folder because that is `running`.
fn port(name: &'static str, key: &str, address: SocketAddr, running: bool) -> Check {
    let port = address.port();
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(name, format!("{address} is free")),
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse if running => {
                Check::ok(name, format!("{address}: the host of this folder runs"))
            }
            ErrorKind::AddrInUse => Check::fail(
                name,
                format!("{address}: something listens there already"),
                format!(
                    "see what: ss -ltnp 'sport = :{port}'\nor take a free one, in wharf.toml: [listen] {key} = \"{}:0\"",
                    address.ip()
                ),
            ),
            ErrorKind::PermissionDenied => Check::fail(
                name,
                format!("{address}: ports below 1024 need a privilege"),
                "sudo setcap cap_net_bind_service=+ep \"$(command -v wharf)\"",
            ),
            ErrorKind::AddrNotAvailable => Check::fail(
                name,
                format!("{address}: this machine has no such address"),
                format!("in wharf.toml: [listen] {key} = \"127.0.0.1:{port}\""),
            ),
            _ => Check::fail(
                name,
                format!("{address}: {error}"),
                format!("in wharf.toml: change [listen] {key}"),
            ),
        },
    }
}

/// Whether what listens there is a host's admin API.
fn answers_as_a_host(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let limit = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(
            format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// Whether the data folder can be written, and by nobody else.
fn data(data: &Path) -> Check {
    const NAME: &str = "data";
    let at = shown(data);
    let Some(folder) = existing(data) else {
        return Check::fail(
            NAME,
            format!("{at} cannot be made: no folder on its path can be looked into"),
            format!("mkdir -p {at}"),
        );
    };
    let metadata = match folder.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            return Check::fail(
                NAME,
                format!("{}: {error}", folder.display()),
                format!("ls -ld {}", shown(&folder)),
            );
        }
    };
    if !metadata.is_dir() {
        return Check::fail(
            NAME,
            format!("{} is not a folder", folder.display()),
            "in wharf.toml: change [app] data",
        );
    }
    let own = shown(&folder);
    if let Err(error) =
        rustix::fs::access(folder.as_path(), rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
    {
        let user = "\"$(id -un)\"";
        return Check::fail(
            NAME,
            format!("{own} cannot be written: {error}"),
            format!("sudo chown {user} {own}; chmod u+rwx {own}"),
        );
    }
    if std::path::absolute(data).is_ok_and(|data| data != folder) {
        return Check::ok(NAME, format!("{at} will be made"));
    }
    match metadata.mode() & 0o077 {
        0 => Check::ok(NAME, format!("{at} is this user's alone")),
        // The admin token is in it; its own file is closed to others, but may be replaced.
        mode if mode & 0o022 != 0 => {
            Check::fail(NAME, format!("{at} can be written by others"), format!("chmod 700 {at}"))
        }
        _ => Check::warn(NAME, format!("{at} can be looked into by others"), format!("chmod 700 {at}")),
    }
}

fn disk(data: &Path) -> Option<Check> {
    const NAME: &str = "disk";
    let folder = existing(data)?;
    let disk = rustix::fs::statvfs(folder.as_path()).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} free at {}", super::super::human_size(free), folder.display());
    let mend = format!(
        "see what takes it: df -h {at}; du -xsh {at}; in a project, `cargo clean` gives back most",
        at = shown(&folder)
    );
    Some(match free {
        free if free < DISK_FAIL => Check::fail(NAME, found, mend),
        free if free < DISK_WARN => Check::warn(NAME, found, mend),
        _ => Check::ok(NAME, found),
    })
}

/// The folder itself, or the nearest one above it that exists.
fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|folder| folder.exists()).map(Path::to_owned)
}

/// A path as it would be typed.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-".contains(char);
    match text.as_str() {
        "" => ".".to_owned(),
        text if text.chars().all(plain) => text.to_owned(),
        text => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::os::unix::fs::PermissionsExt;

    use super::super::Status;
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_found_and_one_that_is_free_is_not() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let check = port("port http", "http", address, false);
        assert_eq!(check.status, Status::Fail, "{check:?}");
        assert!(check.mend.unwrap().contains(&format!("sport = :{}", address.port())));
        drop(taken);
        assert_eq!(port("port http", "http", address, false).status, Status::Ok);
        // TEST-NET-1 of RFC 5737 is on no machine.
        let nowhere = port("port http", "http", "192.0.2.1:80".parse().unwrap(), false);
        assert_eq!(nowhere.status, Status::Fail, "{nowhere:?}");
    }

    #[test]
    fn a_data_folder_that_others_can_write_is_not_one() {
        let dir = std::env::temp_dir().join(format!("wharf-doctor-data-{}", std::process::id()));
        let with = |mode: u32| {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
            data(&dir).status
        };
        assert_eq!([with(0o700), with(0o755), with(0o777)], [Status::Ok, Status::Warn, Status::Fail]);
        let here = std::env::current_dir().unwrap();
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        let relative = up.join(dir.strip_prefix("/").unwrap());
        assert_eq!(data(&relative).status, Status::Fail, "a relative path to the same folder");
        std::fs::remove_dir(&dir).unwrap();
        assert!(data(&dir).found.ends_with("will be made"));
        std::fs::write(&dir, "a file").unwrap();
        assert_eq!(data(&dir).status, Status::Fail);
        std::fs::remove_file(&dir).unwrap();
    }

    #[test]
    fn a_path_is_shown_so_that_it_can_be_typed() {
        assert_eq!(shown(Path::new("")), ".");
        assert_eq!(shown(Path::new("/srv/a-b")), "/srv/a-b");
        assert_eq!(shown(Path::new("it's mine")), "'it'\\''s mine'");
    }
}
