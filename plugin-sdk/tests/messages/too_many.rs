use wharf_sdk::Method as M;

#[wharf_sdk::handler]
async fn many(_: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M) -> &'static str { //~ a handler takes at most 8 arguments
    "many\n"
}
