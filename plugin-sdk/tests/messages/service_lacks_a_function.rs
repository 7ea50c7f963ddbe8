//~ not all trait items implemented, missing: `greet`
wharf_sdk::wit!(inline = "package a:b; interface greetings { greet: func() -> string; }");

#[derive(Default)]
struct Greeter;

#[wharf_sdk::service]
impl greetings::Service for Greeter {}
