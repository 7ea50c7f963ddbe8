struct Mine;

#[wharf_sdk::endpoint]
async fn hello(_path: wharf_sdk::Path<u32>, _mine: Mine) -> &'static str { //~ a handler cannot take `Mine`
    "hello\n"
}
