//! What one request costs in instructions, counted by callgrind in the very binary that is deployed.
//!
//! Time on a shared machine drifts by a factor of two; the number of instructions hardly does. Each plugin has a host of its
//! own with one worker, each case sends its requests one after the other on one connection, and callgrind writes
//! down what it has counted before and after. Only user mode is counted: what the kernel does is not.

mod callgrind;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::runtime::{self, Runtime};
use wharf_harness::TempDir;
use wharf_harness::components::{GREETER_SERVICE, KITCHEN, RAW_HANDLER, WASIP3_HTTP, WSTD_HTTP};

use self::callgrind::{Callgrind, Counts, PARTS};
use crate::load::answer::Answer;
use crate::load::grpc::Caller;
use crate::load::{GRAPHQL_HELLO, GRPC_HELLO, JSON_RPC_HELLO, Request};
use crate::server::{bare, tonic, write_manifest};
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
    request: Request,
    status: &'static str,
    grpc: bool,
}

const fn case(name: &'static str, request: Request) -> Case {
    Case { name, request, status: "200", grpc: false }
}

const fn grpc(name: &'static str) -> Case {
    Case { grpc: true, ..case(name, GRPC_HELLO) }
}

const ROOT: Request = Request::get("/");

const BARE: Case = case("bare hyper", ROOT);

/// A method of tonic.
const TONIC: Case = grpc("bare tonic");

/// hyper and wasmtime with the raw handler, and nothing else.
const FLOOR: Case = case("the floor, raw handler", ROOT);

/// A host with one plugin, and what it is asked.
struct Asked {
    component: &'static str,
    more: &'static str,
    cases: &'static [Case],
}

const ASKED: [Asked; 6] = [
    Asked {
        component: KITCHEN,
        more: "",
        cases: &[
            case("handler", Request::get("/hello")),
            case("handler, 1 KiB there and back", Request { path: "/echo", echo: Some(1 << 10), json: None }),
            case(
                "handler, 64 KiB there and back",
                Request { path: "/echo", echo: Some(64 << 10), json: None },
            ),
            Case { status: "404", ..case("no route: a 404 of the gateway", Request::get("/nowhere")) },
        ],
    },
    Asked { component: RAW_HANDLER, more: "", cases: &[case("raw handler", ROOT)] },
    Asked {
        component: RAW_HANDLER,
        more: "pool.isolation = \"request\"\n",
        cases: &[case("raw handler, fresh instance", ROOT)],
    },
    Asked { component: WASIP3_HTTP, more: "", cases: &[case("wasi:http 0.3", ROOT)] },
    Asked { component: WSTD_HTTP, more: "", cases: &[case("wasi:http 0.2", ROOT)] },
    Asked {
        component: GREETER_SERVICE,
        more: "",
        cases: &[
            case("a function by JSON-RPC", JSON_RPC_HELLO),
            case("a function by GraphQL", GRAPHQL_HELLO),
            grpc("a function by gRPC"),
        ],
    },
];

/// As many as there is address space for beside valgrind if memories are reserved whole, as they are where the host is
/// deployed: otherwise the code checks each access to them, which is half as many instructions of the guest again.
const ENGINE: &str = "instances = 4\n";

/// Counts and reference, by case.
#[derive(Deserialize, Serialize)]
struct Reference {
    rustc: String,
    instructions: BTreeMap<String, u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let wharf = options.wharf.clone().map_or_else(programs::wharf, Ok)?;
    let cache = TempDir::new();
    let mut bare = Callgrind::start(&std::env::current_exe()?, &[bare::SUBCOMMAND.as_ref()])?;
    let mut counted = vec![(BARE.name, one(&mut bare, &BARE)?)];
    drop(bare);
    let mut bare = Callgrind::start(&std::env::current_exe()?, &[tonic::SUBCOMMAND.as_ref()])?;
    counted.push((TONIC.name, one(&mut bare, &TONIC)?));
    drop(bare);
    let mut floor = Callgrind::start(&programs::floor()?, &[RAW_HANDLER.as_ref()])?;
    counted.push((FLOOR.name, one(&mut floor, &FLOOR)?));
    drop(floor);
    for asked in &ASKED {
        let dir = TempDir::new();
        write_manifest(dir.path(), cache.path(), &manifest(asked))?;
        let up = ["up".as_ref(), dir.path().as_os_str(), "--log".as_ref(), "json".as_ref()];
        let mut host = Callgrind::start(&wharf, &up)?;
        for case in asked.cases {
            eprintln!("counting: {}", case.name);
            counted.push((case.name, one(&mut host, case)?));
        }
    }
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

fn manifest(asked: &Asked) -> String {
    let Asked { component, more, .. } = asked;
    // Under valgrind everything takes fifty times as long.
    let limits = "limits.cpu = \"1m\"\nlimits.wall = \"5m\"\n";
    let routes =
        ["/", "/hello", "/echo"].map(|path| format!("[[route]]\npath = {path:?}\nplugin = \"it\"\n"));
    // A service has its routes from the doors.
    let routes = if *component == GREETER_SERVICE { String::new() } else { routes.concat() };
    format!("{ENGINE}\n[plugin.it]\ncomponent = {component:?}\n{limits}{more}\n{routes}")
}

/// The instructions of one request, by what they belong to.
fn one(host: &mut Callgrind, case: &Case) -> Result<Counts> {
    let mut client = Client::connect(host.addr(), case)?;
    (0..WARM_UP).try_for_each(|_| client.ask())?;
    host.dump()?;
    (0..REQUESTS).try_for_each(|_| client.ask())?;
    Ok(host.dump()?.per(u64::from(REQUESTS)))
}

/// One connection.
enum Client {
    Http1 { stream: TcpStream, message: Vec<u8>, status: &'static str },
    Grpc { runtime: Runtime, caller: Caller },
}

/// Of the same length for every run, which the digits of a port are not.
const HOST: &str = "wharf.test";

impl Client {
    fn connect(addr: SocketAddr, case: &Case) -> Result<Self> {
        if case.grpc {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let method = format!("http://{HOST}{}", case.request.path);
            let caller = runtime.block_on(Caller::connect(addr, &method))?;
            return Ok(Client::Grpc { runtime, caller });
        }
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        let message = case.request.message(addr).bytes;
        let from = format!("host: {addr}");
        let at =
            message.windows(from.len()).position(|window| window == from.as_bytes()).ok_or("has a host")?;
        let host = format!("host: {HOST}");
        let message = [&message[..at], host.as_bytes(), &message[at + from.len()..]].concat();
        Ok(Client::Http1 { stream, message, status: case.status })
    }

    fn ask(&mut self) -> Result<()> {
        let (stream, message, status) = match self {
            Client::Http1 { stream, message, status } => (stream, message, status),
            Client::Grpc { runtime, caller } => return Ok(runtime.block_on(caller.call())?),
        };
        stream.write_all(message)?;
        let mut buffer = vec![0; 256 << 10];
        let mut answer = Answer::of_status(status);
        loop {
            let count = stream.read(&mut buffer)?;
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
