#[wharf_sdk::handler]
fn hello() -> &'static str { //~ a handler is asynchronous: write `async fn hello`
    "hello\n"
}
