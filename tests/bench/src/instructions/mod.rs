//! What one request costs in instructions, counted by callgrind in the very binary that is deployed.
//!
//! Time on a shared machine drifts by a factor of two; the number of instructions hardly does. The host runs with
//! one worker, each case sends its requests one after the other on one connection, and callgrind writes
//! down what it has counted before and after. Only user mode is counted: what the kernel does is not.

mod callgrind;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use wharf_harness::TempDir;
use wharf_harness::components::{KITCHEN, RAW_HANDLER, WASIP3_HTTP, WSTD_HTTP};

use self::callgrind::{Callgrind, Counts, PARTS};
use crate::load::Request;
use crate::load::answer::Answer;
use crate::server::{bare, write_manifest};
use crate::{Result, programs, readme};

/// What to do with the result.
#[derive(Args)]
pub(crate) struct Options {
    /// Takes what is counted as the reference of later runs, and writes it into README.md.
    #[arg(long)]
    update: bool,
    /// Counts in this host, rather than in the one that is built from the tree.
    #[arg(long)]
    wharf: Option<PathBuf>,
}

/// How much more than the reference is a regression: counts differ by less than 1 % from run to run.
const TOLERANCE: f64 = 1.03;
const WARM_UP: u32 = 50;
const REQUESTS: u32 = 200;

struct Case {
    name: &'static str,
    host: &'static str,
    request: Request,
}

const BARE: Case = Case { name: "bare hyper", host: "bare", request: Request::get("/") };

/// hyper and wasmtime with the raw handler, and nothing else.
const FLOOR: Case = Case { name: "the floor, raw handler", host: "floor", request: Request::get("/") };

const CASES: [Case; 8] = [
    Case { name: "no route: a 404 of the gateway", host: "nowhere", request: Request::get("/nowhere") },
    Case { name: "handler", host: "sdk", request: Request::get("/hello") },
    Case { name: "raw handler", host: "raw", request: Request::get("/") },
    Case { name: "raw handler, fresh instance", host: "fresh", request: Request::get("/") },
    Case {
        name: "handler, 1 KiB there and back",
        host: "sdk",
        request: Request { path: "/echo", echo: Some(1 << 10), json: None },
    },
    Case {
        name: "handler, 64 KiB there and back",
        host: "sdk",
        request: Request { path: "/echo", echo: Some(64 << 10), json: None },
    },
    Case { name: "wasi:http 0.3", host: "p3", request: Request::get("/") },
    Case { name: "wasi:http 0.2", host: "p2", request: Request::get("/") },
];

/// Small enough for the address space that valgrind leaves. Memories are not reserved whole then, so the code checks each
/// access to them, which it does not where the host is deployed: half as many instructions of the guest again.
const ENGINE: &str = "instances = 16\nmemory = \"64MiB\"\n";

/// Counts and reference, by case.
#[derive(Deserialize, Serialize)]
struct Reference {
    rustc: String,
    instructions: BTreeMap<String, u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let wharf = options.wharf.clone().map_or_else(programs::wharf, Ok)?;
    let dir = TempDir::new();
    write_manifest(dir.path(), &dir.path().join("cache"), &manifest())?;
    let mut bare = Callgrind::start(&std::env::current_exe()?, &[bare::SUBCOMMAND.as_ref()])?;
    let mut counted = vec![(BARE.name, one(&mut bare, &BARE)?)];
    drop(bare);
    let mut floor = Callgrind::start(&programs::floor()?, &[RAW_HANDLER.as_ref()])?;
    counted.push((FLOOR.name, one(&mut floor, &FLOOR)?));
    drop(floor);
    let up = ["up".as_ref(), dir.path().as_os_str(), "--log".as_ref(), "json".as_ref()];
    let mut host = Callgrind::start(&wharf, &up)?;
    for case in &CASES {
        eprintln!("counting: {}", case.name);
        counted.push((case.name, one(&mut host, case)?));
    }
    drop(host);
    let path = programs::root().join("tests/bench/instructions.json");
    let reference: Option<Reference> =
        std::fs::read(&path).ok().map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
    let table = Table { counted: &counted, reference: reference.as_ref() };
    println!("{table}");
    if options.update {
        let instructions =
            counted.iter().map(|(name, counts)| ((*name).to_owned(), counts.total())).collect();
        let reference = Reference { rustc: programs::rustc()?, instructions };
        std::fs::write(&path, serde_json::to_string_pretty(&reference)? + "\n")?;
        let page = programs::root().join("tests/bench/README.md");
        return readme::replace(
            &page,
            "instructions",
            &Table { counted: &counted, reference: None }.to_string(),
        );
    }
    let more = counted.iter().filter(|(name, counts)| {
        table.before(name).is_some_and(|before| counts.total() as f64 > before as f64 * TOLERANCE)
    });
    let more: Vec<&str> = more.map(|(name, _)| *name).collect();
    if more.is_empty() {
        Ok(())
    } else {
        Err(format!("more instructions than before: {}", more.join("; ")).into())
    }
}

/// A plugin for each kind of case, told apart by the host that is asked for.
fn manifest() -> String {
    let mut text = String::from(ENGINE);
    for (name, component, more) in [
        ("sdk", KITCHEN, ""),
        ("raw", RAW_HANDLER, ""),
        ("fresh", RAW_HANDLER, "pool.isolation = \"request\"\n"),
        ("p3", WASIP3_HTTP, ""),
        ("p2", WSTD_HTTP, ""),
    ] {
        // Under valgrind everything takes fifty times as long.
        let limits = "limits.cpu = \"1m\"\nlimits.wall = \"5m\"\n";
        text += &format!("\n[plugin.{name}]\ncomponent = {component:?}\n{limits}{more}");
        text += &format!("\n[[route]]\nhost = \"{name}\"\npath = \"/{{*rest}}\"\nplugin = {name:?}\n");
        text += &format!("\n[[route]]\nhost = \"{name}\"\npath = \"/\"\nplugin = {name:?}\n");
    }
    text
}

/// The instructions of one request, by what they belong to.
fn one(host: &mut Callgrind, case: &Case) -> Result<Counts> {
    let mut client = Client::connect(host.addr(), case)?;
    (0..WARM_UP).try_for_each(|_| client.ask())?;
    host.dump()?;
    (0..REQUESTS).try_for_each(|_| client.ask())?;
    Ok(host.dump()?.per(u64::from(REQUESTS)))
}

struct Client {
    stream: TcpStream,
    message: Vec<u8>,
    status: &'static str,
}

impl Client {
    fn connect(addr: SocketAddr, case: &Case) -> Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        let message = case.request.message(addr).bytes;
        // The same length for every run, which the digits of a port are not.
        let from = format!("host: {addr}");
        let at =
            message.windows(from.len()).position(|window| window == from.as_bytes()).ok_or("has a host")?;
        let mut named = message[..at].to_vec();
        named.extend(format!("host: {}", case.host).as_bytes());
        named.extend(&message[at + from.len()..]);
        let status = if case.host == "nowhere" { "404" } else { "200" };
        Ok(Client { stream, message: named, status })
    }

    fn ask(&mut self) -> Result<()> {
        self.stream.write_all(&self.message)?;
        let mut buffer = vec![0; 256 << 10];
        let mut answer = Answer::of_status(self.status);
        loop {
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err("the connection ended within an answer".into());
            }
            if answer.read(&buffer[..count])?.is_some() {
                return Ok(());
            }
        }
    }
}

struct Table<'a> {
    counted: &'a [(&'static str, Counts)],
    reference: Option<&'a Reference>,
}

impl Table<'_> {
    fn before(&self, name: &str) -> Option<u64> {
        self.reference?.instructions.get(name).copied()
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let against = if self.reference.is_some() { " | x reference" } else { "" };
        writeln!(f, "| instructions of one request{against} | all | {} |", PARTS.join(" | "))?;
        let columns = PARTS.len() + 2 + usize::from(self.reference.is_some());
        writeln!(f, "|{}", " --- |".repeat(columns))?;
        for (name, counts) in self.counted {
            write!(f, "| {name}")?;
            if self.reference.is_some() {
                let ratio = self.before(name).map(|before| counts.total() as f64 / before as f64);
                write!(f, " | {}", ratio.map_or("new".to_owned(), |ratio| format!("{ratio:.3}")))?;
            }
            write!(f, " | {}", counts.total())?;
            for part in counts.parts() {
                write!(f, " | {part}")?;
            }
            writeln!(f, " |")?;
        }
        Ok(())
    }
}
