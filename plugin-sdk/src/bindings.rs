//! What the host and a plugin exchange, as `wit/` has it: generated, one Rust type for each WIT type.
//!
//! Plugins rarely need it. It is public for the few that go below the [`http`] types, for instance to send
//! what those refuse: implement `exports::wharf::plugin::handler::Guest` and its `lifecycle` sibling, then
//! name the type in `export_handler_plugin!(MyType with_types_in wharf::bindings)`. [`Response`] and
//! [`Failure`] convert into the types here with `into()`.
//!
//! Each capability is a world of its own. A component imports the functions that its code calls, so a plugin
//! that does not use a capability does not import it, and needs no grant.
//!
//! [`http`]: crate::http
//! [`Response`]: crate::Response
//! [`Failure`]: crate::Failure
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "generated code")]

/// The one place that says where the contracts are.
macro_rules! generate {
    ($($options:tt)*) => {
        wit_bindgen::generate!({ path: "../wit", $($options)* });
    };
}

mod generated {
    generate! {
        world: "handler-plugin",
        pub_export_macro: true,
        export_macro_name: "export_handler_plugin",
        default_bindings_module: "wharf_sdk::bindings",
    }
}

pub use generated::*;

/// The generated module of this name, with one function of its glue put right: the macro that exports a type
/// finds what it calls by this path.
pub mod exports {
    pub mod wharf {
        pub mod plugin {
            use crate::bindings::generated::exports::wharf::plugin as generated;

            pub use generated::lifecycle;

            pub mod handler {
                pub use super::generated::handler::*;

                use std::alloc::{Layout, dealloc};

                /// What the host allocates for the arguments of `handle`: 52 bytes of `request` and 80 of
                /// `context`, as the canonical ABI lays records out.
                const ARGUMENTS: Layout = match Layout::from_size_align(132, 4) {
                    Ok(layout) => layout,
                    Err(_) => unreachable!(),
                };

                /// Enters `handle`, and frees its arguments. wit-bindgen reads them before it returns from
                /// here, but frees them only for exports that are not asynchronous: without this, each call
                /// would leave 132 bytes behind.
                ///
                /// # Safety
                ///
                /// For the generated export alone, with what the host has allocated.
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn _export_handle_cabi<T: Guest>(arguments: *mut u8) -> i32 {
                    // SAFETY: as the caller promises. The task that it starts is polled once before it
                    // returns, and reads the arguments first of all.
                    let status = unsafe { super::generated::handler::_export_handle_cabi::<T>(arguments) };
                    // SAFETY: the host got them from `cabi_realloc` with this size and alignment, and nobody
                    // has them any more.
                    unsafe { dealloc(arguments, ARGUMENTS) };
                    status
                }
            }
        }
    }
}

/// `wharf:plugin/call`.
#[cfg(all(feature = "service", target_family = "wasm"))]
pub(crate) mod call {
    generate! {
        inline: "
            package wharf:sdk-call;
            world uses { import wharf:plugin/call@0.1.0; }
        ",
        world: "wharf:sdk-call/uses",
        with: { "wharf:plugin/types@0.1.0": crate::bindings::wharf::plugin::types },
        generate_all,
    }
    pub use wharf::plugin::call::*;
}

/// The contract of sockets, with the types of the handler's. Without `lifecycle`, which is optional: its generated macros
/// would be there twice.
#[cfg(feature = "socket")]
pub mod socket {
    mod generated {
        generate! {
            inline: "
                package wharf:sdk-socket;
                world socket-only { export wharf:plugin/socket@0.1.0; }
            ",
            world: "wharf:sdk-socket/socket-only",
            pub_export_macro: true,
            export_macro_name: "export_socket_plugin",
            default_bindings_module: "wharf_sdk::bindings::socket",
            with: { "wharf:plugin/types@0.1.0": crate::bindings::wharf::plugin::types },
        }
    }

    pub use generated::*;

    /// The generated module of this name, with one function of its glue put right, as that of the handler.
    pub mod exports {
        pub mod wharf {
            pub mod plugin {
                use crate::bindings::socket::generated::exports::wharf::plugin as generated;

                pub mod socket {
                    pub use super::generated::socket::*;

                    use std::alloc::{Layout, dealloc};

                    /// What the host allocates for the arguments of `open`: 52 bytes of `request`, 80 of `context` and
                    /// 4 of the stream, as the canonical ABI lays records out.
                    const ARGUMENTS: Layout = match Layout::from_size_align(136, 4) {
                        Ok(layout) => layout,
                        Err(_) => unreachable!(),
                    };

                    /// Enters `open`, and frees its arguments: see `handle`.
                    ///
                    /// # Safety
                    ///
                    /// For the generated export alone, with what the host has allocated.
                    #[doc(hidden)]
                    #[allow(non_snake_case)]
                    pub unsafe fn _export_open_cabi<T: Guest>(arguments: *mut u8) -> i32 {
                        // SAFETY: as the caller promises. The task that it starts is polled once before it
                        // returns, and reads the arguments first of all.
                        let status = unsafe { super::generated::socket::_export_open_cabi::<T>(arguments) };
                        // SAFETY: the host got them from `cabi_realloc` with this size and alignment, and nobody
                        // has them any more.
                        unsafe { dealloc(arguments, ARGUMENTS) };
                        status
                    }
                }
            }
        }
    }
}

/// `wasi:keyvalue`.
#[cfg(target_family = "wasm")]
pub(crate) mod keyvalue {
    generate! {
        inline: "
            package wharf:sdk-keyvalue;
            world uses {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        world: "wharf:sdk-keyvalue/uses",
        generate_all,
    }
    pub use wasi::keyvalue::*;
}

/// `wasi:config`.
#[cfg(target_family = "wasm")]
pub(crate) mod config {
    generate! {
        inline: "
            package wharf:sdk-config;
            world uses { import wasi:config/store@0.2.0-rc.1; }
        ",
        world: "wharf:sdk-config/uses",
        generate_all,
    }
    pub use wasi::config::*;
}

/// `wasi:logging`.
#[cfg(all(feature = "log", target_family = "wasm"))]
pub(crate) mod logging {
    generate! {
        inline: "
            package wharf:sdk-logging;
            world uses { import wasi:logging/logging@0.1.0-draft; }
        ",
        world: "wharf:sdk-logging/uses",
        generate_all,
    }
    pub use wasi::logging::logging::*;
}

/// `wasi:clocks`.
#[cfg(target_family = "wasm")]
pub(crate) mod clocks {
    generate! {
        inline: "
            package wharf:sdk-clocks;
            world uses { import wasi:clocks/monotonic-clock@0.3.0; }
        ",
        world: "wharf:sdk-clocks/uses",
        generate_all,
    }
    pub use wasi::clocks::*;
}

/// `wasi:http`, as a client.
#[cfg(all(feature = "client", target_family = "wasm"))]
pub(crate) mod client {
    generate! {
        inline: "
            package wharf:sdk-client;
            world uses { import wasi:http/client@0.3.0; }
        ",
        world: "wharf:sdk-client/uses",
        generate_all,
    }
    pub use wasi::http::*;
}
