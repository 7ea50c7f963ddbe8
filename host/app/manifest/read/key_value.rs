use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;
use wharf_state::Config;

use super::{number, slug};
use crate::manifest::KeyValueEntry;
use crate::manifest::section::{Found, Problems, Section, a};
use crate::manifest::source::Span;

/// `[keyvalue]` and `[keyvalue.bucket.NAME]`, and where each bucket's name stands.
pub(super) fn read_key_value(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
) -> (KeyValueEntry, BTreeMap<String, Span>) {
    let entry = root.get_key_value("keyvalue").map(|(key, value)| (key.span(), value));
    let section = Section::open(problems, "keyvalue", "keyvalue".to_owned(), entry);
    let default = Config::default();
    let config = Config {
        bucket_bytes_max: number(section.size(problems, "quota"), default.bucket_bytes_max),
        value_bytes_max: number(section.size(problems, "value_bytes"), default.value_bytes_max),
        cache_bytes: number(section.size(problems, "cache"), default.cache_bytes),
        ..default
    };
    let (mut quotas, mut names) = (BTreeMap::new(), BTreeMap::new());
    let Some((at, value)) = section.entry("bucket") else {
        return (KeyValueEntry { config, quotas }, names);
    };
    let Some(table) = value.get_ref().as_table() else {
        let message =
            format!("`keyvalue.bucket` must be a section for each bucket, not {}", a(value.get_ref()));
        problems.error(&at, message).help("write").write("[keyvalue.bucket.notes]").write("quota = \"1GiB\"");
        return (KeyValueEntry { config, quotas }, names);
    };
    for (key, value) in table {
        let name: &str = key.get_ref();
        check_bucket(problems, name, &key.span(), |name| format!("[keyvalue.bucket.{name}]"));
        let at = Some((key.span(), value));
        let bucket = Section::open(problems, "keyvalue.bucket.NAME", format!("keyvalue.bucket.{name}"), at);
        if let Some(Found { value, .. }) = bucket.size(problems, "quota") {
            quotas.insert(name.to_owned(), value);
        }
        names.insert(name.to_owned(), key.span());
    }
    (KeyValueEntry { config, quotas }, names)
}

/// `keyvalue` of `[plugin.NAME.grants]`.
pub(super) fn read_buckets(problems: &mut Problems<'_>, grants: &Section<'_>) -> BTreeSet<String> {
    let mut buckets = BTreeSet::new();
    let found = grants.texts(problems, "keyvalue").map(|found| found.value).unwrap_or_default();
    for Found { value: name, at } in found {
        check_bucket(problems, &name, &at, |name| format!("keyvalue = [{name:?}]"));
        if buckets.contains(&name) {
            problems.error(&at, format!("the bucket {name:?} is there twice")).help("keep one of them");
        }
        buckets.insert(name);
    }
    buckets
}

/// A quota for a bucket that nobody may open is probably a slip.
pub(super) fn warn_of_unused_buckets(
    problems: &mut Problems<'_>,
    buckets: &BTreeMap<String, Span>,
    granted: &BTreeSet<&str>,
) {
    if problems.list.errors() > 0 {
        return;
    }
    for (name, at) in buckets.iter().filter(|(name, _)| !granted.contains(name.as_str())) {
        problems
            .warning(at, format!("no plugin is granted the bucket {name:?}"))
            .help("grant it to one")
            .write("[plugin.NAME.grants]")
            .write(format!("keyvalue = [{name:?}]"));
    }
}

fn check_bucket(problems: &mut Problems<'_>, name: &str, at: &Span, line: impl Fn(&str) -> String) {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if !fits {
        let message = format!("the bucket's name {name:?} must be 1 to 64 of a-z, 0-9, - and _");
        let instead = slug(name).unwrap_or_else(|| "notes".into());
        problems.error(at, message).help("for example").write(line(&instead));
    }
}
