//! Measures the host from outside: against a bare hyper server and `wasmtime serve`, over time, and in
//! instructions. See README.md.
//!
//! - [`compare`]: every contender is a process of its own. Rounds alternate between them, so that what the
//!   machine does beside us hits all alike, and figures are compared within a round.
//! - [`soak`]: a mixed load with reloads and traps, after which everything must be as it was before.
//! - [`instructions`]: what one request costs in instructions, which does not depend on what else runs.
//!
//! This crate deliberately does not: know any crate of the host. What is measured in process is beside the code
//! that it measures, in `host/engine/benches` and `host/gateway/benches`. Start with [`compare::run`].

mod compare;
mod instructions;
mod load;
mod programs;
mod readme;
mod server;
mod soak;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Measures the host. Without a subcommand: against bare hyper and wasmtime serve.")]
struct Arguments {
    #[command(flatten)]
    compare: compare::Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves a mixed load with reloads and traps; fails unless everything ends as it began.
    Soak(soak::Options),
    /// Counts the instructions of one request, with callgrind.
    Instructions(instructions::Options),
    /// The bare hyper server.
    #[command(name = server::bare::SUBCOMMAND, hide = true)]
    BareServer,
    /// The bare tonic server.
    #[command(name = server::tonic::SUBCOMMAND, hide = true)]
    TonicServer,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::BareServer) => server::bare::serve(),
        Some(Command::TonicServer) => server::tonic::serve(),
        _ if cfg!(debug_assertions) => Err("this is a debug build; add --release to `cargo run`".into()),
        Some(Command::Soak(options)) => soak::run(options),
        Some(Command::Instructions(options)) => instructions::run(options),
        None => compare::run(&arguments.compare),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
