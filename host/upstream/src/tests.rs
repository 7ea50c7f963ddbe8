#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

//! Calls over real sockets, to servers on loopback; only names are faked.

mod calls;
mod peers;
mod pooling;
mod redirects;
mod refusals;
mod setting;
mod tls;
