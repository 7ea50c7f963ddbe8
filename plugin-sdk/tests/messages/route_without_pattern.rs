struct Notes;

#[wharf_sdk::router]
impl Notes {
    #[get] //~ a route has a pattern: `#[get("/notes/{id}")]`
    async fn index(&self) -> &'static str {
        "index\n"
    }
}
