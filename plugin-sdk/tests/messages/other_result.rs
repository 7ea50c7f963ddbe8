#[wharf_sdk::handler]
async fn hello() -> Result<String, std::num::ParseIntError> { //~ a handler cannot return `Result<String, ParseIntError>`
    Ok("7".parse::<u32>()?.to_string()) //~ becomes a `wharf::Result` by using `?` on it
}
