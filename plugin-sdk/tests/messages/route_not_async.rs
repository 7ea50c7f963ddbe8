fn hello() -> &'static str {
    "hello\n"
}

#[wharf_sdk::router]
fn routes() -> wharf_sdk::Router {
    wharf_sdk::Router::new().get("/", hello) //~ put `#[wharf::endpoint]` on the function to see which part of it is not right
}
