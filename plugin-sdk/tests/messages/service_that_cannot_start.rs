//~ `Greeter: Default`
//~ `Greeter: Lifecycle`
wharf_sdk::wit!(inline = "package a:b; interface greetings { greet: func() -> string; }");

struct Greeter;

#[wharf_sdk::service]
impl greetings::Service for Greeter {
    fn greet(&self) -> String {
        String::new()
    }
}
