//! Starts the real binary for tests, talks to it, and builds the guests that it loads.
//!
//! A test is a sentence: it starts a [`Host`] from a manifest, sends it requests over [`Client`], [`Raw`]
//! or [`Load`], and looks at its answers, its [`Log`] and its [`Admin`] API. Every host is a process of
//! its own on ports that the system chose, in a folder of its own, and ends with the value that started it;
//! its log is printed when the test fails.
//!
//! Nothing here waits by sleeping: a wait is for a log line, an answer or the end of a process, and has a
//! bound. The crate knows the host from outside only; it depends on none of the host's crates.
//!
//! Start with [`HostBuilder`], then [`run`].
#![allow(clippy::unwrap_used, reason = "a helper of tests: a panic is how a test fails")]

mod admin;
mod cases;
mod client;
mod command;
pub mod components;
mod host;
mod load;
mod log;
pub mod process;
mod raw;
mod run;
mod server;
mod temp;

pub use admin::{Admin, Metrics};
pub use cases::{Case, cases};
pub use client::{Answer, Client, Protocol, RequestBody, Upload, body, chunked, empty, request, upload};
pub use command::{Finished, command, finish};
pub use host::{App, Host, HostBuilder};
pub use load::{Load, Report, Seen};
pub use log::Log;
pub use raw::{Raw, Stopped};
pub use run::{eventually, run, run_alone, run_alone_on_one_thread, within};
pub use server::{Authority, Counts, Server};
pub use temp::TempDir;
