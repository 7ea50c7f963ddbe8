//! What the tests of every door need: random schemas and values, and a plugin that is a closure.

mod fake;
mod random;

pub use fake::{Room, Unbounded, fake, invocation};
pub use random::{DEPTH, Random, schema, ty, value};
