//! The first request of a host that finds its compiled components in the cache.

use std::time::{Duration, Instant};

use serde::Serialize;
use wharf_harness::TempDir;
use wharf_harness::components::KITCHEN;

use super::Programs;
use super::spread::Spread;
use crate::Result;
use crate::load::Request;
use crate::load::idle::Held;
use crate::server::{Server, write_manifest};

/// Starts that are measured for each round that others are measured.
const STARTS_PER_ROUND: usize = 5;

/// In milliseconds.
#[derive(Serialize)]
pub(crate) struct Cold {
    /// From the start of the process of a host without plugins to the line that says that it listens.
    pub(crate) empty_ms: Spread,
    /// The same of a host with one plugin, which is loaded from the cache, instantiated, started and asked for
    /// its health by then.
    pub(crate) listening_ms: Spread,
    /// From that line to the end of the first answer, on a new connection.
    pub(crate) first_ms: Spread,
    /// What the plugin adds before its first answer: its part of the start, and the first answer.
    pub(crate) plugin_ms: Spread,
    /// The answer of a running host whose plugin has no instance, because nobody has called it for a while.
    pub(crate) scaled_ms: Spread,
}

pub(crate) fn measure(programs: &Programs, rounds: usize) -> Result<Cold> {
    let request = Request::get("/hello");
    // The first start compiles, and leaves in the cache what the others find.
    drop(programs.wharf(KITCHEN, request, "")?);
    let (mut empty, mut listening, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for start in 0..rounds * STARTS_PER_ROUND {
        eprintln!("cold start {} of {}", start + 1, rounds * STARTS_PER_ROUND);
        empty.push(milliseconds(start_empty(programs)?));
        let (until_listening, until_answer) = start_and_ask(programs, request)?;
        listening.push(milliseconds(until_listening));
        first.push(milliseconds(until_answer));
    }
    let plugin = (0..empty.len()).map(|at| listening[at] - empty[at] + first[at]);
    Ok(Cold {
        plugin_ms: Spread::of(plugin),
        scaled_ms: Spread::of(scaled_to_zero(programs, request, rounds * STARTS_PER_ROUND)?),
        empty_ms: Spread::of(empty),
        listening_ms: Spread::of(listening),
        first_ms: Spread::of(first),
    })
}

/// How long the first answers take after a pool had time to become empty, on a connection of their own.
fn scaled_to_zero(programs: &Programs, request: Request, times: usize) -> Result<Vec<f64>> {
    /// Several times what it takes until an idle instance is stopped.
    const PAUSE: Duration = Duration::from_millis(400);
    let server = programs.wharf(KITCHEN, request, "[plugin.it.pool]\nmin = 0\nidle = \"100ms\"\n")?;
    let mut answers = Vec::with_capacity(times);
    for time in 0..times {
        eprintln!("cold start of an instance {} of {times}", time + 1);
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        Held::open(server.addr(), request, 1)?;
        answers.push(milliseconds(begun.elapsed()));
    }
    Ok(answers)
}

/// How long a host without plugins takes until it listens.
fn start_empty(programs: &Programs) -> Result<Duration> {
    let dir = TempDir::new();
    write_manifest(dir.path(), programs.cache.path(), "")?;
    let mut command = std::process::Command::new(&programs.wharf);
    command.arg("up").arg(dir.path()).args(["--log", "json"]);
    let begun = Instant::now();
    let _host = Server::wharf_of(command, dir)?;
    Ok(begun.elapsed())
}

/// How long a host takes until it listens, and from then until it has answered.
fn start_and_ask(programs: &Programs, request: Request) -> Result<(Duration, Duration)> {
    let (command, dir) = programs.setup(KITCHEN, request, "").command()?;
    let begun = Instant::now();
    let host = Server::wharf_of(command, dir)?;
    let until_listening = begun.elapsed();
    Held::open(host.addr(), request, 1)?;
    Ok((until_listening, begun.elapsed() - until_listening))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
