//! A first plugin: says hello, to whom the path names.

use wharf::{Context, Failure, Request, Result};

/// Called once for each request that a route in wharf.toml sends here.
#[wharf::handler]
async fn hello(request: Request, context: Context) -> Result<String> {
    // `/hello/{name}` has a parameter, `/` has none.
    let name = context.param("name").unwrap_or("world");
    if name.len() > 64 {
        // The client gets a 400 with this message, as a problem document.
        return Err(Failure::bad_request("a name has at most 64 bytes"));
    }
    // Whatever is printed goes to the host's log, with the id of the request.
    println!("{} {} says hello to {name}", request.method(), context.route());
    Ok(format!("Hello, {name}!\n"))
}
