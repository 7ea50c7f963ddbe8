//! What the host offers to guests: one file per interface, and one table of what is granted how.

pub(crate) mod call;
pub(crate) mod config;
pub(crate) mod dirs;
pub(crate) mod http;
pub(crate) mod keyvalue;
pub(crate) mod logging;
pub(crate) mod output;
pub(crate) mod random;
pub(crate) mod sockets;

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi_http::WasiHttp;
use wasmtime_wasi_http::WasiHttpView;
use wharf_bindings::{call_0_1, config_0_2, keyvalue_0_2, logging_0_1, wasi_http_0_2, wasi_http_0_3};

use crate::config::Grants;
use crate::state::State;

/// Under which condition an interface is there for a plugin.
pub(crate) enum Offer {
    /// Always: it gives access to nothing outside the instance.
    Always,
    /// With a line in the manifest.
    Grant {
        /// The section to write it in: `grants` is `[plugin.NAME.grants]`, and nothing is `[plugin.NAME]`.
        section: &'static str,
        /// The line to write.
        line: &'static str,
        /// Whether these grants have it.
        granted: fn(&Grants) -> bool,
    },
    /// Never, by this version of the host.
    No,
}

/// Requests to other services.
const HTTP: Offer = Offer::Grant {
    section: "grants",
    line: "http = [\"https://api.example.com\"]",
    granted: |grants| !grants.http.origins.is_empty(),
};

/// TCP connections.
const TCP: Offer = Offer::Grant {
    section: "grants",
    line: "tcp = [\"db.example.com:5432\"]",
    granted: |grants| !grants.tcp.peers.is_empty(),
};

/// Buckets of keys and values.
const KEYVALUE: Offer = Offer::Grant {
    section: "grants",
    line: "keyvalue = [\"notes\"]",
    granted: |grants| !grants.keyvalue.is_empty(),
};

/// The table of all interfaces that the host offers.
///
/// What a standard library imports without doing anything with it is always there, emptied: no arguments,
/// no environment beyond `grants.env`, no directories beyond `grants.dirs`.
pub(crate) fn offer(interface: &str) -> Offer {
    let (name, version) = interface.split_once('@').unwrap_or((interface, ""));
    let wasi_0_2_or_0_3 = version.starts_with("0.2.") || version.starts_with("0.3.");
    match name {
        "wharf:plugin/types" | "wharf:plugin/call" if version == "0.1.0" => Offer::Always,
        "wasi:http/types" if wasi_0_2_or_0_3 => Offer::Always,
        "wasi:config/store" if version == "0.2.0-rc.1" => Offer::Grant {
            section: "",
            line: "config = { key = \"value\" }",
            granted: |grants| grants.config.is_some(),
        },
        "wasi:http/client" if version.starts_with("0.3.") => HTTP,
        "wasi:http/outgoing-handler" if version.starts_with("0.2.") => HTTP,
        "wasi:keyvalue/store" | "wasi:keyvalue/atomics" | "wasi:keyvalue/batch"
            if version == "0.2.0-draft2" =>
        {
            KEYVALUE
        }
        "wasi:logging/logging" if version == "0.1.0-draft" => Offer::Always,
        _ if wasi_0_2_or_0_3 && name.starts_with("wasi:sockets/") => TCP,
        _ if wasi_0_2_or_0_3 && is_standard_library(name) => Offer::Always,
        _ => Offer::No,
    }
}

fn is_standard_library(name: &str) -> bool {
    const PACKAGES: [&str; 5] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];
    PACKAGES.iter().any(|package| name.starts_with(package))
}

/// Links everything that is offered. What a plugin was not granted is refused before it is linked.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    sockets::link(linker)?;
    random::link(linker)?;
    let options = wasi_http_0_2::LinkOptions::default();
    wasi_http_0_2::http::outgoing_handler::add_to_linker::<_, WasiHttp>(linker, State::http)?;
    wasi_http_0_2::http::types::add_to_linker::<_, WasiHttp>(linker, &(&options).into(), State::http)?;
    wasi_http_0_3::http::client::add_to_linker::<_, WasiHttp>(linker, State::http)?;
    wasi_http_0_3::http::types::add_to_linker::<_, WasiHttp>(linker, State::http)?;
    call_0_1::wharf::plugin::call::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    config_0_2::wasi::config::store::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    keyvalue_0_2::wasi::keyvalue::store::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    keyvalue_0_2::wasi::keyvalue::atomics::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    keyvalue_0_2::wasi::keyvalue::batch::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    logging_0_1::wasi::logging::logging::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    Ok(())
}
