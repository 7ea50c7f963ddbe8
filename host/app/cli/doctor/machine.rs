//! What the machine gives: memory, swap, limits of the kernel and of the shell.

use rustix::process::{Resource, getrlimit};

use super::super::human_size;
use super::Check;
use crate::manifest::Manifest;

/// Beside each memory slot, wasmtime reserves this much that nobody may touch.
const GUARD_BYTES: u64 = 32 << 20;
/// Memory mappings that an instance takes at most: its two stacks have two each from the start, its memories and
/// tables up to two each when they are used.
const MAPPINGS_PER_INSTANCE: u64 = 16;
/// Files that are open beside connections.
const FILES_BESIDE: u64 = 256;
/// Folders that `wharf up --watch` may have to watch.
const WATCHES: u64 = 8_192;
/// With less memory than this left, plugins are refused sooner than anybody expects.
const MEMORY_WARN: u64 = 256 << 20;

pub(super) fn checks(manifest: &Manifest) -> Vec<Check> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let engine = &manifest.engine;
    let checks = [
        read("/proc/sys/kernel/osrelease").map(|release| kernel(release.trim())),
        read("/proc/meminfo").and_then(|meminfo| memory(&meminfo)),
        read("/proc/swaps").map(|swaps| swap(&swaps)),
        read("/proc/sys/vm/overcommit_memory").map(|mode| overcommit(mode.trim())),
        read("/proc/sys/vm/max_map_count")
            .and_then(|count| Some(mappings(count.trim().parse().ok()?, engine.instances_max.into()))),
        Some(address_space(
            getrlimit(Resource::As).current,
            u64::from(engine.instances_max)
                .saturating_mul(2)
                .saturating_mul(engine.memory_bytes_max + GUARD_BYTES),
        )),
        Some(open_files(getrlimit(Resource::Nofile).current, manifest.http.connections_max as u64)),
        read("/proc/sys/fs/inotify/max_user_watches").and_then(|max| Some(watches(max.trim().parse().ok()?))),
    ];
    checks.into_iter().flatten().collect()
}

/// `PAGEMAP_SCAN` came with Linux 6.7.
fn kernel(release: &str) -> Check {
    const NAME: &str = "kernel";
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 7) {
        return Check::ok(NAME, format!("Linux {release}"));
    }
    let found = format!("Linux {release} has no PAGEMAP_SCAN (6.7): resetting an instance costs more");
    Check::warn(NAME, found, "update the system to a kernel of 6.7 or later")
}

fn memory(meminfo: &str) -> Option<Check> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let found = format!("{} available", human_size(free));
    Some(if free < MEMORY_WARN {
        Check::warn("memory", found, "see who has it: ps -eo rss,comm --sort=-rss | head")
    } else {
        Check::ok("memory", found)
    })
}

/// The first line is a heading, the others are swap areas (proc(5)).
fn swap(swaps: &str) -> Check {
    const NAME: &str = "swap";
    if swaps.lines().count() <= 1 {
        return Check::ok(NAME, "none, so that PAGEMAP_SCAN can be used");
    }
    let found = "the machine swaps: instances are reset in the slower way, and a swapped guest is slow";
    Check::warn(NAME, found, "sudo swapoff -a")
}

fn overcommit(mode: &str) -> Check {
    const NAME: &str = "overcommit";
    if mode == "2" {
        let found =
            "vm.overcommit_memory = 2: reserved address space counts as memory, and the host reserves much";
        return Check::fail(NAME, found, "sudo sysctl vm.overcommit_memory=0");
    }
    Check::ok(NAME, format!("vm.overcommit_memory = {mode}"))
}

fn mappings(max: u64, instances: u64) -> Check {
    const NAME: &str = "mappings";
    let needed = instances.saturating_mul(MAPPINGS_PER_INSTANCE);
    if max >= needed {
        return Check::ok(NAME, format!("vm.max_map_count = {max}"));
    }
    let found = format!("vm.max_map_count = {max} may be too few for [engine] instances = {instances}");
    Check::warn(NAME, found, format!("sudo sysctl vm.max_map_count={needed}"))
}

/// `None` is no limit.
fn address_space(limit: Option<u64>, needed: u64) -> Check {
    const NAME: &str = "ulimit -v";
    match limit {
        None => Check::ok(NAME, "unlimited"),
        Some(limit) if limit > needed => Check::ok(NAME, human_size(limit)),
        Some(limit) => Check::fail(
            NAME,
            format!(
                "{}, and the host reserves about {} of address space",
                human_size(limit),
                human_size(needed)
            ),
            "ulimit -v unlimited\nor lower [engine] instances and memory in wharf.toml",
        ),
    }
}

fn open_files(limit: Option<u64>, connections: u64) -> Check {
    const NAME: &str = "ulimit -n";
    let needed = connections.saturating_add(FILES_BESIDE);
    match limit {
        None => Check::ok(NAME, "unlimited"),
        Some(limit) if limit >= needed => Check::ok(NAME, format!("{limit} open files")),
        Some(limit) => Check::warn(
            NAME,
            format!("{limit} open files, and [http] connections = {connections} may need {needed}"),
            format!("ulimit -n {needed}"),
        ),
    }
}

fn watches(max: u64) -> Check {
    const NAME: &str = "inotify";
    if max >= WATCHES {
        return Check::ok(NAME, format!("fs.inotify.max_user_watches = {max}"));
    }
    let found = format!("fs.inotify.max_user_watches = {max} may be too few for `wharf up --watch`");
    Check::warn(NAME, found, "sudo sysctl fs.inotify.max_user_watches=65536")
}

#[cfg(test)]
mod tests {
    use super::super::Status::{self, Fail, Ok, Warn};
    use super::*;

    #[test]
    fn each_limit_is_judged_by_what_the_host_needs() {
        let statuses: [(Check, Status); 14] = [
            (kernel("6.7.0"), Ok),
            (kernel("6.12.3-cloud"), Ok),
            (kernel("5.15.0-91-generic"), Warn),
            (swap("Filename\t\tType\n"), Ok),
            (swap("Filename\t\tType\n/swapfile file 1 0 -2\n"), Warn),
            (overcommit("0"), Ok),
            (overcommit("2"), Fail),
            (mappings(65_530, 1_000), Ok),
            (mappings(65_530, 100_000), Warn),
            (address_space(None, 1 << 40), Ok),
            (address_space(Some(1 << 30), 1 << 40), Fail),
            (open_files(Some(1_024), 10_000), Warn),
            (open_files(Some(20_000), 10_000), Ok),
            (watches(1_024), Warn),
        ];
        for (check, expected) in statuses {
            assert_eq!(check.status, expected, "{check:?}");
            assert_eq!(check.mend.is_some(), expected != Ok, "{check:?}");
        }
    }

    #[test]
    fn available_memory_is_read_from_the_kernels_page() {
        let check = |text: &str| memory(text).map(|check| (check.status, check.found));
        assert_eq!(
            check("MemTotal: 1 kB\nMemAvailable:  2097152 kB\n"),
            Some((Ok, "2.0 GiB available".into()))
        );
        assert_eq!(check("MemAvailable: 1024 kB\n"), Some((Warn, "1.0 MiB available".into())));
        assert_eq!(check("MemTotal: 1 kB\n"), None);
    }
}
