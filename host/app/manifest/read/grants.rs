//! `[plugin.NAME.grants]`: what a plugin may use.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;
use wharf_call::egress::{GrantError, PeerGrant};
use wharf_call::{EgressGrants, OriginGrant, PeerGrants};
use wharf_engine::DirGrant;

use crate::manifest::section::{Found, Problems, Section, a};
use crate::manifest::source::Span;
use wharf_call::suggest::nearest;

pub(super) fn read_env(problems: &mut Problems<'_>, grants: &Section<'_>) -> BTreeMap<String, String> {
    let env = grants.text_table(problems, "env").unwrap_or_default();
    for (name, value) in &env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let at = grants.entry("env").map_or(0..0, |(at, _)| at);
            problems
                .error(&at, format!("{name:?} cannot be an environment variable"))
                .help("a name is not empty and has no `=`; neither it nor its value has a NUL character");
        }
    }
    env
}

/// `http = ["https://api.example.com", { origin = "http://db.internal:8000", private = true }]`
pub(super) fn read_http(problems: &mut Problems<'_>, grants: &Section<'_>) -> EgressGrants {
    const FORM: Form = Form {
        key: "http",
        short: Some("origin"),
        texts: &["origin"],
        flags: &["private"],
        example: "{ origin = \"http://db.internal:8000\", private = true }",
    };
    let mut origins: Vec<OriginGrant> = Vec::new();
    for entry in FORM.read(problems, grants) {
        let Some(origin) = entry.text("origin") else { continue };
        match OriginGrant::parse(&origin.value) {
            Ok(grant) => origins.push(grant.with_private(entry.flag("private"))),
            Err(GrantError { what, instead }) => {
                let instead = instead.as_deref().unwrap_or("https://api.example.com");
                problems.error(&origin.at, what).help("for example").write(format!("http = [{instead:?}]"));
            }
        }
    }
    EgressGrants { origins }
}

/// `tcp = ["db.example.com:5432", { peer = "127.0.0.1:6379", private = true }]`
pub(super) fn read_tcp(problems: &mut Problems<'_>, grants: &Section<'_>) -> PeerGrants {
    const FORM: Form = Form {
        key: "tcp",
        short: Some("peer"),
        texts: &["peer"],
        flags: &["private"],
        example: "{ peer = \"db.internal:5432\", private = true }",
    };
    let mut peers: Vec<PeerGrant> = Vec::new();
    for entry in FORM.read(problems, grants) {
        let Some(peer) = entry.text("peer") else { continue };
        match PeerGrant::parse(&peer.value) {
            Ok(grant) => peers.push(grant.with_private(entry.flag("private"))),
            Err(GrantError { what, instead }) => {
                let instead = instead.as_deref().unwrap_or("db.example.com:5432");
                problems.error(&peer.at, what).help("for example").write(format!("tcp = [{instead:?}]"));
            }
        }
    }
    PeerGrants { peers }
}

/// `dirs = [{ path = "data", at = "/data", write = true }]`, with paths from `dir`.
pub(super) fn read_dirs(problems: &mut Problems<'_>, grants: &Section<'_>, dir: &Path) -> Vec<DirGrant> {
    const FORM: Form = Form {
        key: "dirs",
        short: None,
        texts: &["path", "at"],
        flags: &["write"],
        example: "{ path = \"data\", at = \"/data\", write = true }",
    };
    let mut dirs: Vec<DirGrant> = Vec::new();
    for entry in FORM.read(problems, grants) {
        let (Some(path), Some(at)) = (entry.text("path"), entry.text("at")) else { continue };
        if path.value.is_empty() || path.value.contains('\0') {
            FORM.wrong(problems, &path.at, "`path` must name a directory".into());
            continue;
        }
        if let Err(what) = check_guest_path(&at.value) {
            FORM.wrong(problems, &at.at, format!("`at` is {:?}, {what}", at.value));
            continue;
        }
        if dirs.iter().any(|dir| dir.at == at.value) {
            let message = format!("two directories are at {:?}", at.value);
            problems.error(&at.at, message).help("give each a path of its own");
            continue;
        }
        dirs.push(DirGrant { path: dir.join(&path.value), at: at.value.clone(), write: entry.flag("write") });
    }
    dirs
}

/// Whether every guest would find a directory there. The error is to be read after "is".
fn check_guest_path(at: &str) -> Result<(), &'static str> {
    let Some(rest) = at.strip_prefix('/') else { return Err("which does not begin with a slash") };
    if at.len() > 255 || at.contains(|char: char| char.is_control()) {
        return Err("which is too long, or has control characters in it");
    }
    if !rest.is_empty() && rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("which has a part that is empty, `.` or `..`");
    }
    Ok(())
}

/// What the entries of an array look like.
struct Form {
    /// The array's key.
    key: &'static str,
    /// The text that an entry stands for when it is a string.
    short: Option<&'static str>,
    /// Keys of strings, all of them required.
    texts: &'static [&'static str],
    /// Keys of true or false, which are false without them.
    flags: &'static [&'static str],
    /// An entry in its long form.
    example: &'static str,
}

/// An entry of an array. What it lacks has been reported.
struct Entry {
    texts: BTreeMap<&'static str, Found<String>>,
    flags: BTreeMap<&'static str, bool>,
}

impl Entry {
    fn text(&self, name: &str) -> Option<&Found<String>> {
        self.texts.get(name)
    }

    fn flag(&self, name: &str) -> bool {
        self.flags.get(name).copied().unwrap_or(false)
    }
}

impl Form {
    fn read(&self, problems: &mut Problems<'_>, grants: &Section<'_>) -> Vec<Entry> {
        let entries = grants.entries(problems, self.key);
        entries.iter().map(|entry| self.read_entry(problems, entry)).collect()
    }

    fn read_entry(&self, problems: &mut Problems<'_>, value: &Spanned<DeValue<'_>>) -> Entry {
        let mut entry = Entry { texts: BTreeMap::new(), flags: BTreeMap::new() };
        match (value.get_ref(), self.short) {
            (DeValue::String(text), Some(short)) => {
                entry.texts.insert(short, Found { value: text.clone().into_owned(), at: value.span() });
                return entry;
            }
            (DeValue::Table(_), _) => {}
            (other, short) => {
                let strings = if short.is_some() { "strings and tables" } else { "tables" };
                let message = format!("`{}` must hold {strings}, not {}", self.key, a(other));
                self.wrong(problems, &value.span(), message);
                return entry;
            }
        }
        let mut there = Vec::new();
        for (key, value) in value.get_ref().as_table().into_iter().flatten() {
            let name: &str = key.get_ref();
            let known = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
            if let Some(text) = known(self.texts) {
                there.push(text);
                match value.get_ref().as_str() {
                    Some(found) => {
                        entry.texts.insert(text, Found { value: found.to_owned(), at: value.span() });
                    }
                    None => {
                        let message = format!("`{text}` must be a string, not {}", a(value.get_ref()));
                        self.wrong(problems, &value.span(), message);
                    }
                }
            } else if let Some(flag) = known(self.flags) {
                match value.get_ref().as_bool() {
                    Some(set) => drop(entry.flags.insert(flag, set)),
                    None => {
                        let message = format!("`{flag}` must be true or false, not {}", a(value.get_ref()));
                        self.wrong(problems, &value.span(), message);
                    }
                }
            } else {
                let all = || self.texts.iter().chain(self.flags).copied();
                let message = format!("unknown key `{name}` in an entry of `{}`", self.key);
                let problem = problems.error(&key.span(), message);
                match nearest(name, all()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => {
                        problem.help(format!("the keys here are {}", all().collect::<Vec<_>>().join(", ")))
                    }
                };
            }
        }
        for text in self.texts {
            if !there.contains(text) {
                self.wrong(problems, &value.span(), format!("this entry of `{}` has no `{text}`", self.key));
            }
        }
        entry
    }

    fn wrong(&self, problems: &mut Problems<'_>, at: &Span, message: String) {
        let line = format!("{} = [{}]", self.key, self.example);
        problems.error(at, message).help("for example").write(line);
    }
}
