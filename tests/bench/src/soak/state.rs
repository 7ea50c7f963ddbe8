use std::fmt;

use wharf_harness::{Host, process};

/// What a host has at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    rss_bytes: u64,
    open_files: usize,
    threads: usize,
    tasks: u64,
    instances: u64,
    /// Memory that work in flight, and instances, hold of the host's budget. What slots keep for the next instances is not
    /// in it: it is as much as the most instances at once have touched, and resident memory is judged by itself.
    reserved_bytes: u64,
}

/// What an allocator may keep at the end beyond what it kept at the beginning. A leak of a single byte for each
/// request of half an hour would exceed it.
const RSS_SLACK: f64 = 1.10;
const RSS_SLACK_BYTES: f64 = (4 << 20) as f64;

impl State {
    pub(super) async fn of(host: &Host) -> State {
        let metrics = host.admin().metrics().await;
        let sum = |name| metrics.sum(name, &[]) as u64;
        let slots = metrics.sum("wharf_memory_reserved_bytes", &["what=\"slots\""]);
        State {
            rss_bytes: process::rss_bytes(host.pid()),
            open_files: process::open_files(host.pid()),
            threads: process::threads(host.pid()),
            tasks: sum("wharf_tasks"),
            instances: sum("wharf_plugin_instances"),
            reserved_bytes: sum("wharf_memory_reserved_bytes") - slots as u64,
        }
    }

    /// What there is more of in `after`.
    pub(super) fn differences(&self, after: &State) -> Vec<String> {
        let rss_max = self.rss_bytes as f64 * RSS_SLACK + RSS_SLACK_BYTES;
        let more = [
            ("resident memory", self.rss_bytes, after.rss_bytes, after.rss_bytes as f64 > rss_max),
            grown("open files", self.open_files as u64, after.open_files as u64),
            grown("threads", self.threads as u64, after.threads as u64),
            grown("tasks", self.tasks, after.tasks),
            grown("instances", self.instances, after.instances),
            grown("reserved memory", self.reserved_bytes, after.reserved_bytes),
        ];
        let more = more.into_iter().filter(|(.., exceeded)| *exceeded);
        more.map(|(what, before, after, _)| format!("{what} grew from {before} to {after}")).collect()
    }
}

fn grown(what: &'static str, before: u64, after: u64) -> (&'static str, u64, u64, bool) {
    (what, before, after, after > before)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let State { open_files, threads, tasks, instances, .. } = self;
        write!(
            f,
            "{:.1} MiB resident, {open_files} open files, {threads} threads, {tasks} tasks, {instances} instances, \
             {:.1} MiB reserved",
            mib(self.rss_bytes),
            mib(self.reserved_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_grew_is_named_and_what_shrank_is_not() {
        let before = State {
            rss_bytes: 100 << 20,
            open_files: 20,
            threads: 6,
            tasks: 8,
            instances: 5,
            reserved_bytes: 1 << 20,
        };
        assert!(before.differences(&before).is_empty());
        let noise = State { rss_bytes: 105 << 20, threads: 5, ..before };
        assert!(before.differences(&noise).is_empty());
        let leaks = [
            (State { rss_bytes: 120 << 20, ..before }, "resident memory"),
            (State { open_files: 21, ..before }, "open files"),
            (State { threads: 7, ..before }, "threads"),
            (State { tasks: 9, ..before }, "tasks"),
            (State { instances: 6, ..before }, "instances"),
            (State { reserved_bytes: 2 << 20, ..before }, "reserved memory"),
        ];
        for (after, what) in leaks {
            let [one] = &before.differences(&after)[..] else { panic!("{what}") };
            assert!(one.starts_with(what), "{one}");
        }
    }
}
