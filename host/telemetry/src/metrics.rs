use std::fmt::Write;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of `*_seconds` histograms.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0,
];

/// Upper bounds of the buckets of `*_bytes` histograms: 256 B to 1 GiB.
const BYTES: &[f64] = &[
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// Clock ticks per second in `/proc` (`USER_HZ`): 100 on every architecture that Rust supports, because it
/// is part of the kernel's interface and not its timer frequency (proc(5), time(7)).
const USER_HZ: f64 = 100.0;

/// The recorder of this process. Clones share it.
#[derive(Clone)]
pub(crate) struct Recorder(PrometheusHandle);

impl Recorder {
    /// Installs the recorder for the whole process.
    pub(crate) fn install() -> Result<Self, String> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".into()), BYTES))
            .map_err(|error| error.to_string())?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
        metrics::describe_counter!(
            "wharf_log_lines_dropped_total",
            "Log lines that were dropped because standard error is read too slowly"
        );
        Ok(Recorder(handle))
    }

    /// Moves samples into their buckets; without it they would pile up between two scrapes.
    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }

    pub(crate) fn render(&self) -> String {
        let mut text = self.0.render();
        push_process_metrics(&mut text);
        text
    }
}

/// The metrics of the process by the names that Prometheus client libraries agree on
/// (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). What cannot be read is
/// left out.
fn push_process_metrics(out: &mut String) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let metrics = [
        ("process_resident_memory_bytes", "gauge", "Resident memory in bytes", resident_bytes(&status)),
        ("process_open_fds", "gauge", "Open file descriptors", open_files()),
        ("process_cpu_seconds_total", "counter", "User and system CPU time in seconds", cpu_seconds(&stat)),
        (
            "process_start_time_seconds",
            "gauge",
            "When the process started, in seconds since 1970",
            start_time(&stat, &boot),
        ),
    ];
    for (name, kind, help, value) in metrics {
        if let Some(value) = value {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    }
}

/// `VmRSS` of `/proc/self/status`, which is in units of 1,024 bytes.
fn resident_bytes(status: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// The entries of `/proc/self/fd`, without the one that reading it takes.
fn open_files() -> Option<f64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some((entries.count() as f64 - 1.0).max(0.0))
}

/// Fields 14 and 15 of `/proc/self/stat`: `utime` and `stime`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / USER_HZ)
}

/// Field 22 of `/proc/self/stat`, counted from when the machine started: `btime` of `/proc/stat`.
fn start_time(stat: &str, boot: &str) -> Option<f64> {
    let booted: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + stat_field(stat, 22)? / USER_HZ)
}

/// A field of `/proc/self/stat`, counted from 1 as proc(5) does. The second is the program's name in
/// parentheses, which may itself contain spaces and parentheses: counting starts behind the last one.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const STAT: &str =
        "7 (a b) c) S 1 7 7 0 -1 4194560 2205 0 0 0 150 50 0 0 20 0 5 0 1000 9000 500 18446744073709551615";

    #[test]
    fn fields_are_counted_behind_the_programs_name() {
        assert_eq!(cpu_seconds(STAT), Some(2.0));
        assert_eq!(start_time(STAT, "cpu 1\nbtime 1000000\n"), Some(1_000_010.0));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(resident_bytes("VmPeak: 9 kB\nVmRSS:\t     2 kB\n"), Some(2048.0));
    }

    #[test]
    fn the_process_is_measured() {
        let mut text = String::new();
        push_process_metrics(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("missing");
            line.trim().parse().unwrap_or_else(|_| panic!("{name}: {line}\n{text}"))
        };
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        let age = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO).as_secs_f64()
            - value("process_start_time_seconds ");
        assert!((-5.0..3600.0).contains(&age), "started {age} s ago");
    }

    #[test]
    fn histograms_have_buckets_in_rising_order() {
        assert!(SECONDS.is_sorted() && BYTES.is_sorted());
        assert_eq!((SECONDS.first(), SECONDS.last()), (Some(&0.000_1), Some(&60.0)));
    }
}
