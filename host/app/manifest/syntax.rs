use toml::Spanned;
use toml::de::{DeTable, Error};

use super::section::Problems;
use super::source::{Source, Span};

/// The tree of values, and whether it can be trusted: after an error of grammar it has gaps that would be
/// reported as missing keys.
pub(super) struct Parsed<'s> {
    pub(super) root: Spanned<DeTable<'s>>,
    pub(super) complete: bool,
}

/// Parses the text and turns the parser's errors into diagnostics, one for each line.
pub(super) fn parse<'s>(problems: &mut Problems<'s>) -> Parsed<'s> {
    let (root, errors) = DeTable::parse_recoverable(&problems.source.text);
    let mut lines = Vec::new();
    let mut complete = true;
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        let line = problems.source.place(&at).line;
        // What follows in the same line is mostly a consequence of the first.
        if lines.contains(&line) {
            continue;
        }
        lines.push(line);
        complete &= is_duplicate(error);
        let Explained { message, help, write } = explain(error, problems.source, &at);
        let problem = problems.error(&at, message).help(help);
        if let Some(line) = write {
            problem.write(line);
        }
    }
    Parsed { root, complete }
}

fn is_duplicate(error: &Error) -> bool {
    error.message().starts_with("duplicate key")
}

struct Explained {
    message: String,
    help: &'static str,
    write: Option<String>,
}

/// What is usually behind an error, and the line to write; the parser's own words for the rest.
fn explain(error: &Error, source: &Source, at: &Span) -> Explained {
    let explained =
        |message: &str, help, write: Option<String>| Explained { message: message.to_owned(), help, write };
    if is_duplicate(error) {
        let name = source.text.get(at.clone()).unwrap_or_default().trim_matches(['[', ']']);
        let help = "keep one of the two. A section is opened once; further routes are [[route]]";
        return explained(&format!("`{name}` is there twice"), help, None);
    }
    // A comment is not worth a parser here: with one, the line to write has it too.
    let line = source.place(at).text;
    let line = line.trim();
    match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
        _ if line.starts_with('[') && !line.contains(']') => {
            let (open, name) = line.split_at(line.len() - line.trim_start_matches('[').len());
            let close = "]".repeat(open.len());
            explained(
                "the section's name has no closing bracket",
                "write",
                Some(format!("{open}{name}{close}")),
            )
        }
        Some((key, "")) if !key.is_empty() => {
            explained(&format!("`{key}` has no value"), "give it one, or remove the line", None)
        }
        Some((key, value)) if value.starts_with('"') && value.matches('"').count() == 1 => {
            explained("the string has no closing quote", "write", Some(format!("{key} = {value}\"")))
        }
        Some((key, value))
            if value.starts_with(|char: char| char.is_alphanumeric()) && !value.contains('"') =>
        {
            explained("a string must be in double quotes", "write", Some(format!("{key} = \"{value}\"")))
        }
        _ => {
            let message = format!("this is not TOML: {}", error.message());
            explained(
                &message,
                "a line is `key = value`, or a section such as [app]; a string is in double quotes",
                None,
            )
        }
    }
}
