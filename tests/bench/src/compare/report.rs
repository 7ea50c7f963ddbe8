//! From rounds to tables.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Row;
use super::cold::Cold;
use super::goals;
use super::memory::Memory;
use super::spread::Spread;
use crate::programs;

/// What was measured of one contender in one round.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Round {
    pub(crate) requests_per_s: f64,
    /// CPU time of the server process, user and kernel, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Resident memory of the server process at the end of the round.
    pub(crate) rss_mib: f64,
    pub(crate) errors: usize,
}

/// A section, measured.
#[derive(Debug, Serialize)]
pub(crate) struct Rounds {
    #[serde(skip)]
    pub(crate) row: Row,
    pub(crate) title: String,
    pub(crate) load: String,
    /// The first is what the others are compared with.
    pub(crate) contenders: Vec<String>,
    /// For each round, what was measured of each contender.
    pub(crate) rounds: Vec<Vec<Round>>,
}

/// A whole run; [`fmt::Display`] is what goes into the README.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    commit: String,
    /// Before anything was started: what else ran on the machine.
    load_average: String,
    rounds: usize,
    seconds_per_measurement: f64,
    pub(crate) seconds_taken: u64,
    pub(crate) sections: Vec<Rounds>,
    pub(crate) cold: Option<Cold>,
    pub(crate) memory: Option<Memory>,
}

impl Rounds {
    /// A figure of a contender in every round, given that round of it and of another one.
    pub(crate) fn compare(
        &self,
        own: &str,
        other: &str,
        figure: impl Fn(&Round, &Round) -> f64,
    ) -> Option<Spread> {
        let at = |name: &str| self.contenders.iter().position(|contender| contender == name);
        let (own, other) = (at(own)?, at(other)?);
        Some(Spread::of(self.rounds.iter().map(|round| figure(&round[own], &round[other]))))
    }

    /// A figure of a contender over the rounds.
    pub(crate) fn figure(&self, own: &str, figure: impl Fn(&Round) -> f64) -> Option<Spread> {
        self.compare(own, own, |own, _| figure(own))
    }
}

impl Report {
    pub(crate) fn new(rounds: usize, measured: Duration) -> Self {
        Report {
            machine: programs::machine(),
            commit: programs::commit(),
            load_average: programs::load_average(),
            rounds,
            seconds_per_measurement: measured.as_secs_f64(),
            seconds_taken: 0,
            sections: Vec::new(),
            cold: None,
            memory: None,
        }
    }

    pub(crate) fn section(&self, row: Row) -> Option<&Rounds> {
        self.sections.iter().find(|section| section.row == row)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { machine, commit, load_average, rounds, seconds_per_measurement, seconds_taken, .. } =
            self;
        writeln!(
            f,
            "{machine}, load average {load_average} before; commit {commit}; wasmtime {}. {rounds} rounds of \
             {seconds_per_measurement} s for each contender, {seconds_taken} s in all. Medians over the rounds, with the lowest and the highest in brackets.\n",
            programs::WASMTIME_VERSION,
        )?;
        goals::write(self, f)?;
        for section in &self.sections {
            section.write(f)?;
        }
        if let Some(cold) = &self.cold {
            writeln!(f, "\n### Cold start, with a warm cache\n")?;
            row(f, &["what", "ms"])?;
            row(f, &["---", "---"])?;
            row(f, &["start of the process to listening, without plugins", &cold.empty_ms.text()])?;
            row(f, &["start of the process to listening, with one plugin", &cold.listening_ms.text()])?;
            row(f, &["listening to the end of the first answer", &cold.first_ms.text()])?;
            row(f, &["what the plugin adds before its first answer", &cold.plugin_ms.text()])?;
            row(f, &["an answer of a plugin that was scaled to zero", &cold.scaled_ms.text()])?;
        }
        if let Some(memory) = &self.memory {
            let mib = memory.idle as f64 / f64::from(1 << 20);
            let kib = |bytes: f64| format!("{:.0} KiB", bytes / 1024.0);
            writeln!(f, "\n### Resident memory\n")?;
            row(f, &["what", "resident"])?;
            row(f, &["---", "---"])?;
            row(f, &["a host with one plugin, idle", &format!("{mib:.1} MiB")])?;
            let title = format!("each of {} more instances, idle in the pool", memory.instances);
            row(f, &[&title, &kib(memory.per_instance)])?;
            row(f, &["of that, pages of its own memory that the guest has written to", &kib(memory.guest)])?;
        }
        Ok(())
    }
}

impl Rounds {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### {}\n\n{}.\n", capitalised(&self.title), capitalised(&self.load))?;
        let first = &self.contenders[0];
        let ratio = format!("requests/s, x {first}");
        let cpu_ratio = format!("server CPU, x {first}");
        row(
            f,
            &[
                "contender",
                "requests/s",
                &ratio,
                "server CPU us/request",
                &cpu_ratio,
                "p50 us",
                "p99 us",
                "p99.9 us",
                "RSS MiB",
            ],
        )?;
        row(f, &["---"; 9])?;
        for name in &self.contenders {
            let text =
                |figure: fn(&Round) -> f64| self.figure(name, figure).map_or(String::new(), |s| s.text());
            let against = |figure: fn(&Round) -> f64| {
                let spread = self.compare(name, first, |own, first| figure(own) / figure(first));
                spread.filter(|_| name != first).map_or("1".to_owned(), |spread| spread.text())
            };
            row(
                f,
                &[
                    name,
                    &text(|round| round.requests_per_s),
                    &against(|round| round.requests_per_s),
                    &text(|round| round.cpu_us_per_request),
                    &against(|round| round.cpu_us_per_request),
                    &text(|round| round.p50_us),
                    &text(|round| round.p99_us),
                    &text(|round| round.p999_us),
                    &text(|round| round.rss_mib),
                ],
            )?;
        }
        Ok(())
    }
}

pub(crate) fn row(f: &mut fmt::Formatter<'_>, cells: &[&str]) -> fmt::Result {
    writeln!(f, "| {} |", cells.join(" | "))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_taken_within_a_round() {
        let round = |cpu_us_per_request| Round { cpu_us_per_request, ..Round::default() };
        let rounds = Rounds {
            row: Row::Hello,
            title: String::new(),
            load: String::new(),
            contenders: vec!["a".into(), "b".into()],
            rounds: vec![vec![round(5.0), round(9.0)], vec![round(10.0), round(15.0)]],
        };
        let more = rounds.compare("b", "a", |own, other| own.cpu_us_per_request - other.cpu_us_per_request);
        assert_eq!(more.expect("both are there").text(), "4.50 [4.00 - 5.00]");
        assert!(rounds.figure("c", |round| round.p50_us).is_none());
    }
}
