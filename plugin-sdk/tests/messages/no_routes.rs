struct Notes;

#[wharf_sdk::router]
impl Notes { //~ no method of this `impl` is a route
    async fn index(&self) -> &'static str {
        "index\n"
    }
}
