//! Counts its hooks: `/started` answers how often `start` ran in this instance, which must be once, and
//! `stop` writes a line to stderr.

use std::cell::Cell;

use wharf::{Context, Failure, Handler, Request, Result};

thread_local! {
    static STARTED: Cell<u32> = const { Cell::new(0) };
}

struct Counter;

#[wharf::handler]
impl Handler for Counter {
    async fn start() -> Result<Self> {
        STARTED.set(STARTED.get() + 1);
        Ok(Counter)
    }

    async fn handle(&self, request: Request, _context: Context) -> Result<String> {
        match request.uri().path() {
            "/started" => Ok(format!("{}\n", STARTED.get())),
            _ => Err(Failure::not_found("try /started")),
        }
    }

    async fn stop(&self) {
        eprintln!("stopping");
    }
}
