//~ nothing in this crate serves the interface `Greetings`
//~ write `#[wharf::service] impl
wharf_sdk::wit!(inline = "package a:b; interface greetings { greet: func() -> string; }");
