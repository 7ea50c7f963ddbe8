//! Imports an interface that no host offers; it must never load.

use wharf::Result;

wit_bindgen::generate!({
    inline: "
        package test:needs-nowhere;
        interface door { enter: func() -> string; }
        world needs-nowhere { import door; }
    ",
});

#[wharf::handler]
async fn enter() -> Result<String> {
    Ok(test::needs_nowhere::door::enter())
}
