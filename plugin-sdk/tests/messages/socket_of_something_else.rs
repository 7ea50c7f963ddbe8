use wharf_sdk::socket::{Message, Streaming};

//~ `wharf_sdk::socket::Message: From<u32>` is not satisfied
#[wharf_sdk::socket]
async fn open(_incoming: Streaming<Message>) -> wharf_sdk::Result<Streaming<u32>> {
    Ok(Streaming::of([1]))
}
