//! Reading component files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use wharf_call::ports::{Refusal, Stage};
use wharf_engine::sha256_hex;

use crate::manifest::PluginEntry;

/// No component is larger: what `[engine] component_bytes` may be set to at most, in bytes.
const BYTES_MAX: u64 = 1 << 30;

/// Reads a whole component file.
///
/// # Errors
/// [`Stage::Read`], with what to do about it. Blocks.
pub(crate) fn read(path: &Path) -> Result<Bytes, Refusal> {
    let cannot = |error: std::io::Error| {
        let fix = match error.kind() {
            std::io::ErrorKind::NotFound => "; build the plugin, or correct `component` in wharf.toml",
            _ => "",
        };
        Refusal::new(Stage::Read, format!("{} cannot be read: {error}{fix}", path.display()))
    };
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Refusal::new(Stage::Read, format!("{} is not a file", path.display())));
    }
    if metadata.len() > BYTES_MAX {
        return Err(Refusal::new(
            Stage::Read,
            format!("{} has {} bytes; a component has at most {BYTES_MAX}", path.display(), metadata.len()),
        ));
    }
    // One more than there is to read: the end is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes.into())
}

/// Checks the bytes against the digest that the manifest pins, if it does.
///
/// # Errors
/// [`Stage::Read`], with both digests.
pub(crate) fn check_pin(entry: &PluginEntry, bytes: &[u8]) -> Result<(), Refusal> {
    let Some(pinned) = &entry.sha256 else { return Ok(()) };
    let actual = sha256_hex(bytes);
    if actual.eq_ignore_ascii_case(pinned) {
        return Ok(());
    }
    Err(Refusal::new(
        Stage::Read,
        format!(
            "the component's SHA-256 is {actual}, but wharf.toml pins {pinned}. If the component is the right \
             one, write:\n  [plugin.{}]\n  sha256 = \"{actual}\"",
            entry.config.name
        ),
    ))
}
