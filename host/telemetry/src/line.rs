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
    /// What an access line as text begins with, in the order of [`COLUMNS`].
    columns: [String; COLUMNS.len()],
}

/// The fields whose values an access line as text begins with, without their names.
const COLUMNS: [&str; 5] = ["method", "path", "status", "duration_us", "plugin"];

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
            Style::Json => {
                self.head.push_str("{\"timestamp\":\"");
                push_timestamp(&mut self.head, since_epoch);
                self.head.push_str("\",\"level\":\"");
                self.head.push_str(level.as_str());
                self.head.push_str("\",\"target\":\"");
                self.head.push_str(target);
                self.head.push('"');
            }
        }
    }

    /// Starts an access line as text, which needs no level and no target: it is known by its form.
    pub(crate) fn begin_access_text(&mut self, since_epoch: Duration) {
        self.head.clear();
        self.fields.clear();
        self.block.clear();
        self.columns.iter_mut().for_each(String::clear);
        push_timestamp(&mut self.head, since_epoch);
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

    /// A field of an access line as text.
    pub(crate) fn access_field(&mut self, name: &str, value: Value<'_>) {
        match COLUMNS.iter().position(|column| *column == name) {
            Some(column) => push_column(&mut self.columns[column], value),
            None => self.field(Style::Text, name, value),
        }
    }

    /// Ends an access line as text; the result has its line break. What is missing is a `-`.
    pub(crate) fn end_access_text(&mut self) -> &str {
        for column in &self.columns {
            self.head.push(' ');
            self.head.push_str(if column.is_empty() { "-" } else { column });
        }
        self.end(Style::Text)
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

/// What a field may hold.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Str(&'a str),
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

fn push_json(out: &mut String, value: Value<'_>) {
    let _ = match value {
        Value::Str(text) => {
            out.push('"');
            let _ = Escape { out, rule: Rule::Json }.write_str(text);
            out.push('"');
            Ok(())
        }
        Value::Debug(value) => {
            out.push('"');
            let _ = write!(Escape { out, rule: Rule::Json }, "{value:?}");
            out.push('"');
            Ok(())
        }
        Value::Number(number) => write!(out, "{number}"),
        Value::Unsigned(number) => out.write_str(itoa::Buffer::new().format(number)),
        // RFC 8259 has no numbers for these.
        Value::Float(float) if !float.is_finite() => out.write_str("null"),
        Value::Float(float) => write!(out, "{float}"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Micros(micros) => write!(out, "{micros}"),
    };
}

fn push_text(out: &mut String, value: Value<'_>) {
    let _ = match value {
        Value::Str(text) => push_quoted(out, b" \"\\=", |out| out.write_str(text)),
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
fn push_column(out: &mut String, value: Value<'_>) {
    let _ = match value {
        Value::Str(text) => push_quoted(out, b" \"\\", |out| out.write_str(text)),
        Value::Debug(value) => push_quoted(out, b" \"\\", |out| write!(out, "{value:?}")),
        value => {
            push_text(out, value);
            Ok(())
        }
    };
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
        // Nearly every value is plain ASCII: a look at all bytes, without a branch for each, and one copy.
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
        if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
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

/// Characters that a terminal or a viewer acts on instead of showing them: controls, line and paragraph
/// separators, and the bidirectional ones that make text read in another order (CVE-2021-42574).
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
