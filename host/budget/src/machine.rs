use std::path::{Path, PathBuf};

/// What this process may use at most, in bytes; 0 when nothing tells.
pub(crate) fn memory_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total(&text));
    let group = std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group_limit(&text));
    machine.into_iter().chain(group).min().unwrap_or(0)
}

/// The `MemTotal` line of `/proc/meminfo` (proc(5)), which is in units of 1,024 bytes.
fn mem_total(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The lowest `memory.max` on the way from the process's control group to the root (cgroups(7), version 2:
/// the line that starts with `0::`). A parent's limit binds its children, so all of them count.
fn group_limit(cgroup: &str) -> Option<u64> {
    let group = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    groups(group).filter_map(|dir| limit(&std::fs::read_to_string(dir.join("memory.max")).ok()?)).min()
}

/// The folders of a control group and its parents, the innermost first.
fn groups(group: &str) -> impl Iterator<Item = PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(group.trim_end());
    let all: Vec<PathBuf> =
        own.ancestors().take_while(|dir| dir.starts_with(root)).map(Path::to_owned).collect();
    all.into_iter()
}

/// A `memory.max` file: a number of bytes, or `max` for no limit.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(mem_total("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(mem_total("MemFree: 1 kB\n"), None);
        assert_eq!(mem_total("MemTotal: much kB\n"), None);
    }

    #[test]
    fn a_groups_limit_is_a_number_or_none() {
        assert_eq!(limit("1048576\n"), Some(1 << 20));
        assert_eq!(limit("max\n"), None);
    }

    #[test]
    fn every_parent_of_a_group_is_asked() {
        let dirs: Vec<_> = groups("a.slice/b.service").collect();
        let expected = ["/sys/fs/cgroup/a.slice/b.service", "/sys/fs/cgroup/a.slice", "/sys/fs/cgroup"];
        assert_eq!(dirs, expected.map(PathBuf::from));
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(memory_bytes() > 0);
    }
}
