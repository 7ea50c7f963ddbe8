//! Takes the pages of Swagger UI out of the archive that its crate is, and keeps them as gzip (RFC 1952): deflated they are
//! in the archive already.

use std::path::PathBuf;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

const FILES: [&str; 3] = ["swagger-ui-bundle.js", "swagger-ui.css", "LICENSE"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    for wanted in FILES {
        let (deflated, crc, size) =
            find(wanted).unwrap_or_else(|| panic!("no {wanted} in Swagger UI's archive"));
        // A head without name and time, written on an unknown system.
        let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        gzip.extend_from_slice(deflated);
        gzip.extend_from_slice(&crc.to_le_bytes());
        gzip.extend_from_slice(&size.to_le_bytes());
        fs::write(out.join(format!("{wanted}.gz")), gzip).expect("OUT_DIR can be written");
    }
}

/// The deflated bytes of a file, with the checksum and the length of what it is inflated. The layout is that of PKWARE's
/// APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
fn find(wanted: &str) -> Option<(&'static [u8], u32, u32)> {
    let end = ARCHIVE.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let mut at = long(end + 16)? as usize;
    while ARCHIVE.get(at..at + 4)? == b"PK\x01\x02" {
        let (method, crc, packed, size) = (short(at + 10)?, long(at + 16)?, long(at + 20)?, long(at + 24)?);
        let (name, extra, comment) = (short(at + 28)?, short(at + 30)?, short(at + 32)?);
        let local = long(at + 42)? as usize;
        let path = std::str::from_utf8(ARCHIVE.get(at + 46..at + 46 + name)?).ok()?;
        // `swagger-ui-5.32.6/dist/…`, and the licence beside `dist`.
        let within = path.split_once('/')?.1;
        if method == 8 && within.strip_prefix("dist/").unwrap_or(within) == wanted {
            let begin = local + 30 + short(local + 26)? + short(local + 28)?;
            return Some((ARCHIVE.get(begin..begin + packed as usize)?, crc, size));
        }
        at += 46 + name + extra + comment;
    }
    None
}

fn short(at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(ARCHIVE.get(at..at + 2)?.try_into().ok()?).into())
}

fn long(at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(ARCHIVE.get(at..at + 4)?.try_into().ok()?))
}
