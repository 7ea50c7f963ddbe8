//! Environment variables, as granted.
//!
//! ```toml
//! [plugin.notes.grants]
//! env = { REGION = "north" }
//! ```
//!
//! In the host this is [`std::env::var`]; in native tests it is what the test has granted, and never the
//! environment of the test.

/// The value of a variable, or `None` when it was not granted.
pub fn var(name: &str) -> Option<String> {
    sys::var(name)
}

#[cfg(target_family = "wasm")]
mod sys {
    pub(super) fn var(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    pub(super) fn var(name: &str) -> Option<String> {
        crate::testing::current().and_then(|grants| grants.env.get(name).cloned())
    }
}
