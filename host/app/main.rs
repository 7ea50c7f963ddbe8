//! The `wharf` binary: parses the command line and hands over to the command.
//!
//! Start with `wiring.rs`, where a host is built from its parts in one function.

mod access;
mod buckets;
mod build;
mod call;
mod check;
mod cli;
mod compile_worker;
mod component;
mod doors;
mod manifest;
mod progress;
mod rebuild;
mod reload;
mod routes;
mod sdk;
mod shutdown;
mod sources;
mod up;
mod watch;
mod wiring;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: wharf_allocator::Mimalloc = wharf_allocator::Mimalloc;

fn main() -> ExitCode {
    // Not for people, and so no part of the command line: the host starts itself to compile.
    if compile_worker::is_asked_for() {
        return wharf_engine::compile_worker();
    }
    cli::main()
}
