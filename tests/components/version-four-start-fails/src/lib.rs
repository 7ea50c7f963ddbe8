//! Its start hook fails: it must never serve.

use wharf::{Context, Failure, Handler, Request, Response, Result};

struct Unstartable;

#[wharf::handler]
impl Handler for Unstartable {
    async fn start() -> Result<Self> {
        Err(Failure::unavailable("no fuel in the tank").with_details("the gauge reads 0"))
    }

    async fn handle(&self, _request: Request, _context: Context) -> Result<Response> {
        shared::version::answer("four")
    }
}
