use std::collections::BTreeMap;
use std::fmt;

use wharf_harness::{Host, process};

/// What a host has at one moment.
#[derive(Clone, Debug)]
pub(crate) struct State {
    rss_bytes: u64,
    /// How many there are of each name; sockets and the like have one name together.
    open_files: BTreeMap<String, u64>,
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
            open_files: open_files(host.pid()),
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
            grown("open files", count(&self.open_files), count(&after.open_files)),
            grown("threads", self.threads as u64, after.threads as u64),
            grown("tasks", self.tasks, after.tasks),
            grown("instances", self.instances, after.instances),
            grown("reserved memory", self.reserved_bytes, after.reserved_bytes),
        ];
        let more = more.into_iter().filter(|(.., exceeded)| *exceeded);
        let names = |what| if what == "open files" { self.opened(after) } else { String::new() };
        more.map(|(what, before, after, _)| format!("{what} grew from {before} to {after}{}", names(what)))
            .collect()
    }

    /// Of what more files are open in `after`.
    fn opened(&self, after: &State) -> String {
        let before = |name| self.open_files.get(name).copied().unwrap_or_default();
        let more = after.open_files.iter().filter(|(name, count)| **count > before(*name));
        more.map(|(name, count)| format!("; {name}: {} and {count}", before(name))).collect()
    }
}

fn open_files(pid: u32) -> BTreeMap<String, u64> {
    process::open_paths(pid).into_iter().fold(BTreeMap::new(), |mut files, path| {
        // `socket:[123]` is one of many sockets.
        let name = path.split(":[").next().unwrap_or_default().to_owned();
        *files.entry(name).or_default() += 1;
        files
    })
}

fn count(files: &BTreeMap<String, u64>) -> u64 {
    files.values().sum()
}

fn grown(what: &'static str, before: u64, after: u64) -> (&'static str, u64, u64, bool) {
    (what, before, after, after > before)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let State { threads, tasks, instances, .. } = self;
        let open_files = count(&self.open_files);
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
            open_files: BTreeMap::from([("socket".to_owned(), 20)]),
            threads: 6,
            tasks: 8,
            instances: 5,
            reserved_bytes: 1 << 20,
        };
        assert!(before.differences(&before).is_empty());
        let noise = State { rss_bytes: 105 << 20, threads: 5, ..before.clone() };
        assert!(before.differences(&noise).is_empty());
        let opened = BTreeMap::from([("socket".to_owned(), 20), ("pipe".to_owned(), 1)]);
        let leaks = [
            (State { rss_bytes: 120 << 20, ..before.clone() }, "resident memory"),
            (State { open_files: opened, ..before.clone() }, "open files grew from 20 to 21; pipe: 0 and 1"),
            (State { threads: 7, ..before.clone() }, "threads"),
            (State { tasks: 9, ..before.clone() }, "tasks"),
            (State { instances: 6, ..before.clone() }, "instances"),
            (State { reserved_bytes: 2 << 20, ..before.clone() }, "reserved memory"),
        ];
        for (after, what) in leaks {
            let [one] = &before.differences(&after)[..] else { panic!("{what}") };
            assert!(one.starts_with(what), "{one}");
        }
    }
}
