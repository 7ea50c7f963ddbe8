struct Note;

#[wharf_sdk::handler]
async fn hello() -> Note { //~ a handler cannot return `Note`
    Note //~ return a `Response`, text, bytes, `()`, a `StatusCode`
}
