//~ method `greet` has an incompatible type for trait
wharf_sdk::wit!(inline = "package a:b; interface greetings { greet: func(name: string) -> string; }");

#[derive(Default)]
struct Greeter;

#[wharf_sdk::service]
impl greetings::Service for Greeter {
    fn greet(&self, name: u32) -> String {
        name.to_string()
    }
}
