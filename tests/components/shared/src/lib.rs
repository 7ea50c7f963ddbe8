//! What several guests need. Not a guest itself.

pub mod clock;
pub mod query;
pub mod version;
