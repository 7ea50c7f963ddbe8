//! Answers every request with `x-version: one` and a streamed body of five lines `one`.

use wharf::{Response, Result};

#[wharf::handler]
async fn version() -> Result<Response> {
    shared::version::answer("one")
}
