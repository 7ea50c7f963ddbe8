use wharf_sdk::socket::{Message, Streaming};

//~ a socket is asynchronous: write `async fn open`
#[wharf_sdk::socket]
fn open(incoming: Streaming<Message>) -> wharf_sdk::Result<Streaming<Message>> {
    Ok(incoming)
}
