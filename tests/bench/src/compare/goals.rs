//! The goals that the host is built to, and whether the run has reached them.

use std::fmt;

use super::Row;
use super::report::{Report, Round, Rounds, row};
use super::sections::{
    BARE, CROWDED, FLOOR_FRESH_RAW, FLOOR_FRESH_SDK, FLOOR_RAW, FLOOR_SDK, FRESH_RAW, FRESH_SDK, GRAPHQL,
    GRPC, JSON_RPC, RAW, SDK, SERVE, SERVE_BEST, TONIC, WHARF,
};
use super::spread::Spread;

struct Goal {
    figure: &'static str,
    /// What is bounded, with its unit.
    what: &'static str,
    bound: Bound,
    measured: Spread,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}
use Bound::{AtLeast, AtMost};

impl Goal {
    fn held(&self) -> bool {
        match self.bound {
            AtLeast(bound) => self.measured.median >= bound,
            AtMost(bound) => self.measured.median <= bound,
        }
    }

    fn verdict(&self) -> String {
        if self.held() {
            return "held".to_owned();
        }
        let (AtLeast(bound) | AtMost(bound)) = self.bound;
        if bound == 0.0 {
            "missed".to_owned()
        } else {
            format!("missed: {:.2} of it", self.measured.median / bound)
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtLeast(bound) => write!(f, ">= {bound}"),
            AtMost(bound) => write!(f, "<= {bound}"),
        }
    }
}

/// Writes the goals whose rows were measured.
pub(crate) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    row(f, &["goal", "bound", "measured", "median"])?;
    row(f, &["---"; 4])?;
    for goal in of(report) {
        let name = format!("{}: {}", goal.figure, goal.what);
        row(f, &[&name, &goal.bound.to_string(), &goal.measured.text(), &goal.verdict()])?;
    }
    Ok(())
}

fn of(report: &Report) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut add = |figure, what, bound, measured: Option<Spread>| {
        goals.extend(measured.map(|measured| Goal { figure, what, bound, measured }));
    };
    let rate = |section: &Rounds, own: &str, other: &str| {
        section.compare(own, other, |own, other| own.requests_per_s / other.requests_per_s)
    };
    let cpu_us = |section: &Rounds, own: &str| section.figure(own, |round| round.cpu_us_per_request);
    if let Some(hello) = report.section(Row::Hello) {
        let figure = "warm handler";
        add(figure, "requests/s, x bare hyper", AtLeast(0.75), rate(hello, SDK, BARE));
        add(figure, "server CPU us/request", AtMost(9.0), cpu_us(hello, SDK));
        let more = hello.compare(SDK, BARE, |own, bare| own.cpu_us_per_request - bare.cpu_us_per_request);
        add(figure, "server CPU us/request more than bare hyper", AtMost(12.0), more);
        let over = |own, other| {
            hello.compare(own, other, |own, other| own.cpu_us_per_request / other.cpu_us_per_request)
        };
        add(figure, "server CPU, x the floor", AtMost(1.2), over(SDK, FLOOR_SDK));
        add("warm raw handler", "server CPU, x the floor", AtMost(1.2), over(RAW, FLOOR_RAW));
        let figure = "fresh instance per request";
        add(figure, "requests/s, x bare hyper", AtLeast(0.45), rate(hello, FRESH_SDK, BARE));
        add(figure, "server CPU us/request", AtMost(18.0), cpu_us(hello, FRESH_SDK));
        add(figure, "server CPU, x the floor", AtMost(1.2), over(FRESH_SDK, FLOOR_FRESH_SDK));
        let figure = "fresh raw instance per request";
        add(figure, "server CPU, x the floor", AtMost(1.2), over(FRESH_RAW, FLOOR_FRESH_RAW));
    }
    for (wanted, figure, default, best) in
        [(Row::Wasi03, "wasi:http 0.3", 2.0, 1.5), (Row::Wasi02, "wasi:http 0.2", 3.0, 1.2)]
    {
        if let Some(section) = report.section(wanted) {
            add(figure, "requests/s, x wasmtime serve", AtLeast(default), rate(section, WHARF, SERVE));
            add(figure, "requests/s, x its best flags", AtLeast(best), rate(section, WHARF, SERVE_BEST));
        }
    }
    if let Some(doors) = report.section(Row::Doors) {
        add("a function by JSON-RPC", "requests/s, x bare hyper", AtLeast(0.4), rate(doors, JSON_RPC, BARE));
        add("a function by GraphQL", "requests/s, x bare hyper", AtLeast(0.35), rate(doors, GRAPHQL, BARE));
    }
    if let Some(grpc) = report.section(Row::Grpc) {
        add("a function by gRPC", "requests/s, x bare tonic", AtLeast(0.5), rate(grpc, GRPC, TONIC));
    }
    if let Some(open) = report.section(Row::Open) {
        let more =
            |figure: fn(&Round) -> f64| open.compare(SDK, BARE, move |own, bare| figure(own) - figure(bare));
        let figure = "latency added at the fixed rate";
        add(figure, "p50 us more than bare hyper", AtMost(40.0), more(|round| round.p50_us));
        add(figure, "p99 us more than bare hyper", AtMost(300.0), more(|round| round.p99_us));
    }
    for (wanted, figure) in [(Row::Echo64k, "64 KiB there and back"), (Row::Echo1m, "1 MiB there and back")] {
        if let Some(section) = report.section(wanted) {
            add(figure, "throughput, x bare hyper", AtLeast(0.5), rate(section, SDK, BARE));
        }
    }
    if let Some(cold) = &report.cold {
        add("cold first request from the cache", "ms", AtMost(10.0), Some(cold.plugin_ms.clone()));
    }
    if let Some(memory) = &report.memory {
        let figure = "resident memory";
        let idle = Spread::of([memory.idle as f64 / f64::from(1 << 20)]);
        add(figure, "MiB, idle with one plugin", AtMost(30.0), Some(idle));
        let host = Spread::of([memory.host() / 1024.0]);
        add(figure, "KiB of the host's for an idle instance", AtMost(150.0), Some(host));
    }
    if let Some(idle) = report.section(Row::Idle) {
        let figure = "10,000 idle connections held";
        let errors = idle.figure(CROWDED, |round| round.errors as f64);
        add(figure, "errors", AtMost(0.0), errors);
        let p99 = idle.compare(CROWDED, SDK, |own, alone| own.p99_us / alone.p99_us);
        add(figure, "p99, x without them", AtMost(3.0), p99);
    }
    goals
}
