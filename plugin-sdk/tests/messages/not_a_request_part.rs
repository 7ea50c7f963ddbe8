struct Mine;

#[wharf_sdk::handler]
async fn hello(_mine: Mine) -> &'static str { //~ a handler cannot take `Mine`
    "hello\n" //~ or implement `wharf::Extract`
}
