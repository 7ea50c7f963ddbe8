//! What a log line looks like, in both formats.
//!
//! ```text
//! 2026-11-23T12:00:01.123Z  INFO wharf::app: listening address=127.0.0.1:8080
//! {"timestamp":"2026-11-23T12:00:01.123Z","level":"INFO","target":"wharf::app","message":"listening","address":"127.0.0.1:8080"}
//! ```
//!
//! Invariant: nothing that a client or a guest sends can begin a line, end one, or add a field to one.
//! Control and bidirectional formatting characters are escaped everywhere. The only line breaks inside a
//! text event are those of its message and of a field named `backtrace`, and the lines after them start
//! with `    | `, which no event starts with.

use std::fmt::{self, Write};
use std::time::Duration;

use tracing::Level;

use crate::clock::push_timestamp;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Text,
    Json,
}

/// Buffers that are used again for each line of a thread.
#[derive(Default)]
pub(crate) struct Line {
    /// The line so far: head and message. The whole line after [`Line::end`].
    head: String,
    /// The fields, which may have been recorded before the message.
    fields: String,
    /// A backtrace in a text line: after everything else.
    block: String,
}

impl Line {
    /// Starts a line with its time, level and target.
    pub(crate) fn begin(&mut self, style: Style, since_epoch: Duration, level: Level, target: &str) {
        self.head.clear();
        self.fields.clear();
        self.block.clear();
        match style {
            Style::Text => {
                push_timestamp(&mut self.head, since_epoch);
                self.head.push_str(match level {
                    Level::ERROR => " ERROR ",
                    Level::WARN => "  WARN ",
                    Level::INFO => "  INFO ",
                    Level::DEBUG => " DEBUG ",
                    Level::TRACE => " TRACE ",
                });
                self.head.push_str(target);
                self.head.push(':');
            }
            Style::Json => push_json_head(&mut self.head, since_epoch, level.as_str(), target),
        }
    }

    /// The text of the event.
    pub(crate) fn message(&mut self, style: Style, message: &dyn fmt::Debug) {
        match style {
            Style::Text => {
                self.head.push(' ');
                let _ = write!(Escape { out: &mut self.head, rule: Rule::Block }, "{message:?}");
            }
            Style::Json => {
                self.head.push_str(",\"message\":\"");
                let _ = write!(Escape { out: &mut self.head, rule: Rule::Json }, "{message:?}");
                self.head.push('"');
            }
        }
    }

    /// A named value.
    pub(crate) fn field(&mut self, style: Style, name: &str, value: Value<'_>) {
        let block = &mut Escape { out: &mut self.block, rule: Rule::Block };
        let _ = match (style, name, value) {
            (Style::Text, "backtrace", Value::Debug(frames)) => write!(block, "\n{frames:?}"),
            (Style::Text, "backtrace", Value::Str(frames)) => write!(block, "\n{frames}"),
            _ => {
                push_field(&mut self.fields, style, name, value);
                Ok(())
            }
        };
    }

    /// Fields that [`push_field`] wrote earlier, of a span.
    pub(crate) fn written_fields(&mut self, fields: &str) {
        self.fields.push_str(fields);
    }

    /// Ends the line; the result has its line break.
    pub(crate) fn end(&mut self, style: Style) -> &str {
        self.head.push_str(&self.fields);
        if !self.block.is_empty() {
            self.head.push_str(self.block.trim_end_matches("\n    | "));
        }
        self.head.push_str(if style == Style::Json { "}\n" } else { "\n" });
        &self.head
    }
}

/// Begins a line as JSON: what every one of them has.
pub(crate) fn push_json_head(out: &mut String, since_epoch: Duration, level: &str, target: &str) {
    out.push_str("{\"timestamp\":\"");
    push_timestamp(out, since_epoch);
    out.push_str("\",\"level\":\"");
    out.push_str(level);
    out.push_str("\",\"target\":\"");
    out.push_str(target);
    out.push('"');
}

/// What a field may hold.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Str(&'a str),
    /// A text that is known to need neither escapes nor quotes.
    Plain(&'a str),
    Debug(&'a dyn fmt::Debug),
    Number(&'a dyn fmt::Display),
    /// What nearly all numbers are: written without the formatter.
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    /// Microseconds; text shows them in a unit that fits.
    Micros(u64),
}

/// Appends ` name=value`, or `,"name":value`.
pub(crate) fn push_field(out: &mut String, style: Style, name: &str, value: Value<'_>) {
    match (style, value) {
        (Style::Text, value) => {
            out.push(' ');
            out.push_str(name);
            out.push('=');
            push_text(out, value);
        }
        (Style::Json, value) => {
            out.push_str(",\"");
            // The names of the head are taken; a key that occurs twice is read differently by each parser.
            if matches!(name, "timestamp" | "level" | "target") {
                out.push_str("field_");
            }
            out.push_str(name);
            out.push_str("\":");
            push_json(out, value);
        }
    }
}

pub(crate) fn push_json(out: &mut String, value: Value<'_>) {
    let _ = match value {
        Value::Str(text) => {
            out.push('"');
            let _ = Escape { out, rule: Rule::Json }.write_str(text);
            out.push('"');
            Ok(())
        }
        Value::Plain(text) => {
            push_plain_json(out, text);
            Ok(())
        }
        Value::Debug(value) => {
            out.push('"');
            let _ = write!(Escape { out, rule: Rule::Json }, "{value:?}");
            out.push('"');
            Ok(())
        }
        Value::Number(number) => write!(out, "{number}"),
        Value::Unsigned(number) | Value::Micros(number) => out.write_str(itoa::Buffer::new().format(number)),
        // RFC 8259 has no numbers for these.
        Value::Float(float) if !float.is_finite() => out.write_str("null"),
        Value::Float(float) => write!(out, "{float}"),
        Value::Bool(flag) => out.write_str(if flag { "true" } else { "false" }),
    };
}

/// Appends a [`Value::Plain`].
#[inline(always)]
pub(crate) fn push_plain_json(out: &mut String, text: &str) {
    debug_assert!(is_plain(text.as_bytes()), "{text:?} needs an escape");
    out.push('"');
    out.push_str(text);
    out.push('"');
}

fn push_text(out: &mut String, value: Value<'_>) {
    let _ = match value {
        Value::Str(text) => push_quoted(out, b" \"\\=", |out| out.write_str(text)),
        Value::Plain(text) => out.write_str(text),
        Value::Debug(value) => push_quoted(out, b" \"\\=", |out| write!(out, "{value:?}")),
        Value::Number(number) => write!(out, "{number}"),
        Value::Unsigned(number) => out.write_str(itoa::Buffer::new().format(number)),
        Value::Float(float) => write!(out, "{float}"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Micros(us @ ..1_000) => write!(out, "{us}us"),
        Value::Micros(us @ ..1_000_000) => write!(out, "{}.{}ms", us / 1_000, us / 100 % 10),
        Value::Micros(us) => write!(out, "{}.{}s", us / 1_000_000, us / 100_000 % 10),
    };
}

/// A value that stands by itself: an `=` in it, as in a query, needs no quotes.
pub(crate) fn push_column(out: &mut String, value: Value<'_>) {
    match value {
        Value::Str("") => out.push('-'),
        Value::Str(text) => {
            let _ = push_quoted(out, b" \"\\", |out| out.write_str(text));
        }
        value => push_text(out, value),
    }
}

/// Writes a value in quotes, unless it is without them as unambiguous as it is with them: not empty, and
/// with none of the `ambiguous` bytes.
fn push_quoted(
    out: &mut String,
    ambiguous: &[u8],
    write: impl FnOnce(&mut Escape<'_>) -> fmt::Result,
) -> fmt::Result {
    let start = out.len();
    out.push('"');
    write(&mut Escape { out, rule: Rule::Quoted })?;
    let written = &out.as_bytes()[start + 1..];
    if written.is_empty() || written.iter().any(|byte| ambiguous.contains(byte)) {
        out.push('"');
    } else {
        out.remove(start);
    }
    Ok(())
}

/// Which characters are replaced, and by what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A JSON string (RFC 8259, section 7).
    Json,
    /// A quoted value of a text line.
    Quoted,
    /// Free text: line breaks stay, and what follows them is marked.
    Block,
}

/// Escapes what passes through it.
struct Escape<'a> {
    out: &'a mut String,
    rule: Rule,
}

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly every value is plain ASCII: one look at all of it, and one copy.
        if is_plain(text.as_bytes()) {
            self.out.push_str(text);
            return Ok(());
        }
        text.chars().try_for_each(|char| self.write_char(char))
    }

    fn write_char(&mut self, char: char) -> fmt::Result {
        match (self.rule, char) {
            (Rule::Json | Rule::Quoted, '"') => self.out.push_str("\\\""),
            (Rule::Json | Rule::Quoted, '\\') => self.out.push_str("\\\\"),
            (Rule::Block, '\n') => self.out.push_str("\n    | "),
            (_, '\n') => self.out.push_str("\\n"),
            (_, '\r') => self.out.push_str("\\r"),
            (_, '\t') => self.out.push_str("\\t"),
            (Rule::Json, char) if is_unsafe(char) => return write!(self.out, "\\u{:04x}", char as u32),
            (_, char) if is_unsafe(char) => return write!(self.out, "\\u{{{:x}}}", char as u32),
            (_, char) => self.out.push(char),
        }
        Ok(())
    }
}

/// Whether all of it is visible ASCII or a space, and needs no escape.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    // Without a branch for each byte.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    text.iter().fold(true, |plain, byte| plain & is_plain(*byte))
}

/// Characters that a terminal or a viewer acts on instead of showing them: controls, line and paragraph
/// separators, and the bidirectional ones that make text read in another order (CVE-2021-42574).
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_needs_an_escape_is_found_wherever_it_stands() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let plain = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), plain, "byte {byte:#x} at {at} of {length}");
                }
            }
        }
        assert!(is_plain(b""));
    }
}
