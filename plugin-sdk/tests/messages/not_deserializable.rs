struct Note;

#[wharf_sdk::handler]
async fn hello(wharf_sdk::Json(_note): wharf_sdk::Json<Note>) -> &'static str { //~ `Note` doesn't implement `Deserialize`
    "hello\n"
}
