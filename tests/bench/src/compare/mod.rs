//! The host beside others: sections of contenders, measured in turn.

mod cold;
mod goals;
mod memory;
mod report;
mod sections;
mod spread;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use wharf_harness::{TempDir, process};

use self::report::{Report, Round, Rounds};
use self::sections::{Contender, Load, Section};
use crate::load::{self, Driven, Waiting};
use crate::{Result, programs};

/// Before each measurement: instances are made, caches fill, connections open.
const WARM_UP: Duration = Duration::from_millis(300);

/// More than the idle connections need, of client and server alike.
const OPEN_FILES: u64 = 12_000;

/// What to measure, and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Measures these rows only, and leaves README.md as it is.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
    /// Two rounds: to see that it works, not for figures. Leaves README.md as it is.
    #[arg(long)]
    quick: bool,
    /// Rounds; each contender is measured once in each.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds that a contender is measured in a round: of a closed load, half of them with a client that sleeps while
    /// it waits, and half with one that polls. CPU time is counted in steps of 10 ms: in one second that is
    /// 1 % of a busy core.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..))]
    seconds: u16,
    /// Connections of a closed load.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Measures this host, rather than the one that is built from the tree: to compare commits. Leaves README.md
    /// as it is.
    #[arg(long)]
    wharf: Option<PathBuf>,
    /// Requests per second of an open load.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Handlers against bare hyper: reused and fresh instances.
    Hello,
    /// The same wasi:http 0.3 component here and with `wasmtime serve`.
    #[value(name = "wasi-0.3")]
    Wasi03,
    /// The same wasi:http 0.2 component here and with `wasmtime serve`.
    #[value(name = "wasi-0.2")]
    Wasi02,
    /// Bodies of 64 KiB there and back.
    #[value(name = "echo-64k")]
    Echo64k,
    /// Bodies of 1 MiB there and back.
    #[value(name = "echo-1m")]
    Echo1m,
    /// A function through REST, JSON-RPC and GraphQL, against bare hyper hello.
    Doors,
    /// The same function through gRPC, against a bare tonic server.
    Grpc,
    /// Several calls at once in one instance.
    Concurrency,
    /// Latency at a fixed rate.
    Open,
    /// The same with and without 10,000 idle connections.
    Idle,
    /// The first request of a host whose cache is warm.
    Cold,
    /// Resident memory.
    Memory,
}

/// What contenders are made of.
pub(crate) struct Programs {
    wharf: PathBuf,
    floor: Option<PathBuf>,
    wasmtime: Option<PathBuf>,
    cache: TempDir,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = |row: &Row| options.only.is_empty() || options.only.contains(row);
    let rows: Vec<Row> = Row::value_variants().iter().copied().filter(wanted).collect();
    let needs_wasmtime = rows.iter().any(|row| matches!(row, Row::Wasi02 | Row::Wasi03));
    load::idle::allow_open_files(OPEN_FILES)?;
    let programs = Programs {
        wharf: options.wharf.clone().map_or_else(programs::wharf, Ok)?,
        floor: rows.contains(&Row::Hello).then(programs::floor).transpose()?,
        wasmtime: needs_wasmtime.then(programs::wasmtime).transpose()?,
        cache: TempDir::new(),
    };
    let rounds = if options.quick { 2 } else { usize::from(options.rounds) };
    let measured = Duration::from_secs(options.seconds.into());
    let begun = Instant::now();
    let mut report = Report::new(rounds, measured);
    // What was measured before something failed is still worth reading.
    let measured_all = rows.iter().try_for_each(|row| -> Result<()> {
        match row {
            Row::Cold => report.cold = Some(cold::measure(&programs, rounds)?),
            Row::Memory => report.memory = Some(memory::measure(&programs)?),
            _ => {
                let section = sections::of(*row, &programs, options)?;
                report.sections.push(measure(section, rounds, measured)?);
            }
        }
        Ok(())
    });
    report.seconds_taken = begun.elapsed().as_secs();
    println!("{report}");
    let json = programs::target_dir()?.join("bench.json");
    std::fs::write(&json, serde_json::to_vec_pretty(&report)?)?;
    println!("every round: {}", json.display());
    measured_all?;
    if options.only.is_empty() && !options.quick && options.wharf.is_none() {
        let page = programs::root().join("tests/bench/README.md");
        crate::readme::replace(&page, "figures", &report.to_string())?;
        println!("written into {}", page.display());
    }
    Ok(())
}

/// Measures every contender of a section in every round.
fn measure(section: Section, rounds: usize, measured: Duration) -> Result<Rounds> {
    let contenders = &section.contenders;
    let mut all = Vec::new();
    for number in 0..rounds {
        // Every other round runs backwards: whoever comes first or last does so equally often.
        let forwards = number % 2 == 0;
        let mut round = vec![Round::default(); contenders.len()];
        for place in 0..contenders.len() {
            let index = if forwards { place } else { contenders.len() - 1 - place };
            eprintln!("{}, round {} of {rounds}: {}", section.title, number + 1, contenders[index].name);
            round[index] = one(&contenders[index], section.load, measured)
                .map_err(|error| format!("{}: {error}", contenders[index].name))?;
        }
        all.push(round);
    }
    for contender in contenders {
        let lost = contender.held.as_ref().map_or(Ok(0), load::idle::Held::lost)?;
        if lost > 0 {
            return Err(format!("{}: {lost} idle connections were closed", contender.name).into());
        }
    }
    let names = contenders.iter().map(|contender| contender.name.to_owned()).collect();
    Ok(Rounds {
        row: section.row,
        title: section.title.to_owned(),
        load: section.load.to_string(),
        contenders: names,
        rounds: all,
    })
}

fn one(contender: &Contender, load: Load, measured: Duration) -> Result<Round> {
    let pid = contender.server.pid();
    drive(contender, load, Waiting::Awake, WARM_UP)?;
    let half = measured / 2;
    let before = process::cpu_time(pid);
    // What is billed is measured with one client and what is answered with another; an open load needs no second.
    let (driven, billed, cpu) = if let Load::Open { .. } = load {
        let driven = drive(contender, load, Waiting::Asleep, measured)?;
        let requests = driven.requests();
        (driven, requests, process::cpu_time(pid) - before)
    } else {
        let billed = drive(contender, load, Waiting::Awake, half)?.requests();
        let cpu = process::cpu_time(pid) - before;
        (drive(contender, load, Waiting::Asleep, half)?, billed, cpu)
    };
    Ok(Round {
        requests_per_s: driven.requests() as f64 / driven.took.as_secs_f64(),
        cpu_us_per_request: cpu.as_secs_f64() * 1e6 / billed as f64,
        p50_us: driven.percentile_us(50.0),
        p99_us: driven.percentile_us(99.0),
        p999_us: driven.percentile_us(99.9),
        rss_mib: process::rss_bytes(pid) as f64 / f64::from(1 << 20),
        errors: driven.errors,
    })
}

fn drive(contender: &Contender, load: Load, waiting: Waiting, duration: Duration) -> Result<Driven> {
    let (addr, request) = (contender.server.addr(), contender.request);
    match load {
        Load::Closed { connections } => load::closed::drive(addr, request, connections, waiting, duration),
        Load::Grpc { connections, streams } => {
            load::grpc::drive(addr, request, connections, streams, waiting, duration)
        }
        Load::Open { rate, connections } => load::open::drive(addr, request, connections, rate, duration),
    }
}
