//! What the compiler says about mistakes that are easily made: each case in `messages/` is compiled against
//! the SDK, must fail, and must be answered with the lines that its `//~` comments ask for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Of several libraries, as of other features, the one that this test was linked with: the last that was there by then.
fn sdk(deps: &Path, linked: SystemTime) -> PathBuf {
    let entries =
        fs::read_dir(deps).expect("the folder of the test").map(|entry| entry.expect("an entry").path());
    let libraries = entries.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libwharf_sdk-") && name.ends_with(".rlib")
    });
    let libraries = libraries.filter(|path| written(path) <= linked);
    libraries.max_by_key(|path| written(path)).expect("the SDK was built")
}

fn written(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|data| data.modified()).expect("a file has a time")
}

fn compile(case: &Path, deps: &Path, sdk: &Path) -> (bool, String) {
    let out = std::env::temp_dir().join(format!("wharf-sdk-messages-{}", std::process::id()));
    fs::create_dir_all(&out).expect("a folder for what comes out");
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-type", "lib", "--crate-name", "case", "--emit", "metadata"])
        .args(["--error-format", "human", "--color", "never", "-Awarnings"])
        .arg("--out-dir")
        .arg(&out)
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("wharf_sdk={}", sdk.display()))
        .arg(case)
        // The attribute macros look there for the SDK's name.
        .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("rustc runs");
    fs::remove_dir_all(&out).expect("the folder was ours");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_compiler_names_each_mistake_and_what_to_write() {
    let exe = std::env::current_exe().expect("the test has a path");
    // Cargo has put it beside what it was built with.
    let deps = exe.parent().expect("it is in a folder");
    let sdk = sdk(deps, written(&exe));
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut tried = 0;
    for entry in fs::read_dir(cases).expect("the cases") {
        let case = entry.expect("an entry").path();
        let source = fs::read_to_string(&case).expect("a case");
        let wanted: Vec<_> =
            source.lines().filter_map(|line| line.split_once("//~ ")).map(|(_, text)| text).collect();
        let (compiled, said) = compile(&case, deps, &sdk);
        let name = case.file_name().unwrap_or_default().display();
        if wanted.is_empty() {
            assert!(compiled, "{name} has no mistake:\n{said}");
        } else {
            assert!(!compiled, "{name} was compiled");
            for text in wanted {
                assert!(said.contains(text), "{name} should be answered with {text:?}:\n{said}");
            }
        }
        tried += 1;
    }
    assert!(tried >= 10, "only {tried} cases were found");
}
