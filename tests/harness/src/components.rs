//! Where the guests of `tests/components` and `plugins` are, after the build script has built them.

include!(concat!(env!("OUT_DIR"), "/components.rs"));
