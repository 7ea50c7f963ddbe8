//! Its start hook traps: it must never serve.

use wharf::{Context, Handler, Request, Response, Result};

struct Trapped;

#[wharf::handler]
impl Handler for Trapped {
    async fn start() -> Result<Self> {
        panic!("the start hook panics")
    }

    async fn handle(&self, _request: Request, _context: Context) -> Result<Response> {
        shared::version::answer("five")
    }
}
