struct Notes;

#[wharf_sdk::router]
impl Notes {
    #[get("/")]
    async fn index(&mut self) -> &'static str { //~ a route takes `&self`: the instance serves the next call as well
        "index\n"
    }
}
