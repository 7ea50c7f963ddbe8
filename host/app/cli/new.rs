use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Failed, NewArgs, NewKind, print, print_json};
use crate::sdk;

/// A file of a template: its path in the project, and its text with placeholders.
type Template = &'static [(&'static str, &'static str)];

const HANDLER: Template = &[
    (".gitignore", include_str!("../templates/handler/gitignore.in")),
    ("Cargo.toml", include_str!("../templates/handler/Cargo.toml.in")),
    ("README.md", include_str!("../templates/handler/README.md.in")),
    ("src/lib.rs", include_str!("../templates/handler/src/lib.rs.in")),
    ("tests/plugin.rs", include_str!("../templates/handler/tests/plugin.rs.in")),
    ("wharf.toml", include_str!("../templates/handler/wharf.toml.in")),
];

const SERVICE: Template = &[
    (".gitignore", include_str!("../templates/service/gitignore.in")),
    ("Cargo.toml", include_str!("../templates/service/Cargo.toml.in")),
    ("README.md", include_str!("../templates/service/README.md.in")),
    ("src/lib.rs", include_str!("../templates/service/src/lib.rs.in")),
    ("tests/plugin.rs", include_str!("../templates/service/tests/plugin.rs.in")),
    ("wharf.toml", include_str!("../templates/service/wharf.toml.in")),
    ("wit/greetings.wit", include_str!("../templates/service/wit/greetings.wit.in")),
];

const SOCKET: Template = &[
    (".gitignore", include_str!("../templates/socket/gitignore.in")),
    ("Cargo.toml", include_str!("../templates/socket/Cargo.toml.in")),
    ("README.md", include_str!("../templates/socket/README.md.in")),
    ("src/lib.rs", include_str!("../templates/socket/src/lib.rs.in")),
    ("tests/plugin.rs", include_str!("../templates/socket/tests/plugin.rs.in")),
    ("wharf.toml", include_str!("../templates/socket/wharf.toml.in")),
];

/// No name is longer: it is a plugin's name, too.
const NAME_MAX: usize = 64;

/// Words that cannot name a crate: keywords of Rust 2024, strict and reserved (The Rust Reference, "Keywords"),
/// and the crates that every crate knows.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "wharf",
];

/// What `wharf new --json` prints.
#[derive(Serialize)]
struct Made<'a> {
    kind: NewKind,
    name: &'a str,
    dir: String,
    files: Vec<String>,
}

/// Makes a project.
pub(super) fn run(args: &NewArgs) -> Result<(), Failed> {
    let name = &args.name;
    check_name(name).map_err(Failed::new)?;
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    check_dir(&dir)?;
    let files = project(args.kind, name);
    write(&dir, &files)?;
    if args.json {
        let files = files.into_iter().map(|(path, _)| path).collect();
        return print_json(&Made { kind: args.kind, name, dir: dir.display().to_string(), files });
    }
    let shown = dir.display();
    let what = match args.kind {
        NewKind::Handler => "handler",
        NewKind::Service => "service",
        NewKind::Socket => "socket",
    };
    let scheme = if args.kind == NewKind::Socket { "ws" } else { "http" };
    print(&format!(
        "created {shown}: a {what} plugin, with its tests and the SDK in {}\n\n\
         next:\n  \
         cd {shown}\n  \
         wharf up --watch    serve it on {scheme}://127.0.0.1:8080/hello/you, and swap it when you save\n  \
         cargo test          its tests: natively, and in a real host\n",
        sdk::FOLDER
    ))
}

/// Everything that a project starts with, by its path.
fn project(kind: NewKind, name: &str) -> Vec<(String, Vec<u8>)> {
    let template = match kind {
        NewKind::Handler => HANDLER,
        NewKind::Service => SERVICE,
        NewKind::Socket => SOCKET,
    };
    let render = |text: &str| text.replace("{{name}}", name).replace("{{crate}}", &name.replace('-', "_"));
    let mut files: Vec<(String, Vec<u8>)> =
        template.iter().map(|(path, text)| ((*path).to_owned(), render(text).into_bytes())).collect();
    files.push(("Cargo.lock".to_owned(), sdk::lock(name).into_bytes()));
    files.extend(sdk::copy());
    files.sort();
    files
}

/// The error says what a name is, and proposes one where it can.
fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_MAX).contains(&name.len())
        && name.starts_with(|char: char| char.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if !fits {
        let proposal = slug(name).map(|slug| format!(". How about {slug}?")).unwrap_or_default();
        return Err(format!(
            "{name:?} cannot be a plugin's name: it must be a letter of a-z, then up to {} of a-z, 0-9, - and _{proposal}",
            NAME_MAX - 1
        ));
    }
    if RESERVED.contains(&name.replace('-', "_").as_str()) {
        return Err(format!(
            "{name:?} cannot be a plugin's name: in Rust it means something else. How about {name}-plugin?"
        ));
    }
    if sdk::packages().any(|package| package == name) {
        return Err(format!(
            "{name:?} cannot be a plugin's name: a crate that it is built of has it. How about {name}-plugin?"
        ));
    }
    Ok(())
}

/// What the name may have meant.
fn slug(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let slug: String = words.join("-").chars().take(NAME_MAX).collect();
    (check_name_shape(&slug) && slug != name).then_some(slug)
}

fn check_name_shape(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_lowercase())
}

/// Nothing is ever overwritten: the folder must be new or empty.
fn check_dir(dir: &Path) -> Result<(), Failed> {
    let taken = |what: &str| {
        Err(Failed::new(format!(
            "{} {what}, and nothing is overwritten. Take another name, or another folder with --dir",
            dir.display()
        )))
    };
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => taken("exists and is not empty"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) if dir.exists() => taken("exists and is not a folder that can be read"),
        Err(error) => Err(Failed::new(format!("cannot look into {}: {error}", dir.display()))),
    }
}

/// Writes all files, or none: what was written before an error is removed again.
fn write(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<(), Failed> {
    let existed = dir.exists();
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = dir.join(name);
        if let Err(error) = sdk::write_new(&path, bytes) {
            if existed {
                written.iter().for_each(|path| drop(std::fs::remove_file(path)));
            } else {
                let _ = std::fs::remove_dir_all(dir);
            }
            return Err(Failed::new(format!("cannot write {}: {error}", path.display())));
        }
        written.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn a_name_is_checked_and_another_one_proposed() {
        for good in ["greet", "a", "rate-limit_2", &"a".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for (bad, says) in [
            ("", "letter of a-z"),
            ("Greet", "How about greet?"),
            ("my plugin", "How about my-plugin?"),
            ("../etc", "How about etc?"),
            ("2fast", "letter of a-z"),
            ("-", "letter of a-z"),
            ("naïve", "How about na-ve?"),
            (&"a".repeat(65), "letter of a-z"),
            ("match", "How about match-plugin?"),
            ("proc-macro", "in Rust"),
            ("wharf", "in Rust"),
            ("bytes", "a crate that it is built of"),
            ("wharf-sdk", "a crate that it is built of"),
        ] {
            let error = check_name(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn a_project_is_whole_and_its_manifest_is_one() {
        for (kind, template) in
            [(NewKind::Handler, HANDLER), (NewKind::Service, SERVICE), (NewKind::Socket, SOCKET)]
        {
            let files = project(kind, "rate-limit");
            let text = |path: &str| {
                let (_, bytes) =
                    files.iter().find(|(name, _)| name == path).unwrap_or_else(|| panic!("no {path}"));
                String::from_utf8(bytes.clone()).unwrap()
            };
            for (path, _) in template {
                assert!(!text(path).contains("{{"), "{path} has a placeholder left");
            }
            let manifest = Manifest::parse(&text("wharf.toml"), Path::new("wharf.toml")).unwrap();
            assert!(manifest.warnings.into_iter().next().is_none());
            let plugin = &manifest.plugins["rate-limit"];
            assert!(plugin.component.ends_with("release/rate_limit.wasm"), "{}", plugin.component.display());
            assert!(text("Cargo.toml").contains("name = \"rate-limit\""));
            assert!(text("Cargo.lock").contains("name = \"rate-limit\""));
            assert!(text("vendor/wharf/VERSION").starts_with("wharf-sdk "));
        }
    }
}
