//! The call that a service works on: who made it, what came with it beside its arguments, and what goes with the answer.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::service::call;
//!
//! async fn greet() -> String {
//!     let metadata = call::metadata();
//!     let language = metadata.text("accept-language").unwrap_or("en");
//!     call::set_metadata("content-language", language).unwrap_or_else(|error| wharf::tracing::debug!("{error}"));
//!     if language.starts_with("de") { "Guten Tag!".into() } else { "Hello!".into() }
//! }
//!
//! # wharf::testing::block_on(async {
//! let plugin = wharf::testing::Plugin::without_handler().metadata("accept-language", "de");
//! assert_eq!(plugin.run(greet()).await, "Guten Tag!");
//! assert_eq!(plugin.answered_metadata("content-language").as_deref(), Some(&b"de"[..]));
//! # });
//! ```
//!
//! Metadata is gRPC's word; through the other doors the same fields are header fields of HTTP. Names are lower case. A name
//! that ends in `-bin` has bytes, which are base64 outside of the plugin; every other value is text. Fields about the
//! message or the connection are the host's, in both directions: `content-type`, `host`, `te`, and names that begin with
//! `grpc-`, among others. `wit/call.wit` has the list.
//!
//! A call begins when a method of the service is called, and ends with its answer. In `start`, `health` and `stop` there is
//! none, and in a [handler](crate::handler) neither: that gets a request and a [`Context`].

use std::fmt;

use crate::Context;

/// What the host knows of the call: its id, its trace, its route, its deadline from now, and who is calling, if
/// that is known. `None` outside of a call.
pub fn context() -> Option<Context> {
    sys::current().map(Context::from)
}

/// What the caller sent along; nothing outside of a call. Each time it is a copy.
pub fn metadata() -> Metadata {
    Metadata { fields: sys::metadata() }
}

/// Has a field go with the answer: in gRPC's initial metadata, or in the header fields of the response. Set again, a name
/// has one more value. The fields go out when the method returns, with its value, its error or its stream.
///
/// # Errors
/// The field goes nowhere: see [`NotSent`]. Nothing else changes; the call may go on.
pub fn set_metadata(name: &str, value: impl AsRef<[u8]>) -> Result<(), NotSent> {
    sys::set_metadata(name, value.as_ref())
}

/// What a caller has sent beside the arguments.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    fields: Vec<(String, Vec<u8>)>,
}

impl Metadata {
    /// The first value of a name, which is lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The same as text; `None` also when it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Every value of a name, in the order in which they were sent.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value)
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// Without the values, among which may be credentials.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a field does not go with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotSent {
    /// No call goes on.
    NoCall,
    /// The method has returned: its header fields are out.
    TooLate,
    /// The answer has no header fields of its own: it shares a response with others, as in a batch or beside other fields of
    /// a GraphQL operation, or there is none, as over a WebSocket.
    NotCarried,
    /// The name or the value is not one that a field may have.
    Invalid(String),
    /// The name is one that the door answers for, such as `content-type`.
    Reserved(String),
    /// It is more than the plugin's `limits.response_headers` or `limits.response_header_count`.
    TooMuch(String),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotSent::NoCall => "no call goes on that metadata could go with",
            NotSent::TooLate => "the header fields of the answer are out already",
            NotSent::NotCarried => "this answer has no header fields of its own",
            NotSent::Invalid(text) | NotSent::Reserved(text) | NotSent::TooMuch(text) => text,
        })
    }
}

impl std::error::Error for NotSent {}

#[cfg(target_family = "wasm")]
mod sys {
    use super::NotSent;
    use crate::bindings::call::{self, MetadataError};
    use crate::bindings::wharf::plugin::types as raw;

    pub(super) fn current() -> Option<raw::Context> {
        call::current()
    }

    pub(super) fn metadata() -> Vec<(String, Vec<u8>)> {
        call::metadata()
    }

    pub(super) fn set_metadata(name: &str, value: &[u8]) -> Result<(), NotSent> {
        call::set_metadata(name, value).map_err(|error| match error {
            MetadataError::NoCall => NotSent::NoCall,
            MetadataError::TooLate => NotSent::TooLate,
            MetadataError::NotCarried => NotSent::NotCarried,
            MetadataError::Invalid(text) => NotSent::Invalid(text),
            MetadataError::Reserved(text) => NotSent::Reserved(text),
            MetadataError::TooMuch(text) => NotSent::TooMuch(text),
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    use super::NotSent;
    use crate::bindings::wharf::plugin::types as raw;
    use crate::testing;

    pub(super) fn current() -> Option<raw::Context> {
        testing::current().map(|_| raw::Context {
            request_id: "test".to_owned(),
            traceparent: "00-00000000000000000000000000000001-0000000000000001-00".to_owned(),
            route: "/test".to_owned(),
            params: Vec::new(),
            caller: None,
            deadline_ms: u32::MAX,
            attributes: Vec::new(),
        })
    }

    pub(super) fn metadata() -> Vec<(String, Vec<u8>)> {
        testing::current().map(|grants| grants.metadata.clone()).unwrap_or_default()
    }

    pub(super) fn set_metadata(name: &str, value: &[u8]) -> Result<(), NotSent> {
        let grants = testing::current().ok_or(NotSent::NoCall)?;
        grants.answered.borrow_mut().push((name.to_owned(), value.to_vec()));
        Ok(())
    }
}
