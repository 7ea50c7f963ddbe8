//~ `Greeter` is not a handler: it lacks `impl Handler for Greeter`
wharf_sdk::wit!(inline = "package a:b; interface greetings { greet: func() -> string; }", handler);

#[derive(Default)]
struct Greeter;

#[wharf_sdk::service]
impl greetings::Service for Greeter {
    fn greet(&self) -> String {
        String::new()
    }
}
