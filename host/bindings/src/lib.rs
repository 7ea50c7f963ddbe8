//! What `bindgen!` makes of the WIT contracts: one module per world and generation, nothing else.
//!
//! It is a crate because it is slow to compile and rarely changes. Nothing here is written by hand, so
//! there is nothing to read; the contracts are in `wit/`, and what the host does with them is in
//! `wharf-engine`.
//!
//! A newer generation gets a new module that reuses the older one's types with `with:`; an older module is
//! never edited.

/// `wharf:plugin/handler@0.1.0`, without `lifecycle`, which is optional.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod handler_0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host-handler;
            world handler-only { export wharf:plugin/handler@0.1.0; }
        ",
        world: "wharf:host-handler/handler-only",
        exports: { default: async | store },
    });
}

/// `wharf:plugin/socket@0.1.0`, without `lifecycle`, which is optional.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod socket_0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host-socket;
            world socket-only { export wharf:plugin/socket@0.1.0; }
        ",
        world: "wharf:host-socket/socket-only",
        exports: { default: async | store },
        with: { "wharf:plugin/types@0.1.0": crate::handler_0_1::wharf::plugin::types },
    });
}

/// `wharf:plugin/lifecycle@0.1.0`.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod lifecycle_0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "wharf:plugin/lifecycle-plugin",
        exports: { default: async | store },
    });
}

/// `wharf:plugin/call@0.1.0`.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod call_0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host-call;
            world call-only { import wharf:plugin/call@0.1.0; }
        ",
        world: "wharf:host-call/call-only",
    });
}

/// `wasi:config/store@0.2.0-rc.1`.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod config_0_2 {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-config",
        world: "wasi:config/imports",
    });
}

/// `wasi:keyvalue@0.2.0-draft2`: `store`, `atomics` and `batch`.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod keyvalue_0_2 {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue",
        world: "wasi:keyvalue/imports",
        // Guests wait for the disk, the host does not. What is wrong with a handle is a trap.
        imports: { default: async | trappable },
    });
}

/// `wasi:logging/logging@0.1.0-draft`.
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod logging_0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-logging",
        world: "wasi:logging/imports",
    });
}

/// `wasi:http@0.2`: the worlds `proxy` and its imports, as wasmtime-wasi-http binds them.
pub mod wasi_http_0_2 {
    pub use wasmtime_wasi_http::p2::bindings::*;
}

/// `wasi:http@0.3`: the world `service` and its imports, as wasmtime-wasi-http binds them.
pub mod wasi_http_0_3 {
    pub use wasmtime_wasi_http::p3::bindings::*;
}
