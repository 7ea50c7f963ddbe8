#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wharf_call::LimitKey;
use wharf_call::limits::Unit;

use super::keys::{KEYS, Kind};
use super::*;

/// Where the project is; `UPDATE_EXPECT=1` rewrites what is compared there.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn compare(path: &Path, actual: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == actual { Ok(()) } else { Err(format!("{}:\n{actual}", path.display())) }
}

fn parse(text: &str) -> Result<Manifest, Diagnostics> {
    Manifest::parse(text, Path::new("app/wharf.toml"))
}

const SMALLEST: &str = "[app]\nname = \"notes\"\n";

#[test]
fn every_malformed_manifest_gets_its_exact_answer() {
    let cases = project().join("tests/cases/manifest");
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut folders: Vec<_> = std::fs::read_dir(cases).unwrap().map(|case| case.unwrap().path()).collect();
    folders.sort();
    for case in folders {
        let bytes = std::fs::read(case.join(FILE_NAME)).unwrap();
        // What is not text is refused before it is parsed, and needs the file; its path must not show.
        let answer = match std::str::from_utf8(&bytes) {
            Ok(text) => Manifest::parse(text, Path::new(FILE_NAME)),
            Err(_) => Manifest::read(&case),
        };
        let shown = match answer {
            Ok(manifest) => manifest.warnings.to_string(),
            Err(problems) => problems.to_string(),
        };
        let shown = shown.replace(&format!("{}/", case.display()), "");
        assert!(!shown.is_empty(), "{} has nothing wrong with it", case.display());
        assert!(shown.contains("= help: "), "{} names no fix:\n{shown}", case.display());
        count += 1;
        wrong.extend(compare(&case.join("expected"), &shown).err());
    }
    assert!(count >= 30, "{count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_lists_every_key() {
    let path = project().join("host/app/manifest/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- keys -->\n", "<!-- end of keys -->");
    let (before, rest) = text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut sections = Vec::new();
    let mut table = String::new();
    for key in KEYS {
        if !sections.contains(&key.section) {
            sections.push(key.section);
            let name = if is_list(key.section) {
                format!("[[{}]]", key.section)
            } else {
                format!("[{}]", key.section)
            };
            let _ =
                write!(table, "\n### `{name}`\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
        }
        let default =
            if is_value(key.default) { format!("`{}`", key.default) } else { key.default.to_owned() };
        let kind = if matches!(key.kind, Kind::Choice(_)) {
            format!("`{}`", key.kind)
        } else {
            key.kind.to_string()
        };
        let _ = writeln!(table, "| `{}` | {kind} | {default} | {} |", key.name, key.meaning);
    }
    compare(&path, &format!("{before}{start}{table}\n{end}{after}")).unwrap();
}

/// Whether there may be several of a section.
fn is_list(section: &str) -> bool {
    matches!(section, "route" | "link")
}

/// Whether the default is a TOML value rather than words.
fn is_value(default: &str) -> bool {
    toml::from_str::<toml::Table>(&format!("key = {default}")).is_ok()
}

/// A manifest with every key of the table that `value` gives a value to.
fn written_out(value: impl Fn(&keys::Key) -> Option<String>) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let name = section.replace("NAME", "notes");
            let header = if is_list(section) { format!("[[{section}]]") } else { format!("[{name}]") };
            let _ = writeln!(text, "{header}");
        }
        if let Some(value) = value(key) {
            let _ = writeln!(text, "{} = {value}", key.name);
        }
    }
    text
}

#[test]
fn the_defaults_in_the_table_are_those_of_the_code() {
    let required = |key: &keys::Key| (key.default == "required").then(|| key.example.to_owned());
    let short = parse(&written_out(required)).unwrap();
    let long = parse(&written_out(|key| {
        required(key).or_else(|| is_value(key.default).then(|| key.default.to_owned()))
    }))
    .unwrap();
    assert_eq!((short.app, short.admin, short.http), (long.app, long.admin, long.http));
    assert_eq!((short.engine, short.memory_total, short.log), (long.engine, long.memory_total, long.log));
    assert_eq!(short.key_value, KeyValueEntry { quotas: BTreeMap::new(), ..long.key_value });
    assert_eq!(short.plugins["notes"].config, long.plugins["notes"].config);
    assert_eq!((short.doors, short.graphql), (long.doors, long.graphql));
}

#[test]
fn every_example_that_messages_show_is_valid() {
    let digest = format!("{:?}", "0".repeat(64));
    let text = written_out(|key| match (key.name, key.kind) {
        (_, Kind::Table) => None,
        ("sha256", _) => Some(digest.clone()),
        _ => Some(key.example.to_owned()),
    });
    let manifest = parse(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    assert_eq!(manifest.plugins["notes"].config.grants.env["LANG"], "C");
}

#[test]
fn both_ends_of_every_range_are_accepted_and_what_lies_beyond_is_not() {
    let ceilings = "engine.memory = \"4GiB\"\nengine.instances = 100000\nhttp.body_bytes = \"1TiB\"\n\
                    http.header_bytes = \"1MiB\"\nhttp.header_count = 1000\n";
    for key in KEYS {
        let (min, max, unit) = match key.kind {
            Kind::Size(min, max) => (min, max, "B"),
            Kind::Time(min, max) => (min, max, "ms"),
            Kind::Count(min, max) => (min, max, ""),
            _ => continue,
        };
        let with = |number: u64| {
            let value = if unit.is_empty() { number.to_string() } else { format!("\"{number}{unit}\"") };
            if is_list(key.section) {
                let function = "path = \"/\"\nplugin = \"notes\"\nfunction = \"a.b\"";
                return parse(&format!(
                    "plugin.notes.component = \"n.wasm\"\n{SMALLEST}[[{}]]\n{function}\n{} = {value}\n",
                    key.section, key.name
                ));
            }
            let path = format!("{}.{}", key.section.replace("NAME", "notes"), key.name);
            let of_pool = if key.name == "min" { "plugin.notes.pool.max = 10000\n" } else { "" };
            let others: String = ceilings
                .lines()
                .filter(|line| !line.starts_with(&path))
                .fold(String::new(), |text, line| text + line + "\n");
            parse(&format!(
                "{path} = {value}\nplugin.notes.component = \"n.wasm\"\n{of_pool}{others}{SMALLEST}"
            ))
        };
        for fits in [min, max] {
            with(fits).unwrap_or_else(|problems| panic!("{} = {fits}: {problems}", key.name));
        }
        for beyond in min.checked_sub(1).into_iter().chain([max + 1]) {
            assert_eq!(with(beyond).unwrap_err().errors(), 1, "{} = {beyond}", key.name);
        }
    }
}

#[test]
fn the_limits_of_the_table_are_those_that_are_enforced() {
    let keys: Vec<_> = keys::of("plugin.NAME.limits")
        .filter(|key| key.name != "observe")
        .map(|key| (key.name, key.kind))
        .collect();
    assert_eq!(keys.len(), LimitKey::ALL.len());
    for (name, kind) in keys {
        let key = LimitKey::from_name(name).unwrap_or_else(|| panic!("{name} is no limit of the engine"));
        let expected = match kind {
            Kind::Size(_, max) => (Unit::Bytes, max),
            Kind::Time(_, max) => (Unit::Millis, max),
            Kind::Count(_, max) => (Unit::Count, max),
            other => panic!("{name} is {other}"),
        };
        assert_eq!((key.unit(), key.ceiling()), expected, "{name}");
    }
}

#[test]
fn limits_can_be_observed_one_by_one() {
    let manifest =
        parse(&format!("{SMALLEST}[plugin.n]\ncomponent = \"n\"\nlimits.observe = [\"cpu\", \"log_lines\"]"))
            .unwrap();
    let observed = manifest.plugins["n"].config.limits.observed;
    let names = LimitKey::ALL.iter().filter(|key| observed.has(**key)).map(|key| key.name());
    assert_eq!(names.collect::<Vec<_>>(), ["cpu", "log_lines"]);
}

#[test]
fn paths_are_relative_to_the_manifest() {
    let manifest = parse(&format!("{SMALLEST}[plugin.notes]\ncomponent = \"a/n.wasm\"")).unwrap();
    assert_eq!(manifest.dir, Path::new("app"));
    assert_eq!(manifest.app.data, Path::new("app/.wharf"));
    assert_eq!(manifest.engine.cache_dir, Path::new("app/.wharf/cache"));
    assert_eq!(manifest.plugins["notes"].component, Path::new("app/a/n.wasm"));
    let absolute = parse("[app]\nname = \"n\"\ndata = \"/var/lib/n\"").unwrap();
    assert_eq!(absolute.engine.cache_dir, Path::new("/var/lib/n/cache"));
    assert_eq!(Manifest::parse(SMALLEST, Path::new("wharf.toml")).unwrap().dir, Path::new("."));
}

#[test]
fn a_whole_manifest_is_read() {
    let manifest = parse(
        r#"
        [app]
        name = "notes"
        [listen]
        http = "0.0.0.0:80"
        [http]
        header_bytes = 32768
        idle_timeout = "2m"
        [plugin.notes]
        component = "n.wasm"
        config = { title = "My notes" }
        grants.env = { A = "1" }
        limits = { cpu = "10ms" }
        [plugin.notes.pool]
        reuse = 1
        [[route]]
        path = "/notes/{id}"
        host = "*.example.com"
        methods = ["GET", "PURGE"]
        plugin = "notes"
        "#,
    )
    .unwrap();
    assert_eq!(manifest.warnings.to_string(), "");
    assert_eq!(manifest.http.listen.to_string(), "0.0.0.0:80");
    assert_eq!(
        (manifest.http.header_bytes_max, manifest.http.idle_timeout),
        (32_768, Duration::from_secs(120))
    );
    let plugin = &manifest.plugins["notes"].config;
    assert_eq!(plugin.grants.config.as_ref().unwrap()["title"], "My notes");
    assert_eq!((plugin.limits.cpu, plugin.pool.reuse), (Duration::from_millis(10), 1));
    let route = &manifest.routes[0];
    assert_eq!((route.pattern.as_str(), &*route.plugin), ("/notes/{id}", "notes"));
    assert_eq!(route.methods, ["GET", "PURGE"]);
}

#[test]
fn a_bucket_has_its_own_quota_or_the_one_for_all() {
    let manifest = parse(&format!(
        "{SMALLEST}[keyvalue]\nquota = \"1MiB\"\nvalue_bytes = \"2KiB\"\n[keyvalue.bucket.b]\nquota = \"3MiB\"\n\
         [plugin.n]\ncomponent = \"n\"\ngrants.keyvalue = [\"a\", \"b\"]\n\
         [plugin.m]\ncomponent = \"m\"\ngrants.keyvalue = [\"b\", \"c\"]"
    ))
    .unwrap();
    let quotas =
        [("a", 1 << 20), ("b", 3 << 20), ("c", 1 << 20)].map(|(name, quota)| (name.to_owned(), quota));
    assert_eq!(manifest.buckets(), BTreeMap::from(quotas));
    assert_eq!(manifest.key_value.config.value_bytes_max, 2 << 10);
    assert!(parse(SMALLEST).unwrap().buckets().is_empty());
}

#[test]
fn defaults_stay_below_lowered_ceilings() {
    let manifest = parse(&format!(
        "{SMALLEST}[engine]\nmemory = \"16MiB\"\ninstances = 4\n[http]\nbody_bytes = \"1KiB\"\n[plugin.n]\ncomponent = \"n\""
    ))
    .unwrap();
    let plugin = &manifest.plugins["n"].config;
    assert_eq!(
        (plugin.limits.memory_bytes, plugin.limits.request_body_bytes, plugin.pool.max),
        (16 << 20, 1 << 10, 4)
    );
}

#[test]
fn what_a_running_host_cannot_change_is_named() {
    let old = parse(SMALLEST).unwrap();
    assert_eq!(old.restart_needed(&old), Vec::<String>::new());
    let new = parse(&format!(
        "{SMALLEST}[listen]\nhttp = \"127.0.0.1:1\"\n[engine]\nmemory = \"1GiB\"\n[http]\nidle_timeout = \"1s\""
    ))
    .unwrap();
    let needed = ["listen.http", "[http]", "engine.memory"]
        .map(|key| format!("a change of {key} needs a restart of the host"));
    assert_eq!(old.restart_needed(&new), needed);
}

#[test]
fn the_command_line_wins_over_the_file_and_stays_so() {
    let granted = format!(
        "{SMALLEST}[plugin.n]\ncomponent = \"n\"\n[plugin.n.grants]\ndirs = [{{ path = \"d\", at = \"/d\" }}]"
    );
    let mut old = parse(&granted).unwrap();
    let cache = old.engine.cache_dir.clone();
    let http = "127.0.0.1:0".parse().ok();
    let data = Some(PathBuf::from("/elsewhere"));
    old.set(Overrides { http, admin: http, data, log_format: Some(LogFormat::Json) }).unwrap();
    assert_eq!((&*old.app.data, &old.engine.cache_dir), (Path::new("/elsewhere"), &cache));
    let secret = &old.plugins["n"].config.grants.dirs.secret;
    assert!(
        secret.contains(&"/elsewhere".into()),
        "a plugin may be granted the host's own folder: {secret:?}"
    );
    assert_eq!(
        (Some(old.http.listen), Some(old.admin.listen), old.log.format),
        (http, http, LogFormat::Json)
    );
    assert!(old.restart_needed(&parse(SMALLEST).unwrap()).is_empty());
    let remote = Overrides { admin: "0.0.0.0:1".parse().ok(), ..Overrides::default() };
    assert!(old.set(remote.clone()).unwrap_err().ends_with("[admin]\n  allow_remote = true"));
    assert_eq!(Some(old.admin.listen), http);
    parse(&format!("{SMALLEST}[admin]\nallow_remote = true")).unwrap().set(remote).unwrap();
}

#[test]
fn problems_found_later_are_shown_at_their_line() {
    let manifest = parse(&format!(
        "{SMALLEST}[plugin.n]\ncomponent = \"n\"\n[[route]]\npath = \"/a\"\nplugin = \"n\"\n[[route]]\npath = \"/b\"\nplugin = \"n\""
    ))
    .unwrap();
    let shown = manifest.route_diagnostic(1, Some(0), "they collide").to_string();
    assert!(shown.contains("--> app/wharf.toml:9:8") && shown.contains("^^^^ the other route"), "{shown}");
    let shown = manifest.plugin_diagnostic("n", "it imports too much").to_string();
    assert!(shown.contains("--> app/wharf.toml:4:13"), "{shown}");
}

#[test]
fn a_manifest_that_cannot_be_read_is_one_message() {
    let missing = Manifest::read(Path::new("/nowhere/at/all")).unwrap_err().to_string();
    assert!(missing.starts_with("error: there is no manifest here\n --> /nowhere/at/all\n"), "{missing}");
    let large = std::env::temp_dir().join(format!("wharf-large-{}.toml", std::process::id()));
    std::fs::write(&large, vec![b'#'; FILE_BYTES_MAX as usize + 1]).unwrap();
    let refused = Manifest::read(&large).unwrap_err().to_string();
    std::fs::remove_file(&large).unwrap();
    assert!(refused.starts_with("error: the manifest is larger than 1MiB"), "{refused}");
}

#[test]
fn no_text_makes_the_reader_panic() {
    // Every prefix, and every manifest with one byte replaced: cheap, and it finds what fuzzing finds first.
    let whole = written_out(|key| (!matches!(key.kind, Kind::Table)).then(|| key.example.to_owned()));
    let mut seen = BTreeSet::new();
    for cut in 0..whole.len() {
        let Some(start) = whole.get(..cut) else { continue };
        seen.insert(parse(start).is_ok());
    }
    for at in (0..whole.len()).step_by(7) {
        for byte in ["\"", "[", "]", "=", "\n", "\u{0}", "ü", "{", "9"] {
            if let (Some(before), Some(after)) = (whole.get(..at), whole.get(at + 1..)) {
                seen.insert(parse(&format!("{before}{byte}{after}")).is_ok());
            }
        }
    }
    assert_eq!(seen, BTreeSet::from([true, false]));
}
