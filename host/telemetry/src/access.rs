//! Access lines: one for each request, which is why they do not go through `tracing`.
//!
//! An event with as many fields, visited one by one through vtables, and its way through the layers of a subscriber
//! were a twelfth of the instructions of a warm call. Here the fields are known when the host is compiled.

use std::cell::RefCell;
use std::time::Duration;

use crate::clock::push_timestamp;
use crate::layer::since_epoch;
use crate::line::{
    Style, Value, is_plain, push_column, push_field, push_json, push_json_head, push_plain_json,
};
use crate::sink::Lines;

/// The target of access lines.
///
/// In the text format a line is its time and the values of the columns, and then the fields as `name=value`; of a
/// column that is empty it has a `-`. The JSON format has every column and every field by its name, in the same order.
pub const ACCESS: &str = "wharf::access";

/// Where access lines are written. Cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    style: Style,
    lines: Lines,
    /// The time since 1970-01-01; tests stop it.
    now: fn() -> Duration,
}

/// A line that is being written: first its columns, then its fields, each name once.
///
/// What a client or a guest has sent is a value, never a name; see `line.rs` for what no value can do.
pub struct AccessLine<'a> {
    style: Style,
    out: &'a mut String,
}

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl AccessLog {
    pub(crate) fn new(style: Style, lines: Lines) -> Self {
        AccessLog { style, lines, now: since_epoch }
    }

    /// Writes one line, of what `fill` puts into it. Never waits.
    pub fn write(&self, fill: impl FnOnce(&mut AccessLine<'_>)) {
        LINE.with_borrow_mut(|out| {
            out.clear();
            match self.style {
                Style::Json => push_json_head(out, (self.now)(), "INFO", ACCESS),
                // It is known by its form.
                Style::Text => push_timestamp(out, (self.now)()),
            }
            fill(&mut AccessLine { style: self.style, out });
            out.push_str(if self.style == Style::Json { "}\n" } else { "\n" });
            self.lines.push(out.as_bytes());
        });
    }
}

/// The name of a column or a field, as [`name!`](crate::name) makes it.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    text: &'static str,
    /// What is before the value in JSON.
    json: &'static str,
}

impl Name {
    #[doc(hidden)]
    pub const fn new(text: &'static str, json: &'static str) -> Self {
        Name { text, json }
    }
}

/// A [`Name`]. All that is written of it is put together by the compiler.
#[macro_export]
macro_rules! name {
    ($name:literal) => {
        $crate::Name::new($name, ::std::concat!(",\"", $name, "\":"))
    };
}

// Inlined, so that a name is a few moves and no call: there are fifteen of them in each line.
impl AccessLine<'_> {
    /// A column that is a text.
    #[inline(always)]
    pub fn column(&mut self, name: Name, value: &str) {
        self.add_column(name, Value::Str(value));
    }

    /// A column that is a text of letters, digits and marks, as [`AccessLine::plain`] says.
    #[inline(always)]
    pub fn plain_column(&mut self, name: Name, value: &str) {
        self.add_column(name, Value::Plain(value));
    }

    /// A column that is a number.
    #[inline(always)]
    pub fn number_column(&mut self, name: Name, value: u64) {
        self.add_column(name, Value::Unsigned(value));
    }

    /// A column that is a time, whose name ends in `_us`: microseconds, which the text format shows in a unit that fits.
    #[inline(always)]
    pub fn duration_column(&mut self, name: Name, value: Duration) {
        self.add_column(name, Value::Micros(u64::try_from(value.as_micros()).unwrap_or(u64::MAX)));
    }

    /// A field that is a text.
    #[inline(always)]
    pub fn field(&mut self, name: Name, value: &str) {
        self.add_field(name, Value::Str(value));
    }

    /// A field that is a text of letters, digits and marks: not empty, and without blanks, quotes, `\` and `=`. It is written
    /// as it is.
    #[inline(always)]
    pub fn plain(&mut self, name: Name, value: &str) {
        self.add_field(name, Value::Plain(value));
    }

    /// A field that is a number.
    #[inline(always)]
    pub fn number(&mut self, name: Name, value: u64) {
        self.add_field(name, Value::Unsigned(value));
    }

    /// A field that is true or false.
    #[inline(always)]
    pub fn flag(&mut self, name: Name, value: bool) {
        self.add_field(name, Value::Bool(value));
    }

    #[inline(always)]
    fn add_column(&mut self, name: Name, value: Value<'_>) {
        match self.style {
            Style::Json => self.add_json(name, value),
            Style::Text => {
                self.out.push(' ');
                push_column(self.out, value);
            }
        }
    }

    #[inline(always)]
    fn add_field(&mut self, name: Name, value: Value<'_>) {
        match self.style {
            Style::Json => self.add_json(name, value),
            Style::Text => push_field(self.out, Style::Text, name.text, value),
        }
    }

    #[inline(always)]
    fn add_json(&mut self, name: Name, value: Value<'_>) {
        let taken = matches!(name.text, "timestamp" | "level" | "target");
        debug_assert!(!taken, "{} is in the head already", name.text);
        self.out.push_str(name.json);
        match value {
            Value::Plain(text) => push_plain_json(self.out, text),
            // Nearly all are: then there is no call but that which copies.
            Value::Str(text) if is_plain(text.as_bytes()) => push_plain_json(self.out, text),
            Value::Bool(flag) => self.out.push_str(if flag { "true" } else { "false" }),
            value => push_json(self.out, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::HOSTILE;
    use crate::sink::{Collected, Sink};

    /// What is written in `style`, at 2026-11-23T12:00:01.123Z.
    fn written(style: Style, fill: impl FnOnce(&mut AccessLine<'_>)) -> String {
        let out = Collected::default();
        let sink = Sink::start(out.clone(), || ()).expect("a thread can be started");
        let now = || Duration::from_millis(1_795_435_201_123);
        AccessLog { style, lines: sink.lines(), now }.write(fill);
        drop(sink);
        out.text()
    }

    fn filled(line: &mut AccessLine<'_>) {
        line.column(name!("method"), "GET");
        line.column(name!("path"), "/notes/7?a=b");
        line.number_column(name!("status"), 200);
        line.duration_column(name!("duration_us"), Duration::from_micros(1_234));
        line.column(name!("plugin"), "");
        line.field(name!("request_id"), "abc");
        line.number(name!("bytes"), 14);
        line.flag(name!("cut"), false);
    }

    #[test]
    fn a_line_is_compact_as_text_and_complete_as_json() {
        assert_eq!(
            written(Style::Text, filled),
            "2026-11-23T12:00:01.123Z GET /notes/7?a=b 200 1.2ms - request_id=abc bytes=14 cut=false\n"
        );
        assert_eq!(
            written(Style::Json, filled),
            concat!(
                r#"{"timestamp":"2026-11-23T12:00:01.123Z","level":"INFO","target":"wharf::access","#,
                r#""method":"GET","path":"/notes/7?a=b","status":200,"duration_us":1234,"plugin":"","#,
                r#""request_id":"abc","bytes":14,"cut":false}"#,
                "\n",
            )
        );
    }

    #[test]
    fn durations_are_shown_in_a_unit_that_fits() {
        for (us, shown) in [
            (0, "0us"),
            (999, "999us"),
            (1_000, "1.0ms"),
            (999_999, "999.9ms"),
            (1_000_000, "1.0s"),
            (61_500_000, "61.5s"),
        ] {
            let line = written(Style::Text, |line| {
                line.duration_column(name!("took_us"), Duration::from_micros(us))
            });
            assert_eq!(line, format!("2026-11-23T12:00:01.123Z {shown}\n"));
        }
    }

    #[test]
    fn a_client_cannot_forge_a_line() {
        let hostile = |line: &mut AccessLine<'_>| {
            line.column(name!("path"), HOSTILE);
            line.field(name!("agent"), HOSTILE);
        };
        let escaped = r#""/a\r\n2026-11-23T12:00:01.123Z ERROR x: y\u{1b}[31m\u{202e}\u{85}\u{2028}\u{0} \" status=200 \\""#;
        assert_eq!(
            written(Style::Text, hostile),
            format!("2026-11-23T12:00:01.123Z {escaped} agent={escaped}\n")
        );

        let line = written(Style::Json, hostile);
        assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).expect("valid JSON");
        assert_eq!((&object["path"], &object["agent"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert_eq!(object.as_object().map(|object| object.len()), Some(5));
    }
}
