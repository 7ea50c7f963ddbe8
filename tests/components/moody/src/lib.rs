//! Does as the file `/mood/mood` says: with `no-start` it panics in its start hook, with `no-call` in every call.

use wharf::{Context, Handler, Request, Result};

struct Moody;

fn mood() -> String {
    std::fs::read_to_string("/mood/mood").unwrap_or_default()
}

#[wharf::handler]
impl Handler for Moody {
    async fn start() -> Result<Self> {
        assert_ne!(mood(), "no-start", "not in the mood to start");
        Ok(Moody)
    }

    async fn handle(&self, request: Request, _context: Context) -> Result<&'static str> {
        assert_ne!(mood(), "no-call", "not in the mood for calls");
        assert!(!request.uri().path().ends_with("/trap"), "told to panic");
        Ok("in a good mood\n")
    }
}
