//! A sound component that is no plugin: it exports a function that is of no interface, and nothing else.

wit_bindgen::generate!({
    inline: "
        package example:math@1.0.0;

        world no-world {
            export add: func(a: u32, b: u32) -> u32;
        }
    ",
});

struct Adder;

export!(Adder);

impl Guest for Adder {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
}
