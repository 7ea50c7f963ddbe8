use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where something is in the manifest, in bytes.
pub(crate) type Span = Range<usize>;

/// The text of a manifest and the path that its messages name.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A span as a reader of a message needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Counted from 1.
    pub(super) line: usize,
    /// Counted from 1, in characters.
    pub(super) column: usize,
    /// The text of the line, made safe for a terminal.
    pub(super) text: String,
    /// How many characters to underline; at least 1.
    pub(super) width: usize,
}

/// Longer lines are shown without their end.
const LINE_CHARS_MAX: usize = 160;

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// The line in which `span` begins, and the part of the span that is in it.
    pub(super) fn place(&self, span: &Span) -> Place {
        let text = self.text.as_str();
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end).clamp(start, line_end);
        let line = text[line_start..line_end].trim_end_matches('\r');
        Place {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: line.chars().take(LINE_CHARS_MAX).map(shown).collect(),
            width: text[start..end].trim_end().chars().count().max(1),
        }
    }
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One column for each character, and nothing that a terminal acts on.
fn shown(char: char) -> char {
    match char {
        '\t' => ' ',
        char if char.is_control() => char::REPLACEMENT_CHARACTER,
        char => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_and_stays_in_its_line() {
        let source = Source::new(Path::new("wharf.toml"), "a = 1\r\n\tb = \"ü\" c\nd");
        let place = source.place(&(12..16));
        assert_eq!((place.line, place.column, place.width, &*place.text), (2, 6, 3, " b = \"ü\" c"));
        let end = source.place(&(500..900));
        assert_eq!((end.line, end.column, end.width, &*end.text), (3, 2, 1, "d"));
        assert_eq!(source.place(&(0..20)).width, 5);
    }
}
