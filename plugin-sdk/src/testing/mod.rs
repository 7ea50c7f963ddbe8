//! Tests of plugins, run by a plain `cargo test`.
//!
//! [`Host`] tests the built component in the real host, as a client sees it. A [`Plugin`] runs a handler natively, in the test itself: without a host, and with fakes of everything that
//! the manifest can grant. What it was not granted is refused in the words that the host would make it see.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{OrFail, Path, Result, Router, client, config, kv::Bucket};
//!
//! async fn read(Path(id): Path<String>) -> Result<String> {
//!     let note = Bucket::open("notes")?.get_text(&id)?.or_not_found("no such note")?;
//!     let quote = client::get("https://quotes.example.com/today").send().await?.text().await?;
//!     Ok(format!("{}: {note} ({quote})\n", config::require("title")?))
//! }
//!
//! #[wharf::router]
//! fn routes() -> Router {
//!     Router::new().get("/notes/{id}", read)
//! }
//!
//! # /*
//! #[cfg(test)]
//! mod tests {
//!     use super::*;
//! # */
//!     use wharf::testing::Plugin;
//!
//! # /*
//!     #[wharf::test]
//! # */
//!     async fn a_note_is_read() {
//!         let plugin = Plugin::new(routes)
//!             .config("title", "My notes")
//!             .value("notes", "7", "buy milk")
//!             .http("https://quotes.example.com", |_request| "carpe diem");
//!
//!         let mut response = plugin.get("/notes/7").await;
//!         assert_eq!(response.status(), 200);
//!         assert_eq!(response.text().await, "My notes: buy milk (carpe diem)\n");
//!
//!         assert_eq!(plugin.get("/notes/8").await.status(), 404);
//!     }
//! # /*
//! }
//! # */
//! # wharf::testing::block_on(a_note_is_read());
//! ```
//!
//! **Time.** [`time`](crate::time) does not wait here: while anything can go on, the clock stands still, and
//! when everything waits, it goes on to the next moment that something waits for. A test of an hour takes no
//! time, and the same course every time.
//!
//! **What is not faked.** Files, sockets and `std::env` are those of the machine. CPU, memory and wall limits
//! are not enforced. The clock of `std::time` is the real one.
//!
//! # In the real host
//!
//! A [`Host`] is the other kind of test: the built component in an installed `wharf`, with the manifest as it is,
//! and everything enforced. It belongs into `tests/`, where Cargo builds it as a program of its own.
//!
//! ```no_run
//! # use wharf_sdk as wharf;
//! use wharf::testing::Host;
//!
//! # /*
//! #[test]
//! # */
//! fn it_greets() {
//!     let host = Host::start(env!("CARGO_MANIFEST_DIR"));
//!     assert_eq!(host.get("/hello/Ann").expect(200).text(), "Hello, Ann!\n");
//! }
//! ```

mod executor;
mod grants;
mod host;
mod http1;
mod plugin;
mod request;

pub use executor::block_on;
pub use grants::LogLine;
pub use host::{Host, HostBuilder};
pub use http1::Answer;
pub use plugin::{Plugin, Target};
pub use request::{RequestBuilder, Response};

pub(crate) use executor::{now, sleep_until, spawn};
pub(crate) use grants::{Grants, NO_PLUGIN, current, in_background, time_of_day};
