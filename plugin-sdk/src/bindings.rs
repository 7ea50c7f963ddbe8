//! What the host and a plugin exchange, as `wit/` has it: generated, one Rust type for each WIT type.
//!
//! Plugins rarely need it. It is public for the few that go below the [`http`] types, for instance to send
//! what those refuse: implement `exports::wharf::plugin::handler::Guest` and its `lifecycle` sibling, then
//! name the type in `export_handler_plugin!(MyType with_types_in wharf::bindings)`. [`Response`] and
//! [`Failure`] convert into the types here with `into()`.
//!
//! [`http`]: crate::http
//! [`Response`]: crate::Response
//! [`Failure`]: crate::Failure
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "generated code")]

wit_bindgen::generate!({
    world: "handler-plugin",
    path: "../wit",
    pub_export_macro: true,
    export_macro_name: "export_handler_plugin",
    default_bindings_module: "wharf_sdk::bindings",
});
