//! Gives back what it is given: a function for every WIT type within every other. `build.rs` writes the WIT and this.

use exports::test::echo_types::echo::{Color, Guest, Order, Person, Point, Rights, Shape};
use wit_bindgen::rt::Map;

struct Echo;

include!(concat!(env!("OUT_DIR"), "/echo.rs"));

export!(Echo);
