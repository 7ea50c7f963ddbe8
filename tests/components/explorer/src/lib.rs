//! Uses files and sockets through the standard library, as the fields of the request ask for: see `explore`.

use wharf::{Request, Result};

#[wharf::handler]
async fn explorer(request: Request) -> Result<String> {
    Ok(explore::explore(request.uri().path(), |name| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }))
}
