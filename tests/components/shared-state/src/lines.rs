//! What a guest can write down.

use crate::wasi::logging::logging::{Level, log};
use crate::{Answer, Query};

pub(crate) fn answer(what: &str, how: &str, query: Query<'_>, body: &[u8]) -> Answer {
    let line = String::from_utf8_lossy(body);
    match what {
        "say" => {
            let Some(level) = level(how) else { return Answer::new(404, "there is no such level\n") };
            log(level, query.text("context").unwrap_or_default(), &line);
        }
        "print" => (0..query.number("lines", 1)).for_each(|_| write(how, &line)),
        // `write-forever`
        _ => loop {
            write(how, &line);
        },
    }
    Answer::new(204, "")
}

fn write(how: &str, line: &str) {
    match how {
        "stdout" => println!("{line}"),
        "stderr" => eprintln!("{line}"),
        _ => log(Level::Info, "", line),
    }
}

fn level(name: &str) -> Option<Level> {
    Some(match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        "critical" => Level::Critical,
        _ => return None,
    })
}
