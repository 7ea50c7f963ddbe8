use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, SystemTime};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::line::{Line, Style, Value, push_field};
use crate::sink::Lines;

/// Formats events and hands them to the sink. Fields of the spans around an event are added to it, the
/// outermost first.
pub(crate) struct LogLayer {
    style: Style,
    lines: Lines,
    /// The time since 1970-01-01; tests stop it.
    now: fn() -> Duration,
}

impl LogLayer {
    pub(crate) fn new(style: Style, lines: Lines) -> Self {
        LogLayer { style, lines, now: since_epoch }
    }

    #[cfg(test)]
    pub(crate) fn at(style: Style, lines: Lines, now: fn() -> Duration) -> Self {
        LogLayer { style, lines, now }
    }
}

/// Zero for a clock that is set before 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The fields of a span, as they are appended to its events.
struct SpanFields(String);

thread_local! {
    static LINE: RefCell<Line> = RefCell::default();
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = String::new();
        attributes.record(&mut SpanVisitor { style: self.style, fields: &mut fields });
        span.extensions_mut().insert(SpanFields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            values.record(&mut SpanVisitor { style: self.style, fields });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => self.log(&mut line, event, &context),
            // An event from within the formatting of an event: rare enough for a buffer of its own.
            Err(_) => self.log(&mut Line::default(), event, &context),
        });
    }
}

impl LogLayer {
    fn log<S>(&self, line: &mut Line, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        line.begin(self.style, (self.now)(), *metadata.level(), metadata.target());
        event.record(&mut EventVisitor { style: self.style, line });
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(SpanFields(fields)) = span.extensions().get() {
                    line.written_fields(fields);
                }
            }
        }
        self.lines.push(line.end(self.style).as_bytes());
    }
}

struct EventVisitor<'a> {
    style: Style,
    line: &'a mut Line,
}

impl EventVisitor<'_> {
    fn value(&mut self, field: &Field, value: Value<'_>) {
        match (field.name(), value) {
            ("message", Value::Debug(text)) => self.line.message(self.style, text),
            ("message", Value::Str(text)) => self.line.message(self.style, &format_args!("{text}")),
            (name, value) => self.line.field(self.style, name, value),
        }
    }
}

struct SpanVisitor<'a> {
    style: Style,
    fields: &'a mut String,
}

impl SpanVisitor<'_> {
    fn value(&mut self, field: &Field, value: Value<'_>) {
        push_field(self.fields, self.style, field.name(), value);
    }
}

/// Both visitors turn what is recorded into a [`Value`].
macro_rules! visit_as_value {
    ($visitor:ident) => {
        impl Visit for $visitor<'_> {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.value(field, Value::Str(value));
            }

            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.value(field, Value::Debug(value));
            }

            fn record_u64(&mut self, field: &Field, value: u64) {
                self.value(field, Value::Unsigned(value));
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                self.value(field, Value::Number(&value));
            }

            fn record_u128(&mut self, field: &Field, value: u128) {
                self.value(field, Value::Number(&value));
            }

            fn record_i128(&mut self, field: &Field, value: i128) {
                self.value(field, Value::Number(&value));
            }

            fn record_f64(&mut self, field: &Field, value: f64) {
                self.value(field, Value::Float(value));
            }

            fn record_bool(&mut self, field: &Field, value: bool) {
                self.value(field, Value::Bool(value));
            }

            fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
                self.value(field, Value::Debug(&Chain(value)));
            }
        }
    };
}

visit_as_value!(EventVisitor);
visit_as_value!(SpanVisitor);

/// An error and what caused it, as one text: `cannot read x: permission denied`.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
