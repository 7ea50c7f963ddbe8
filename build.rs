//! Lists what `wharf new` writes into a project, so that the binary carries it: the SDK, the contracts that it
//! is generated from, and the lock file that a project starts with.
//!
//! The list is generated, the bytes are not copied: `include_bytes!` takes them where they are.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What a copy of the SDK consists of, relative to the repository, and by the same names in the copy.
const SDK: &[&str] = &[
    "LICENSE",
    "plugin-sdk/Cargo.toml",
    "plugin-sdk/macros/Cargo.toml",
    "plugin-sdk/macros/src",
    "plugin-sdk/src",
    "wit",
];

/// A project that depends on the SDK and on nothing else: its lock file is every new project's.
const LOCK: &str = "examples/hello/Cargo.lock";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LOCK}");
    let mut files = Vec::new();
    for part in SDK {
        println!("cargo::rerun-if-changed={part}");
        list(&root.join(part), &mut files)?;
    }
    files.sort();

    let mut text = String::from("/// Each file of the SDK: its path with `/`, and its bytes. Sorted.\n");
    text += "pub(super) static FILES: &[(&str, &[u8])] = &[\n";
    for path in &files {
        let name = path.strip_prefix(&root)?.to_str().ok_or("a path is not UTF-8")?;
        let _ = writeln!(text, "    ({name:?}, include_bytes!({path:?})),");
    }
    text += "];\n";
    let lock = root.join(LOCK);
    let _ = writeln!(
        text,
        "/// The lock file of the example `hello`.\npub(super) static LOCK: &str = include_str!({lock:?});"
    );
    fs::write(Path::new(&env::var("OUT_DIR")?).join("sdk_files.rs"), text)?;
    Ok(())
}

/// Every file at or below `path`, except hidden ones and what a build left there.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if !name.starts_with('.') && name != "target" {
            list(&path, files)?;
        }
    }
    Ok(())
}
