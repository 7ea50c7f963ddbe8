//~ a socket function takes what the client sends: add the argument `mut incoming: Streaming<Message>`
#[wharf_sdk::socket]
async fn open(_context: wharf_sdk::Context) -> wharf_sdk::Result<wharf_sdk::socket::Streaming<String>> {
    Ok(wharf_sdk::socket::Streaming::of([]))
}
