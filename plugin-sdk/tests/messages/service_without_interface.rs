//~ which is named with the interface: `impl accounts::Service for ...`
wharf_sdk::wit!(inline = "package a:b; interface greetings { greet: func() -> string; }");

use greetings::Service;

#[derive(Default)]
struct Greeter;

#[wharf_sdk::service]
impl Service for Greeter {
    fn greet(&self) -> String {
        String::new()
    }
}
