use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::keys::{self, KEYS, Key, Kind, LATER};
use super::source::{Source, Span};
use super::units::{parse_duration, parse_size, show_duration, show_size};
use wharf_call::suggest::nearest;

/// Collects what is wrong, so that reading can go on.
pub(super) struct Problems<'s> {
    pub(super) source: &'s Source,
    pub(super) list: Diagnostics,
}

impl Problems<'_> {
    pub(super) fn error(&mut self, at: &Span, message: impl Into<String>) -> &mut Diagnostic {
        self.list.push(Diagnostic::at(self.source, Severity::Error, at, message))
    }

    pub(super) fn warning(&mut self, at: &Span, message: impl Into<String>) -> &mut Diagnostic {
        self.list.push(Diagnostic::at(self.source, Severity::Warning, at, message))
    }
}

/// A value and where it stands.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

/// One table of the manifest. Every key that is asked for is in [`KEYS`], which has its type and range; every
/// key that is not there is an error.
pub(super) struct Section<'t> {
    /// As in [`KEYS`]: `plugin.NAME.limits`.
    id: &'static str,
    /// As in the manifest: `plugin.notes.limits`.
    pub(super) name: String,
    /// Its header, or the key that holds it.
    pub(super) at: Span,
    table: Option<&'t DeTable<'t>>,
}

impl<'t> Section<'t> {
    /// The section that `value` holds, which need not exist.
    pub(super) fn open(
        problems: &mut Problems<'_>,
        id: &'static str,
        name: String,
        entry: Option<(Span, &'t Spanned<DeValue<'t>>)>,
    ) -> Self {
        let Some((at, value)) = entry else { return Section { id, name, at: 0..0, table: None } };
        let table = value.get_ref().as_table();
        if table.is_none() {
            let message = format!("`{name}` must be a section, not {}", a(value.get_ref()));
            problems.error(&at, message).help("write it as").write(format!("[{name}]"));
        }
        let section = Section { id, name, at, table };
        section.refuse_unknown(problems);
        section
    }

    pub(super) fn of_table(
        problems: &mut Problems<'_>,
        id: &'static str,
        name: String,
        at: Span,
        table: &'t DeTable<'t>,
    ) -> Self {
        let section = Section { id, name, at, table: Some(table) };
        section.refuse_unknown(problems);
        section
    }

    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
    }

    pub(super) fn entry(&self, key: &str) -> Option<(Span, &'t Spanned<DeValue<'t>>)> {
        self.table?.get_key_value(key).map(|(key, value)| (key.span(), value))
    }

    fn refuse_unknown(&self, problems: &mut Problems<'_>) {
        for (key, value) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if keys::of(self.id).any(|known| known.name == name) {
                continue;
            }
            let place = format!("[{}]", self.name);
            if let Some((_, _, instead)) =
                LATER.iter().find(|(id, later, _)| *id == self.id && *later == name)
            {
                problems
                    .error(
                        &key.span(),
                        format!("`{name}` in {place} is not supported by this version of wharf"),
                    )
                    .help(format!("remove it: {instead}"));
                continue;
            }
            let known: Vec<_> = keys::of(self.id).map(|key| key.name).collect();
            let written = problems.source.text.get(value.span()).unwrap_or_default();
            let problem = problems.error(&key.span(), format!("unknown key `{name}` in {place}"));
            match (nearest(name, known.iter().copied()), KEYS.iter().find(|key| key.name == name)) {
                (Some(near), _) => problem
                    .help(format!("did you mean `{near}`?"))
                    .write(format!("{near} = {}", one_line(written))),
                (None, Some(elsewhere)) => problem
                    .help("it belongs in another section")
                    .write(format!("[{}]", elsewhere.section))
                    .write(format!("{name} = {}", one_line(written))),
                (None, None) => problem.help(format!("the keys here are {}", known.join(", "))),
            };
        }
    }

    fn known(&self, name: &str) -> &'static Key {
        keys::of(self.id)
            .find(|key| key.name == name)
            .expect("the reader asks for keys of its own table only")
    }

    /// Reads a value with `read`; its error is what is wrong, to be read after the key's name, and the value
    /// to write instead of the usual example.
    fn get<T>(
        &self,
        problems: &mut Problems<'_>,
        name: &str,
        read: impl FnOnce(&'t DeValue<'t>, Kind) -> Result<T, Wrong>,
    ) -> Option<Found<T>> {
        let key = self.known(name);
        let (_, value) = self.entry(name)?;
        let at = value.span();
        match read(value.get_ref(), key.kind) {
            Ok(value) => Some(Found { value, at }),
            Err(Wrong { what, instead }) => {
                let instead = instead.unwrap_or_else(|| key.example.to_owned());
                problems
                    .error(&at, format!("`{name}` {what}"))
                    .help(format!("write {}, for example", key.kind))
                    .write(format!("{name} = {instead}"));
                None
            }
        }
    }

    /// A key without which the section makes no sense.
    pub(super) fn required<T>(
        &self,
        problems: &mut Problems<'_>,
        name: &str,
        found: Option<Found<T>>,
    ) -> Option<Found<T>> {
        // A misspelt key has its own message, which says the same.
        let misspelt = || {
            let known: Vec<_> = keys::of(self.id).map(|key| key.name).collect();
            self.table.into_iter().flatten().any(|(key, _)| {
                let key: &str = key.get_ref();
                !known.contains(&key) && nearest(key, known.iter().copied()) == Some(name)
            })
        };
        if found.is_none() && self.table.is_some() && self.entry(name).is_none() && !misspelt() {
            let key = self.known(name);
            let message = format!("`{name}` is missing in [{}]", self.name);
            problems.error(&self.at, message).help("add the line").write(format!("{name} = {}", key.example));
        }
        found
    }

    pub(super) fn text(&self, problems: &mut Problems<'_>, name: &str) -> Option<Found<String>> {
        self.get(problems, name, |value, kind| text(value, kind).map(str::to_owned))
    }

    /// A string with a form of its own. The error of `parse` is what is wrong and, if that is known, the
    /// string to write instead.
    pub(super) fn parsed<T>(
        &self,
        problems: &mut Problems<'_>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, (String, Option<String>)>,
    ) -> Option<Found<T>> {
        self.get(problems, name, |value, kind| {
            parse(text(value, kind)?).map_err(|(what, instead)| Wrong {
                what,
                instead: instead.map(|text| toml::Value::String(text).to_string()),
            })
        })
    }

    pub(super) fn flag(&self, problems: &mut Problems<'_>, name: &str) -> Option<bool> {
        let read = |value: &DeValue<'_>, kind| value.as_bool().ok_or_else(|| Wrong::kind(value, kind));
        self.get(problems, name, read).map(|found| found.value)
    }

    pub(super) fn address(&self, problems: &mut Problems<'_>, name: &str) -> Option<Found<SocketAddr>> {
        self.get(problems, name, |value, kind| {
            let text = text(value, kind)?;
            text.parse().map_err(|_| {
                let instead = match text.rsplit_once(':') {
                    Some(("localhost", port)) => Some(format!("127.0.0.1:{port}")),
                    Some(("", port)) => Some(format!("0.0.0.0:{port}")),
                    None if text.parse::<u16>().is_ok() => Some(format!("127.0.0.1:{text}")),
                    _ => None,
                };
                let what = format!("is {text:?}, which is not an IP address with a port");
                let instead = instead.filter(|text| text.parse::<SocketAddr>().is_ok());
                Wrong { what, instead: instead.map(|text| format!("{text:?}")) }
            })
        })
    }

    pub(super) fn size(&self, problems: &mut Problems<'_>, name: &str) -> Option<Found<u64>> {
        self.get(problems, name, |value, kind| {
            let Kind::Size(min, max) = kind else { return Err(Wrong::kind(value, kind)) };
            let bytes = match value {
                DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                    Ok(negative @ ..0) => {
                        return Err(Wrong::new(format!("must not be negative, but is {negative}")));
                    }
                    other => other.ok().and_then(|number| u64::try_from(number).ok()).unwrap_or(u64::MAX),
                },
                DeValue::String(text) => parse_size(text).map_err(|what| Wrong {
                    what: format!("is {text:?}, {what}"),
                    instead: corrected(text, parse_size).map(|text| format!("{text:?}")),
                })?,
                other => return Err(Wrong::kind(other, kind)),
            };
            in_range(bytes, min, max, show_size)
        })
    }

    pub(super) fn duration(&self, problems: &mut Problems<'_>, name: &str) -> Option<Duration> {
        let found = self.get(problems, name, |value, kind| {
            let Kind::Time(min, max) = kind else { return Err(Wrong::kind(value, kind)) };
            let duration = match value {
                DeValue::Integer(number) => {
                    let what = format!("is {number}, but a duration needs a unit: ms, s, m or h");
                    let positive = number.as_str().parse::<u32>().is_ok();
                    return Err(Wrong { what, instead: positive.then(|| format!("\"{number}s\"")) });
                }
                DeValue::String(text) => parse_duration(text).map_err(|what| Wrong {
                    what: format!("is {text:?}, {what}"),
                    instead: corrected(text, parse_duration).map(|text| format!("{text:?}")),
                })?,
                other => return Err(Wrong::kind(other, kind)),
            };
            let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            in_range(ms, min, max, |ms| show_duration(Duration::from_millis(ms)))
        });
        found.map(|found| Duration::from_millis(found.value))
    }

    pub(super) fn count(&self, problems: &mut Problems<'_>, name: &str) -> Option<Found<u64>> {
        self.get(problems, name, |value, kind| {
            let (Kind::Count(min, max), DeValue::Integer(number)) = (kind, value) else {
                return Err(Wrong::kind(value, kind));
            };
            match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(negative @ ..0) => Err(Wrong::new(format!("must not be negative, but is {negative}"))),
                Ok(number) => {
                    in_range(u64::try_from(number).unwrap_or(u64::MAX), min, max, |n| n.to_string())
                }
                Err(_) => in_range(u64::MAX, min, max, |n| n.to_string()),
            }
        })
    }

    pub(super) fn choice(&self, problems: &mut Problems<'_>, name: &str) -> Option<&'static str> {
        let found = self.get(problems, name, |value, kind| {
            let Kind::Choice(names) = kind else { return Err(Wrong::kind(value, kind)) };
            let text = text(value, kind)?;
            names.iter().find(|name| **name == text).copied().ok_or_else(|| Wrong {
                what: format!("is {text:?}, which is not one of its values"),
                instead: nearest(text, names.iter().copied()).map(|near| format!("{near:?}")),
            })
        });
        found.map(|found| found.value)
    }

    /// Strings with their places, so that each can be checked further.
    pub(super) fn texts(&self, problems: &mut Problems<'_>, name: &str) -> Option<Found<Vec<Found<String>>>> {
        let (_, value) = self.entry(name)?;
        let found = self.get(problems, name, |value, kind| {
            value.as_array().ok_or_else(|| match value.as_str() {
                Some(text) => Wrong {
                    what: "must be an array, also for one string".into(),
                    instead: Some(format!("[{text:?}]")),
                },
                None => Wrong::kind(value, kind),
            })
        })?;
        let mut texts = Vec::new();
        for item in found.value {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Found { value: text.to_owned(), at: item.span() }),
                None => {
                    let message = format!("`{name}` must hold strings only, not {}", a(item.get_ref()));
                    let example = self.known(name).example;
                    problems
                        .error(&item.span(), message)
                        .help("for example")
                        .write(format!("{name} = {example}"));
                }
            }
        }
        Some(Found { value: texts, at: value.span() })
    }

    /// What stands in an array of entries, each to be read further.
    pub(super) fn entries(&self, problems: &mut Problems<'_>, name: &str) -> &'t [Spanned<DeValue<'t>>] {
        let found = self.get(problems, name, |value, kind| {
            value.as_array().ok_or_else(|| match value.as_str() {
                Some(text) => Wrong {
                    what: "must be an array, also for one entry".into(),
                    instead: Some(format!("[{text:?}]")),
                },
                None => Wrong::kind(value, kind),
            })
        });
        match found {
            Some(found) => &found.value[..],
            None => &[],
        }
    }

    /// A table of strings. Anything else in it is not converted: what a plugin is given is what is written.
    pub(super) fn text_table(
        &self,
        problems: &mut Problems<'_>,
        name: &str,
    ) -> Option<BTreeMap<String, String>> {
        let table =
            self.get(problems, name, |value, kind| value.as_table().ok_or_else(|| Wrong::kind(value, kind)))?;
        let mut texts = BTreeMap::new();
        for (key, value) in table.value {
            let key: &str = key.get_ref();
            match value.get_ref() {
                DeValue::String(text) => drop(texts.insert(key.to_owned(), text.clone().into_owned())),
                other => {
                    let message = format!("`{name}.{key}` must be a string, not {}", a(other));
                    let problem = problems.error(&value.span(), message);
                    let quoted = match other {
                        DeValue::Integer(number) => Some(number.to_string()),
                        DeValue::Float(number) => Some(number.to_string()),
                        DeValue::Boolean(flag) => Some(flag.to_string()),
                        DeValue::Datetime(time) => Some(time.to_string()),
                        _ => None,
                    };
                    match quoted {
                        Some(text) => problem.help("put it in quotes").write(format!("{key} = {text:?}")),
                        None => problem.help("flatten it into strings, or pass it as one string of JSON"),
                    };
                }
            }
        }
        Some(texts)
    }
}

/// What is wrong with a value, to be read after the key's name.
struct Wrong {
    what: String,
    instead: Option<String>,
}

impl Wrong {
    fn new(what: String) -> Self {
        Wrong { what, instead: None }
    }

    fn kind(value: &DeValue<'_>, kind: Kind) -> Self {
        Wrong::new(format!("must be {kind}, not {}", a(value)))
    }
}

fn text<'t>(value: &'t DeValue<'_>, kind: Kind) -> Result<&'t str, Wrong> {
    match value.as_str() {
        Some("") => Err(Wrong::new("must not be empty".into())),
        Some(text) => Ok(text),
        None => Err(Wrong::kind(value, kind)),
    }
}

fn in_range(value: u64, min: u64, max: u64, show: impl Fn(u64) -> String) -> Result<u64, Wrong> {
    let bound = value.clamp(min, max);
    if bound == value {
        return Ok(value);
    }
    let instead = if show(bound).bytes().all(|byte| byte.is_ascii_digit()) {
        show(bound)
    } else {
        format!("{:?}", show(bound))
    };
    let than =
        if value < min { format!("less than {}", show(min)) } else { format!("more than {}", show(max)) };
    Err(Wrong { what: format!("is {than}"), instead: Some(instead) })
}

/// The text with the usual slips undone, if that helps: spaces, and units in the wrong case or shortened.
fn corrected<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<String> {
    let compact: String = text.chars().filter(|char| !char.is_whitespace() && *char != '_').collect();
    let (number, unit) = compact.split_at(compact.find(|char: char| char.is_ascii_alphabetic())?);
    let units = [
        ("k", "KiB"),
        ("kb", "KB"),
        ("kib", "KiB"),
        ("m", "MiB"),
        ("mb", "MB"),
        ("mib", "MiB"),
        ("g", "GiB"),
        ("gb", "GB"),
        ("gib", "GiB"),
        ("sec", "s"),
        ("secs", "s"),
        ("second", "s"),
        ("seconds", "s"),
        ("min", "m"),
        ("mins", "m"),
        ("minutes", "m"),
        ("hours", "h"),
        ("hour", "h"),
        ("msec", "ms"),
        ("millis", "ms"),
    ];
    let same = [compact.clone(), format!("{number}{}", unit.to_ascii_lowercase())];
    let long = units
        .iter()
        .filter(|(slip, _)| slip.eq_ignore_ascii_case(unit))
        .map(|(_, unit)| format!("{number}{unit}"));
    same.into_iter().chain(long).find(|text| parse(text).is_ok())
}

/// A value as it is written, if it is short; three dots otherwise.
pub(super) fn one_line(written: &str) -> &str {
    if written.contains(char::is_control) || written.chars().count() > 80 { "..." } else { written }
}

/// The type of a value with its article.
pub(super) fn a(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
