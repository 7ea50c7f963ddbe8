//! A server that runs in callgrind, and what its profiles say.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

use wharf_harness::TempDir;

use crate::Result;
use crate::server::{announced, bare_environment};

/// A server with one worker in valgrind. It is killed on drop.
pub(crate) struct Callgrind {
    child: Child,
    addr: SocketAddr,
    profiles: TempDir,
    /// How often a profile has been written.
    dumps: u32,
}

impl Callgrind {
    /// Starts a server that says where it listens.
    pub(crate) fn start(program: &Path, arguments: &[&OsStr]) -> Result<Self> {
        let profiles = TempDir::new();
        let mut command = Command::new("valgrind");
        bare_environment(&mut command)
            .args(["--tool=callgrind", "--separate-threads=yes", "--dump-line=no"])
            .arg(format!("--callgrind-out-file={}", profiles.path().join("profile").display()))
            .arg(program)
            .args(arguments)
            .env("TOKIO_WORKER_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // SAFETY: the closure makes two system calls and allocates nothing, as between fork and exec it must.
        unsafe { command.pre_exec(hide_auxv) };
        let mut child =
            command.spawn().map_err(|error| format!("valgrind cannot be started; install it: {error}"))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("is piped")?);
        let Some(addr) = announced(&mut output, "listening on http://")? else {
            return Err(format!("{command:?} ended with {} before it served", child.wait()?).into());
        };
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Ok(Callgrind { child, addr, profiles, dumps: 0 })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What the busiest thread, which is the worker, has done since the last time.
    pub(crate) fn dump(&mut self) -> Result<Counts> {
        let mut control = Command::new("callgrind_control");
        control.arg("--dump").arg(self.child.id().to_string());
        let output = control.output()?;
        if !output.status.success() {
            return Err(format!("{control:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        self.dumps += 1;
        let prefix = format!("profile.{}-", self.dumps);
        let mut busiest = Counts::default();
        for entry in fs::read_dir(self.profiles.path())? {
            let path: PathBuf = entry?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&prefix)) {
                let counts = Counts::read(&String::from_utf8_lossy(&fs::read(&path)?));
                if counts.total() > busiest.total() {
                    busiest = counts;
                }
            }
        }
        if busiest.total() == 0 { Err("callgrind has counted nothing".into()) } else { Ok(busiest) }
    }
}

impl Drop for Callgrind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets `prctl(PR_GET_AUXV)` fail in the program that is about to be started.
///
/// It would name the vDSO, which valgrind has unmapped, and rustix would read there. valgrind older than 3.25 does
/// not know that call and hands it to the kernel; `/proc/self/auxv`, which rustix reads when it fails, it
/// does know.
fn hide_auxv() -> io::Result<()> {
    const PR_GET_AUXV: u32 = 0x4155_5856;
    // prctl(2) takes them as long, and the compiler cannot know.
    const ZERO: libc::c_ulong = 0;
    const ONE: libc::c_ulong = 1;
    const FILTER: libc::c_ulong = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    /// Where `struct seccomp_data` has the number of the call, and the low half of its first argument.
    const NUMBER: u32 = 0;
    const ARGUMENT: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let mut filter = [
        step(load, NUMBER, 0, 0),
        step(equal, libc::SYS_prctl as u32, 0, 3),
        step(load, ARGUMENT, 0, 0),
        step(equal, PR_GET_AUXV, 0, 1),
        step(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32, 0, 0),
        step(libc::BPF_RET, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls have the arguments of prctl(2); `program` and `filter` outlive them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, ONE, ZERO, ZERO, ZERO) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, FILTER, &raw const program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Instructions, by what the function belongs to that they are in. Thin LTO puts functions into their callers
/// across crates: what is small counts where it was put.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts([u64; PARTS.len()]);

/// What a function can belong to.
pub(crate) const PARTS: [&str; 10] = [
    "guest",
    "wasmtime",
    "engine",
    "gateway",
    "doors",
    "hyper, h2 and http",
    "tokio",
    "allocator",
    "bytes copied",
    "others",
];

impl Counts {
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn parts(&self) -> [u64; PARTS.len()] {
        self.0
    }

    pub(crate) fn per(&self, requests: u64) -> Counts {
        Counts(self.0.map(|count| (count + requests / 2) / requests))
    }

    /// Reads a profile (valgrind manual, "Callgrind Format Specification"): the self cost of each function.
    fn read(profile: &str) -> Counts {
        let mut counts = Counts::default();
        // A name is written out once, as `(ID) NAME`, wherever it comes first.
        let mut parts: HashMap<&str, usize> = HashMap::new();
        let mut part = 0;
        let mut is_call = false;
        for line in profile.lines() {
            if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
                let (id, name) = function.split_once(' ').unwrap_or((function, ""));
                let known = *parts.entry(id).or_insert_with(|| part_of(name));
                if line.starts_with("fn=") {
                    part = known;
                }
            } else if line.starts_with("calls=") {
                // The next line is what the callee cost, which is counted there.
                is_call = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<u64>().ok());
                if !std::mem::take(&mut is_call) {
                    counts.0[part] += cost.unwrap_or_default();
                }
            }
        }
        counts
    }
}

/// The index in [`PARTS`] of a function, by its crate.
fn part_of(function: &str) -> usize {
    // `<&mut a::B as c::D>::e` is of crate `a`.
    let name = function.trim_start_matches(|letter: char| "<&*(".contains(letter));
    let name = ["mut ", "dyn ", "const "].iter().fold(name, |name, word| name.trim_start_matches(word));
    let end = name.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(name.len());
    match &name[..end] {
        // Compiled guests are in memory that belongs to no file.
        "" => 0,
        crate_name if crate_name.starts_with("0x") => 0,
        crate_name if crate_name.starts_with("wasmtime") => 1,
        "wharf_engine" | "wharf_bindings" | "wharf_call" | "wharf_budget" => 2,
        "wharf_gateway" | "wharf_telemetry" => 3,
        "wharf_doors" | "wharf_graphql" | "wharf_grpc" => 4,
        "h2" | "hyper" | "hyper_util" | "http" | "http_body" | "http_body_util" | "httparse" => 5,
        "tokio" | "mio" => 6,
        name if name.starts_with("mi_") || name.starts_with("_mi_") => 7,
        // A copy or fill of some size is one `rep` instruction, which callgrind counts once for each byte.
        name if name.starts_with("__mem") => 8,
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_counts_for_its_crate() {
        for (function, part) in [
            ("0x000000000706cc43", "guest"),
            ("???", "guest"),
            ("wasmtime::runtime::store::Store<T>::new", "wasmtime"),
            ("<wasmtime_internal_fiber::unix::Fiber as core::ops::Drop>::drop", "wasmtime"),
            ("<&mut wharf_engine::lease::Lease as core::fmt::Debug>::fmt", "engine"),
            ("wharf_gateway::chain::run::{{closure}}", "gateway"),
            ("wharf_graphql::door::json_response", "doors"),
            ("httparse::Request::parse", "hyper, h2 and http"),
            ("h2::proto::connection::Connection<T,P,B>::poll", "hyper, h2 and http"),
            ("tokio::runtime::park::Inner::park", "tokio"),
            ("core::ptr::drop_in_place<wharf_engine::Plugin>", "others"),
            ("mi_theap_malloc_aligned", "allocator"),
            ("__memcpy_avx_unaligned_erms", "bytes copied"),
        ] {
            assert_eq!(PARTS[part_of(function)], part, "{function}");
        }
    }

    #[test]
    fn calls_are_not_counted_twice() {
        let profile = "events: Ir\nfn=(1) tokio::run\n0 5\ncfn=(2) hyper::serve\ncalls=3 0\n0 40\n\n\
                       fn=(2)\n0 40\n\nfn=(1)\n+3 2\ntotals: 47\n";
        let counts = Counts::read(profile);
        assert_eq!(counts.total(), 47);
        assert_eq!(counts.per(2).parts(), [0, 0, 0, 0, 0, 20, 4, 0, 0, 0]);
    }
}
