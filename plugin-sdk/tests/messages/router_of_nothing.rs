#[wharf_sdk::router]
fn routes() -> &'static str { //~ `#[wharf::router]` needs a function that returns a `Router`
    "no router"
}
