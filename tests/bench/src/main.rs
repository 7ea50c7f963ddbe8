//! Measures the host against a bare hyper server, interleaved: see README.md.
//!
//! Every contender is a process of its own. Rounds alternate between them, so that what the machine does
//! beside us hits all alike, and figures are compared within a round.
//!
//! This crate deliberately does not: measure parts of the host in isolation, or judge. Start with [`main`].

mod bare;
mod client;
mod report;
mod server;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use wharf_harness::process;

use crate::client::drive;
use crate::report::{Report, Round};
use crate::server::Server;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How a run is made.
struct Plan {
    /// Rounds; each contender is measured once in each.
    rounds: usize,
    /// How long each contender is measured in a round.
    measured: Duration,
    /// Connections that are kept busy.
    connections: usize,
}

/// Before each measurement: instances are made, caches fill, the connections open.
const WARM_UP: Duration = Duration::from_millis(500);

/// The clock of `/proc/PID/stat` ticks every 10 ms: with two seconds that is at most 1 % of a busy core.
const MEASURED_MIN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(bare::SUBCOMMAND) => bare::serve(),
        _ => plan(&arguments).and_then(|plan| run(&plan)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the arguments: pairs of a name and a number.
fn plan(arguments: &[String]) -> Result<Plan> {
    let mut plan = Plan { rounds: 6, measured: Duration::from_secs(3), connections: 32 };
    for pair in arguments.chunks(2) {
        let number: Option<u32> = pair.get(1).and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        match (pair[0].as_str(), number) {
            ("--rounds", Some(number)) => plan.rounds = number as usize,
            ("--seconds", Some(number)) => plan.measured = Duration::from_secs(number.into()),
            ("--connections", Some(number)) => plan.connections = number as usize,
            _ => return Err("usage: wharf-bench [--rounds N] [--seconds N] [--connections N]".into()),
        }
    }
    if plan.measured < MEASURED_MIN {
        return Err(format!("a round needs at least {MEASURED_MIN:?}").into());
    }
    if cfg!(debug_assertions) {
        return Err("this is a debug build; run: cargo run --release -p wharf-bench".into());
    }
    Ok(plan)
}

/// Something to measure: a server and what it is asked.
struct Contender {
    name: &'static str,
    server: Server,
    path: &'static str,
}

/// The first is what the others are compared with.
fn contenders(wharf: &Path) -> Result<Vec<Contender>> {
    let component = |name, path, component| {
        Ok::<_, Box<dyn Error>>(Contender { name, server: Server::wharf(wharf, component, path)?, path })
    };
    Ok(vec![
        Contender { name: "bare hyper", server: Server::bare()?, path: "/" },
        component("wharf, handler", "/hello", wharf_harness::components::KITCHEN)?,
        component("wharf, raw handler", "/", wharf_harness::components::RAW_HANDLER)?,
    ])
}

fn run(plan: &Plan) -> Result<()> {
    let target = target_dir()?;
    let wharf = build()?;
    let contenders = contenders(&wharf)?;
    let names = contenders.iter().map(|contender| contender.name.to_owned()).collect();
    let mut report = Report::new(names, plan.measured.as_secs_f64(), plan.connections);
    for number in 0..plan.rounds {
        // Every other round runs backwards: whoever comes first or last does so equally often.
        let forwards = number % 2 == 0;
        let mut round = vec![Round::default(); contenders.len()];
        for place in 0..contenders.len() {
            let index = if forwards { place } else { contenders.len() - 1 - place };
            eprintln!("round {} of {}: {}", number + 1, plan.rounds, contenders[index].name);
            round[index] = measure(&contenders[index], plan)?;
        }
        report.rounds.push(round);
    }
    println!("{report}");
    let json = target.join("bench.json");
    std::fs::write(&json, serde_json::to_vec_pretty(&report)?)?;
    println!("every round: {}", json.display());
    Ok(())
}

fn measure(contender: &Contender, plan: &Plan) -> Result<Round> {
    let Contender { server, path, .. } = contender;
    drive(server.addr(), path, plan.connections, WARM_UP)?;
    let before = process::cpu_time(server.pid());
    let driven = drive(server.addr(), path, plan.connections, plan.measured)?;
    let cpu = process::cpu_time(server.pid()) - before;
    Ok(Round {
        requests_per_s: driven.requests() as f64 / driven.took.as_secs_f64(),
        cpu_us_per_request: cpu.as_secs_f64() * 1e6 / driven.requests() as f64,
        p50_us: driven.percentile_us(50.0),
        p99_us: driven.percentile_us(99.0),
        rss_mib: process::rss_bytes(server.pid()) as f64 / f64::from(1 << 20),
    })
}

/// Brings the binary up to date: comparing figures of an old one by mistake is worse than a short wait.
fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status =
        Command::new(cargo).args(["build", "--release", "--bin", "wharf"]).current_dir(root).status()?;
    if !status.success() {
        return Err(format!("`cargo build --release --bin wharf` ended with {status}").into());
    }
    Ok(target_dir()?.join("release/wharf"))
}

/// The target directory that this program was built into.
fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let dir = program.parent().and_then(Path::parent).ok_or("this program is not in a target directory")?;
    Ok(dir.to_owned())
}
