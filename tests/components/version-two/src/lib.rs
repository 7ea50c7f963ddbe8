//! Answers every request with `x-version: two` and a streamed body of five lines `two`.

use wharf::{Response, Result};

#[wharf::handler]
async fn version() -> Result<Response> {
    shared::version::answer("two")
}
