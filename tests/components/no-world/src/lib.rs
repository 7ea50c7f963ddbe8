//! A sound component that is no plugin: it exports `example:math/adder@1.0.0` and nothing else.

wit_bindgen::generate!({
    inline: "
        package example:math@1.0.0;

        interface adder {
            add: func(a: u32, b: u32) -> u32;
        }

        world no-world {
            export adder;
        }
    ",
});

struct Adder;

export!(Adder);

impl exports::example::math::adder::Guest for Adder {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
}
