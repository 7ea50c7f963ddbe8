use std::time::Duration;

use tracing::{error, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::LogLayer;
use crate::line::Style;
use crate::sink::{Collected, Sink};

/// What `events` write in `style`, at 2026-11-23T12:00:01.123Z.
fn logged(style: Style, events: impl FnOnce()) -> String {
    let out = Collected::default();
    let sink = Sink::start(out.clone(), || ()).expect("a thread can be started");
    let now = || Duration::from_millis(1_795_435_201_123);
    let subscriber = tracing_subscriber::registry().with(LogLayer::at(style, sink.lines(), now));
    tracing::subscriber::with_default(subscriber, events);
    drop(sink);
    out.text()
}

fn ordinary() {
    info!(target: "wharf::app", address = %"127.0.0.1:8080", plugins = 2, "listening");
    warn!(target: "wharf::engine", plugin = "notes", cold = true, ratio = 0.5, "no room: {} of {}", 3, 4);
}

#[test]
fn an_event_is_one_readable_line_of_text() {
    assert_eq!(
        logged(Style::Text, ordinary),
        "2026-11-23T12:00:01.123Z  INFO wharf::app: listening address=127.0.0.1:8080 plugins=2\n\
         2026-11-23T12:00:01.123Z  WARN wharf::engine: no room: 3 of 4 plugin=notes cold=true ratio=0.5\n"
    );
}

#[test]
fn an_event_is_one_json_object() {
    assert_eq!(
        logged(Style::Json, ordinary),
        concat!(
            r#"{"timestamp":"2026-11-23T12:00:01.123Z","level":"INFO","target":"wharf::app","message":"listening","address":"127.0.0.1:8080","plugins":2}"#,
            "\n",
            r#"{"timestamp":"2026-11-23T12:00:01.123Z","level":"WARN","target":"wharf::engine","message":"no room: 3 of 4","plugin":"notes","cold":true,"ratio":0.5}"#,
            "\n",
        )
    );
}

/// A path that tries to end the line, to begin another one, to colour the terminal, to turn the text
/// around, and to close the quotes.
pub(crate) const HOSTILE: &str =
    "/a\r\n2026-11-23T12:00:01.123Z ERROR x: y\u{1b}[31m\u{202e}\u{85}\u{2028}\0 \" status=200 \\";

#[test]
fn a_client_cannot_forge_a_line_of_text() {
    let message = logged(Style::Text, || error!(target: "t", "no such path: {HOSTILE}"));
    assert_eq!(
        message,
        concat!(
            "2026-11-23T12:00:01.123Z ERROR t: no such path: /a\\r\n",
            "    | 2026-11-23T12:00:01.123Z ERROR x: y\\u{1b}[31m\\u{202e}\\u{85}\\u{2028}\\u{0} ",
            "\" status=200 \\\n",
        )
    );
}

#[test]
fn a_client_cannot_forge_a_line_of_json() {
    let line = logged(Style::Json, || info!(target: "t", path = HOSTILE, agent = ?HOSTILE, "{HOSTILE}"));
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.bytes().all(|byte| byte == b'\n' || byte >= b' '), "{line}");
    let object: serde_json::Value = serde_json::from_str(&line).expect("valid JSON");
    assert_eq!((&object["path"], &object["message"]), (&HOSTILE.into(), &HOSTILE.into()));
    assert_eq!(object.as_object().map(|object| object.len()), Some(6));
}

#[test]
fn a_field_cannot_take_the_name_of_a_head_field() {
    let line = logged(Style::Json, || info!(target: "t", level = "9", "m"));
    let object: serde_json::Value = serde_json::from_str(&line).expect("valid JSON");
    assert_eq!((&object["level"], &object["field_level"]), (&"INFO".into(), &"9".into()));
}

#[test]
fn numbers_that_json_does_not_have_are_null() {
    let line = logged(Style::Json, || info!(target: "t", ratio = f64::NAN));
    assert!(line.ends_with("\"target\":\"t\",\"ratio\":null}\n"), "{line}");
}

#[test]
fn a_backtrace_is_a_block_that_cannot_be_taken_for_events() {
    let line = logged(Style::Text, || {
        let _call = info_span!("call", request_id = "r").entered();
        error!(target: "t", backtrace = "0: f\n1: g\n", plugin = "n", "trapped");
    });
    assert_eq!(
        line,
        "2026-11-23T12:00:01.123Z ERROR t: trapped plugin=n request_id=r\n    | 0: f\n    | 1: g\n"
    );
}

#[test]
fn events_carry_the_fields_of_the_spans_around_them() {
    let events = || {
        let outer = info_span!("load", plugin = "notes", generation = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("generation", 2);
        let _inner = info_span!("compile", bytes = 10).entered();
        info!(target: "t", took_ms = 3, "compiled");
    };
    assert_eq!(
        logged(Style::Text, events),
        "2026-11-23T12:00:01.123Z  INFO t: compiled took_ms=3 plugin=notes generation=2 bytes=10\n"
    );
    let object: serde_json::Value = serde_json::from_str(&logged(Style::Json, events)).expect("valid JSON");
    assert_eq!(
        (&object["plugin"], &object["generation"], &object["bytes"]),
        (&"notes".into(), &2.into(), &10.into())
    );
}

#[test]
fn an_error_is_logged_with_what_caused_it() {
    #[derive(Debug)]
    struct Outer(std::io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cannot read notes.wasm")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let line = logged(Style::Text, || {
        let outer = Outer(std::io::Error::other("disk is gone"));
        error!(target: "t", error = &outer as &(dyn std::error::Error + 'static), "no");
    });
    assert!(line.ends_with("t: no error=\"cannot read notes.wasm: disk is gone\"\n"), "{line}");
}
