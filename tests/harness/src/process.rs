//! What the system knows of a process, from `/proc` (Linux, proc(5)).

use std::fs;
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The memory that is resident now, in bytes.
pub fn rss_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// The most memory that has been resident at once so far, in bytes.
pub fn rss_bytes_max(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

/// Sends a signal; a process that has just ended is not told.
pub fn signal(pid: u32, signal: Signal) {
    crate::host::signal(pid, signal);
}

/// Whether there is such a process that has not ended.
pub fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z")
}

/// The processes that `pid` has started and that have not ended.
pub fn children(pid: u32) -> Vec<u32> {
    let pid = pid.to_string();
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    // The state comes first after the name, then the parent.
    all.filter(|child| stat(*child).is_some_and(|fields| fields[1] == pid && fields[0] != "Z")).collect()
}

/// The fields of proc(5) `stat` from the state, the third, on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// What its open files are, by name: a path, or `socket:[N]`, `pipe:[N]` and the like.
pub fn open_paths(pid: u32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    open.filter_map(|file| Some(fs::read_link(file.ok()?.path()).ok()?.display().to_string())).collect()
}

/// How many files, sockets and pipes are open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// From now on, `pid` may have `most` open files: accepting and opening fail beyond (`EMFILE`).
pub fn limit_open_files(pid: u32, most: u64) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
}

/// Runs `start` on a thread that is bound to one of the cores that this process may use: what it starts is
/// bound to it as well, with all threads that it will ever have.
pub fn on_one_core<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    let bound = || {
        let allowed = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).unwrap();
        let mut one = CpuSet::new();
        one.set(core);
        sched_setaffinity(None, &one).unwrap();
        start()
    };
    std::thread::scope(|scope| scope.spawn(bound).join()).unwrap()
}

/// On how many cores `pid` may run.
pub fn cores(pid: u32) -> u32 {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    sched_getaffinity(pid).unwrap().count()
}

/// How many threads there are.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// The CPU time used so far, in user and in kernel mode together. Counted in steps of 10 ms.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program may hold anything; the fields after its parenthesis are numbers.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // `utime` and `stime` are the fields 14 and 15, the first after the name is 3.
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // A tick is 1/USER_HZ, which is 100 in the interface to programs on every architecture we run on.
    Duration::from_millis(ticks * 10)
}

/// For how long the calling thread has been ready to run and had no core to run on: what a client on another machine would
/// not wait. Zero where the system does not tell (`/proc/thread-self/schedstat`).
pub fn waited_for_a_core() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited_ns = told.split_whitespace().nth(1).and_then(|ns| ns.parse().ok());
    Duration::from_nanos(waited_ns.unwrap_or(0))
}

fn status_bytes(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024
}
