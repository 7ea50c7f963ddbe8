#[wharf_sdk::handler]
async fn twice(_text: String, _bytes: wharf_sdk::Bytes) -> &'static str { //~ only one argument of a handler can take the body
    "twice\n"
}
