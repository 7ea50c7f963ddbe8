//! How compiling can fail, and what the operator is told.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use wharf_call::ports::{Refusal, Stage};
use wharf_call::units::{show_duration_ms, show_size};

use super::job::Bounds;
use crate::limits::millis;

/// Why there is no code.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody waits for it any more.
    Abandoned,
    /// The process could not be started, or not be watched.
    Start(io::Error),
    /// `[engine] compile_time` is up.
    Time,
    /// `[engine] compile_memory` is used up.
    Memory,
    /// The host has no memory to spare.
    Budget,
    /// It is no component that the host runs.
    NotUnderstood(String),
    /// The compiler has found something wrong with the component.
    Refused(String),
    /// The process ended in a way that nobody had planned.
    Died { status: ExitStatus, said: String },
    /// The code could not be taken over.
    Code(io::Error),
}

impl Failed {
    /// The refusal of the load, with the manifest line that would let it pass where there is one.
    pub(super) fn refusal(self, bounds: &Bounds) -> Refusal {
        let message = match self {
            Failed::Abandoned => "the load was abandoned".to_owned(),
            Failed::Start(error) => format!("the process that compiles cannot be used: {error}"),
            Failed::Time => {
                let time = bounds.time;
                let line = format!("compile_time = {:?}", show_duration_ms(millis(time * 2)));
                more("takes longer", "compile_time", &show_duration_ms(millis(time)), &line)
            }
            Failed::Memory => {
                let bytes = bounds.memory_bytes;
                let line = format!("compile_memory = {:?}", show_size(bytes.saturating_mul(2)));
                more("takes more memory", "compile_memory", &show_size(bytes), &line)
            }
            Failed::Budget => {
                "the host has no memory to spare for compiling it ([memory] total). Try again when \
                               it has less to do, or give it more, and restart it"
                    .to_owned()
            }
            Failed::NotUnderstood(said) => return Refusal::new(Stage::Inspect, said),
            Failed::Refused(said) => said,
            Failed::Died { status, said } => {
                let how = match (status.signal(), status.code()) {
                    (Some(signal), _) => format!("was ended by {}", signal_name(signal)),
                    (None, code) => format!("ended with exit code {}", code.unwrap_or(-1)),
                };
                let said = if said.is_empty() { "it said nothing" } else { &said };
                format!("the process that compiled it {how}; the host is not affected. What it said: {said}")
            }
            Failed::Code(error) => format!("its code could not be taken over: {error}"),
        };
        Refusal::new(Stage::Compile, message)
    }
}

fn more(what: &str, key: &str, value: &str, line: &str) -> String {
    format!(
        "compiling it {what} than [engine] {key} = {value:?} allows. If the component is to be trusted, write in \
         wharf.toml, and restart the host:\n  [engine]\n  {line}"
    )
}

fn signal_name(signal: i32) -> String {
    use rustix::process::Signal;
    let names = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL, by somebody or for want of memory on this machine"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
    ];
    let known = names.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: Bounds = Bounds { time: Duration::from_secs(60), memory_bytes: 2 << 30, threads: 1 };

    #[test]
    fn a_limit_is_refused_with_its_value_and_the_line_to_write() {
        let message = Failed::Time.refusal(&BOUNDS).message;
        assert!(message.contains("[engine] compile_time = \"1m\" allows"), "{message}");
        assert!(message.ends_with("\n  [engine]\n  compile_time = \"2m\""), "{message}");
        let message = Failed::Memory.refusal(&BOUNDS).message;
        assert!(message.contains("[engine] compile_memory = \"2GiB\" allows"), "{message}");
        assert!(message.ends_with("\n  [engine]\n  compile_memory = \"4GiB\""), "{message}");
    }

    #[test]
    fn an_end_that_nobody_planned_is_named() {
        let died = |raw| {
            let said = "thread 'main' has overflowed its stack".to_owned();
            Failed::Died { status: ExitStatus::from_raw(raw), said }.refusal(&BOUNDS).message
        };
        assert!(died(11).contains("was ended by SIGSEGV"), "{}", died(11));
        assert!(died(101 << 8).contains("ended with exit code 101"), "{}", died(101 << 8));
        assert!(died(34).contains("was ended by signal 34") && died(34).ends_with("overflowed its stack"));
    }
}
