//! From rounds to a table.

use std::fmt;

use serde::Serialize;

/// What was measured of one contender in one round.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Round {
    pub(crate) requests_per_s: f64,
    /// CPU time of the server process, user and kernel, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Resident memory of the server process at the end of the round.
    pub(crate) rss_mib: f64,
}

/// A whole run; [`fmt::Display`] is the table.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    cores: usize,
    seconds: f64,
    connections: usize,
    /// The first is what the others are compared with.
    contenders: Vec<String>,
    /// For each round, what was measured of each contender.
    pub(crate) rounds: Vec<Vec<Round>>,
}

impl Report {
    pub(crate) fn new(contenders: Vec<String>, seconds: f64, connections: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Report { machine: machine(), cores, seconds, connections, contenders, rounds: Vec::new() }
    }

    /// A figure of a contender in every round, given that round of it and of the first contender.
    fn figure(&self, contender: usize, figure: impl Fn(&Round, &Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(|round| figure(&round[contender], &round[0])).collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { machine, cores, seconds, connections, .. } = self;
        writeln!(
            f,
            "{machine}, {cores} cores; {} rounds of {seconds} s, {connections} connections, closed loop.\n\
             Medians over the rounds, with the lowest and the highest.\n",
            self.rounds.len()
        )?;
        row(f, ["contender", "requests/s", "server CPU us/request", "p50 us", "p99 us", "RSS MiB"])?;
        row(f, ["---"; 6])?;
        for (index, name) in self.contenders.iter().enumerate() {
            let figure = |figure: fn(&Round) -> f64| self.figure(index, |own, _| figure(own));
            row(
                f,
                [
                    name,
                    &figure(|round| round.requests_per_s).text(0),
                    &figure(|round| round.cpu_us_per_request).text(1),
                    &figure(|round| round.p50_us).text(0),
                    &figure(|round| round.p99_us).text(0),
                    &figure(|round| round.rss_mib).text(0),
                ],
            )?;
        }
        writeln!(f, "\nAgainst {}, within each round:\n", self.contenders[0])?;
        row(f, ["contender", "requests/s, ratio", "CPU us/request more", "CPU, ratio"])?;
        row(f, ["---"; 4])?;
        for (index, name) in self.contenders.iter().enumerate().skip(1) {
            row(
                f,
                [
                    name,
                    &self.figure(index, |own, first| own.requests_per_s / first.requests_per_s).text(2),
                    &self
                        .figure(index, |own, first| own.cpu_us_per_request - first.cpu_us_per_request)
                        .text(1),
                    &self
                        .figure(index, |own, first| own.cpu_us_per_request / first.cpu_us_per_request)
                        .text(2),
                ],
            )?;
        }
        Ok(())
    }
}

fn row<const COLUMNS: usize>(f: &mut fmt::Formatter<'_>, cells: [&str; COLUMNS]) -> fmt::Result {
    f.write_str("|")?;
    for (column, cell) in cells.into_iter().enumerate() {
        let width = if column == 0 { 20 } else { 26 };
        write!(f, " {cell:<width$} |")?;
    }
    writeln!(f)
}

/// A figure over the rounds.
struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => f64::NAN,
            length if length % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        let bound = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Spread { median, lowest: bound(values.first()), highest: bound(values.last()) }
    }

    fn text(&self, decimals: usize) -> String {
        let Spread { median, lowest, highest } = self;
        format!("{median:.decimals$} [{lowest:.decimals$} - {highest:.decimals$}]")
    }
}

/// The name of the processor, from `/proc/cpuinfo`.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_is_between_the_middle_two() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]).text(1), "3.0 [1.0 - 9.0]");
        assert_eq!(Spread::of(vec![4.0, 1.0, 9.0]).text(0), "4 [1 - 9]");
    }

    #[test]
    fn differences_are_taken_within_a_round() {
        let round = |cpu_us_per_request| Round { cpu_us_per_request, ..Round::default() };
        let mut report = Report::new(vec!["a".into(), "b".into()], 2.0, 1);
        report.rounds = vec![vec![round(5.0), round(9.0)], vec![round(10.0), round(15.0)]];
        let more = report.figure(1, |own, first| own.cpu_us_per_request - first.cpu_us_per_request);
        assert_eq!(more.text(1), "4.5 [4.0 - 5.0]");
    }
}
