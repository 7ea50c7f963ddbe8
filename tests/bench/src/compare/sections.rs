//! Who is measured against whom.

use std::fmt;

use wharf_harness::components::{GREETER_SERVICE, KITCHEN, RAW_HANDLER, WASIP3_HTTP, WSTD_HTTP};

use super::{Options, Programs, Row};
use crate::Result;
use crate::load::idle::Held;
use crate::load::{GRAPHQL_HELLO, GRPC_HELLO, JSON_RPC_HELLO, Request};
use crate::server::{Server, Wharf};

/// Contenders that are measured in turn, with one load.
pub(crate) struct Section {
    pub(crate) row: Row,
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    /// The first is what the others are compared with.
    pub(crate) contenders: Vec<Contender>,
}

#[derive(Clone, Copy)]
pub(crate) enum Load {
    Closed { connections: usize },
    Grpc { connections: usize, streams: usize },
    Open { rate: u32, connections: usize },
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Closed { connections } => write!(f, "closed loop, {connections} connections"),
            Load::Grpc { connections, streams } => {
                write!(f, "closed loop, {connections} connections with {streams} calls at once each")
            }
            Load::Open { rate, connections } => {
                write!(f, "open loop, {rate} requests/s, at most {connections} connections")
            }
        }
    }
}

/// Something to measure: a server and what it is asked.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
    pub(crate) request: Request,
    /// Idle connections beside those that are measured.
    pub(crate) held: Option<Held>,
}

pub(crate) const BARE: &str = "bare hyper";
pub(crate) const FLOOR_SDK: &str = "floor, handler";
pub(crate) const FLOOR_RAW: &str = "floor, raw handler";
pub(crate) const FLOOR_FRESH_SDK: &str = "floor, handler, fresh instance";
pub(crate) const FLOOR_FRESH_RAW: &str = "floor, raw handler, fresh instance";
pub(crate) const SDK: &str = "wharf, handler";
pub(crate) const RAW: &str = "wharf, raw handler";
pub(crate) const FRESH_SDK: &str = "wharf, handler, fresh instance";
pub(crate) const FRESH_RAW: &str = "wharf, raw handler, fresh instance";
pub(crate) const WHARF: &str = "wharf";
pub(crate) const WHARF_FRESH: &str = "wharf, fresh instance";
pub(crate) const SERVE: &str = "wasmtime serve";
pub(crate) const SERVE_BEST: &str = "wasmtime serve, best flags";
const COPY: &str = "wharf, handler that copies";
const SHARED: &str = "wharf, handler, 32 calls at once";
const WAITS: &str = "wharf, handler that waits 5 ms";
const WAITS_SHARED: &str = "wharf, handler that waits 5 ms, 32 calls at once";
pub(crate) const REST: &str = "wharf, REST";
pub(crate) const JSON_RPC: &str = "wharf, JSON-RPC";
pub(crate) const GRAPHQL: &str = "wharf, GraphQL";
pub(crate) const TONIC: &str = "bare tonic";
pub(crate) const GRPC: &str = "wharf, gRPC";
pub(crate) const CROWDED: &str = "wharf, 10,000 idle connections";

/// How many connections the row of that name holds.
const IDLE_CONNECTIONS: usize = 10_000;

/// A new instance for every call.
const FRESH: &str = "[plugin.it.pool]\nisolation = \"request\"\n";

/// Many calls at once in one instance.
const CONCURRENT: &str = "[plugin.it.pool]\nconcurrency = 32\n";

/// What `wasmtime serve` is at its best with: instances that are reused as often as the host's are, many calls at
/// once in one, and slots whose pages stay. Measured one by one, the first matters most, the last hardly.
const SERVE_FLAGS_BEST: &[&str] = &[
    "-Scli",
    "--max-instance-reuse-count=10000",
    "--max-instance-concurrent-reuse-count=128",
    "-Opooling-memory-keep-resident=262144",
    "-Opooling-table-keep-resident=65536",
    "-Opooling-async-stack-keep-resident=65536",
    "-Opooling-pagemap-scan=auto",
];
const SERVE_FLAGS: &[&str] = &["-Scli"];

const HELLO: Request = Request::get("/hello");
const ROOT: Request = Request::get("/");
const WAIT: Request = Request::get("/wait?ms=5");

/// Starts the contenders of a row.
pub(crate) fn of(row: Row, programs: &Programs, options: &Options) -> Result<Section> {
    let closed = Load::Closed { connections: options.connections.into() };
    let open = Load::Open { rate: options.rate, connections: 256 };
    let new = |title, load, contenders| Section { row, title, load, contenders };
    let bare = |request| contender(BARE, Server::bare()?, request);
    let wharf =
        |name, component, request, more| contender(name, programs.wharf(component, request, more)?, request);
    let echo = |length| Request { path: "/echo", echo: Some(length), json: None };
    let copy = |length| Request { path: "/echo?copy", ..echo(length) };
    Ok(match row {
        Row::Hello => new(
            "hello",
            closed,
            vec![
                bare(ROOT)?,
                contender(FLOOR_SDK, programs.floor(KITCHEN, false)?, HELLO)?,
                contender(FLOOR_RAW, programs.floor(RAW_HANDLER, false)?, ROOT)?,
                contender(FLOOR_FRESH_SDK, programs.floor(KITCHEN, true)?, HELLO)?,
                contender(FLOOR_FRESH_RAW, programs.floor(RAW_HANDLER, true)?, ROOT)?,
                wharf(SDK, KITCHEN, HELLO, "")?,
                wharf(RAW, RAW_HANDLER, ROOT, "")?,
                wharf(FRESH_SDK, KITCHEN, HELLO, FRESH)?,
                wharf(FRESH_RAW, RAW_HANDLER, ROOT, FRESH)?,
            ],
        ),
        Row::Wasi03 => new(
            "a wasi:http 0.3 component",
            closed,
            vec![
                contender(SERVE, programs.serve(WASIP3_HTTP, SERVE_FLAGS)?, ROOT)?,
                contender(SERVE_BEST, programs.serve(WASIP3_HTTP, SERVE_FLAGS_BEST)?, ROOT)?,
                wharf(WHARF, WASIP3_HTTP, ROOT, "")?,
                wharf(WHARF_FRESH, WASIP3_HTTP, ROOT, FRESH)?,
            ],
        ),
        Row::Wasi02 => new(
            "a wasi:http 0.2 component",
            closed,
            vec![
                contender(SERVE, programs.serve(WSTD_HTTP, SERVE_FLAGS)?, ROOT)?,
                contender(SERVE_BEST, programs.serve(WSTD_HTTP, SERVE_FLAGS_BEST)?, ROOT)?,
                wharf(WHARF, WSTD_HTTP, ROOT, "")?,
            ],
        ),
        Row::Echo64k => new(
            "bodies of 64 KiB, there and back",
            closed,
            vec![
                bare(echo(64 << 10))?,
                wharf(SDK, KITCHEN, echo(64 << 10), "")?,
                wharf(COPY, KITCHEN, copy(64 << 10), "")?,
            ],
        ),
        Row::Echo1m => new(
            "bodies of 1 MiB, there and back",
            Load::Closed { connections: 8 },
            vec![bare(echo(1 << 20))?, wharf(SDK, KITCHEN, echo(1 << 20), "")?],
        ),
        Row::Doors => {
            let door = |name, request| contender(name, programs.service(GREETER_SERVICE)?, request);
            new(
                "a function through each door of JSON",
                closed,
                vec![
                    bare(ROOT)?,
                    door(REST, Request::json("/rpc/test:greeter@1/greetings/hello", "{}"))?,
                    door(JSON_RPC, JSON_RPC_HELLO)?,
                    door(GRAPHQL, GRAPHQL_HELLO)?,
                ],
            )
        }
        Row::Grpc => new(
            "a function through gRPC",
            Load::Grpc { connections: 4, streams: 8 },
            vec![
                contender(TONIC, Server::tonic()?, GRPC_HELLO)?,
                contender(GRPC, programs.service(GREETER_SERVICE)?, GRPC_HELLO)?,
            ],
        ),
        Row::Concurrency => new(
            "calls at once in one instance",
            Load::Closed { connections: 128 },
            vec![
                wharf(SDK, KITCHEN, HELLO, "")?,
                wharf(SHARED, KITCHEN, HELLO, CONCURRENT)?,
                wharf(WAITS, KITCHEN, WAIT, "")?,
                wharf(WAITS_SHARED, KITCHEN, WAIT, CONCURRENT)?,
            ],
        ),
        Row::Open => new(
            "latency at a fixed rate",
            open,
            vec![
                bare(ROOT)?,
                contender(FLOOR_SDK, programs.floor(KITCHEN, false)?, HELLO)?,
                contender(FLOOR_RAW, programs.floor(RAW_HANDLER, false)?, ROOT)?,
                wharf(SDK, KITCHEN, HELLO, "")?,
                wharf(RAW, RAW_HANDLER, ROOT, "")?,
                wharf(FRESH_SDK, KITCHEN, HELLO, FRESH)?,
            ],
        ),
        Row::Idle => {
            const PATIENT: &str = "[http]\nconnections = 11000\nidle_timeout = \"1h\"\n";
            let mut crowded = wharf(CROWDED, KITCHEN, HELLO, PATIENT)?;
            crowded.held = Some(Held::open(crowded.server.addr(), HELLO, IDLE_CONNECTIONS)?);
            new("idle connections", open, vec![wharf(SDK, KITCHEN, HELLO, PATIENT)?, crowded])
        }
        Row::Cold | Row::Memory => return Err("is measured by itself".into()),
    })
}

fn contender(name: &'static str, server: Server, request: Request) -> Result<Contender> {
    Ok(Contender { name, server, request, held: None })
}

impl Programs {
    /// A host with one plugin, where `more` says what is not as by default.
    pub(crate) fn wharf(&self, component: &str, request: Request, more: &str) -> Result<Server> {
        Server::wharf(self.setup(component, request, more))
    }

    /// A host with one plugin whose functions are called.
    fn service(&self, component: &str) -> Result<Server> {
        Server::wharf(Wharf { binary: &self.wharf, cache: self.cache.path(), component, path: "", more: "" })
    }

    pub(crate) fn setup<'a>(&'a self, component: &'a str, request: Request, more: &'a str) -> Wharf<'a> {
        let path = request.path.split('?').next().unwrap_or_default();
        Wharf { binary: &self.wharf, cache: self.cache.path(), component, path, more }
    }

    /// The least that can serve the component.
    fn floor(&self, component: &str, fresh: bool) -> Result<Server> {
        let binary = self.floor.as_deref().ok_or("the floor is not built")?;
        Server::floor(binary, component, fresh)
    }

    fn serve(&self, component: &str, flags: &[&str]) -> Result<Server> {
        let binary = self.wasmtime.as_deref().ok_or("wasmtime is not installed")?;
        Server::wasmtime(binary, component, flags)
    }
}
