//! Starts and would answer, but its health check fails: it must never serve.

use wharf::{Context, Failure, Handler, Request, Response, Result};

struct Unhealthy;

#[wharf::handler]
impl Handler for Unhealthy {
    async fn start() -> Result<Self> {
        Ok(Unhealthy)
    }

    async fn handle(&self, _request: Request, _context: Context) -> Result<Response> {
        shared::version::answer("three")
    }

    async fn health(&self) -> Result<()> {
        Err(Failure::unavailable("the database is on fire").with_details("flames up to row 7"))
    }
}
