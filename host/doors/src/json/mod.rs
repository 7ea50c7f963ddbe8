//! Values as JSON, both ways, as `MAPPING.md` has it.
//!
//! Text becomes values directly, driven by the type that is expected at each place: nothing is parsed into a tree
//! first, an unknown field is refused where it stands, and what the values take in memory is counted as they are made, so
//! that `[[],[],[],…]` cannot take more than [`Limits`] say. Nesting beyond that of the type is refused where it begins.
//!
//! Start with [`Plan`], then [`decode`] and [`encode`].

mod args;
mod containers;
mod context;
mod decode;
mod encode;
mod error;
mod example;
mod names;
mod plan;
pub mod schema;
mod text;

pub use args::{Args, decode_args};
pub use context::Limits;
pub use decode::decode;
pub use encode::encode;
pub(crate) use encode::string;
pub use error::JsonError;
pub use example::{example, example_args};
pub use names::Names;
pub use plan::Plan;
pub use text::{is_canonical, is_scalar, is_textual, key_text, may_be_absent, parse_texts};

#[cfg(test)]
mod tests;
