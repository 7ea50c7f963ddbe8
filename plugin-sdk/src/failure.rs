use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::panic::Location;

use http::StatusCode;

use crate::bindings::wharf::plugin::types as raw;

/// What handlers and everything in this crate return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call did not succeed: a kind, a text for the client, and a text for the operator.
///
/// The host makes a problem document (RFC 9457) of it, with the status of its kind and the
/// [message](Failure::message). The [details](Failure::details) go to the host's log and nowhere else.
///
/// Any error becomes a failure with `?`: kind `internal`, message "internal error", and the error with its
/// sources and the place of the `?` as details. So nothing leaks to clients unless it was meant for them.
///
/// ```
/// use wharf_sdk::{Failure, OrFail, Result};
///
/// fn page(query: Option<&str>) -> Result<u32> {
///     let page = query.or_bad_request("say which page: ?page=1")?;
///     let page: u32 = page.parse().or_bad_request("a page is a number")?;
///     if page > 100 {
///         return Err(Failure::not_found("there are 100 pages"));
///     }
///     Ok(page)
/// }
///
/// assert_eq!(page(Some("7")).unwrap(), 7);
/// assert_eq!(page(None).unwrap_err().kind(), "bad_request");
/// assert_eq!(page(Some("101")).unwrap_err().kind(), "not_found");
/// ```
///
/// `Failure` does not implement [`std::error::Error`]: if it did, `?` could not turn every other error into
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    kind: Cow<'static, str>,
    message: Cow<'static, str>,
    details: Option<String>,
}

macro_rules! kinds {
    ($($name:ident $status:literal: $what:literal;)*) => {
        /// One constructor for each kind that the host gives a status of its own.
        impl Failure {
            $(
                #[doc = concat!("Status ", $status, ": ", $what, ". The message is sent to the client.")]
                pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                    Failure::new(stringify!($name), message)
                }
            )*

            /// The status that the host gives it, by its kind.
            pub fn status(&self) -> StatusCode {
                let status = match self.kind() {
                    $(stringify!($name) => $status,)*
                    _ => 500,
                };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

kinds! {
    bad_request 400: "the request is not valid";
    unauthorized 401: "the caller has not said who it is";
    forbidden 403: "the caller may not do this";
    not_found 404: "there is nothing at this address";
    method_not_allowed 405: "the address exists, but not for this method";
    not_acceptable 406: "nothing that the client accepts can be produced";
    conflict 409: "the request contradicts the state of the resource";
    gone 410: "the resource was here and is gone for good";
    precondition_failed 412: "a condition of the request does not hold";
    payload_too_large 413: "the body is larger than this plugin takes";
    unsupported_media_type 415: "the body's type is not one that is understood";
    unprocessable 422: "the request is understood and still cannot be carried out";
    rate_limited 429: "the caller has used up its share";
    internal 500: "something failed that is nobody else's business";
    not_implemented 501: "this is not something the plugin can do";
    bad_gateway 502: "something that was called gave a bad answer";
    unavailable 503: "the plugin cannot serve now";
    timeout 504: "something that was called took too long";
}

impl Failure {
    /// A failure of any kind, in snake_case. Kinds that have no constructor here get status 500, and the
    /// problem document names them.
    ///
    /// The message is sent to the client, at most 1 KiB of it.
    pub fn new(kind: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Failure { kind: kind.into(), message: message.into(), details: None }
    }

    /// Adds a text for the host's log, at most 8 KiB. It is never sent to a client.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// Generated failures are errors too, so `From` is taken: it would make an internal failure of them.
    pub(crate) fn from_wit(raw: raw::Failure) -> Self {
        Failure { kind: raw.kind.into(), message: raw.message.into(), details: raw.details }
    }

    /// What went wrong, in snake_case.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The text for the client.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The text for the log.
    pub fn details(&self) -> Option<&str> {
        self.details.as_deref()
    }
}

/// Both texts: for logs, never for clients.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        match &self.details {
            Some(details) => write!(f, " ({details})"),
            None => Ok(()),
        }
    }
}

/// As it is displayed, which is what `unwrap` in a test should show.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Any error, as an internal failure that tells the client nothing.
impl<E: Error + 'static> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let place = Location::caller();
        let mut details = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Many errors repeat their source in their own text.
            let text = cause.to_string();
            if !details.ends_with(&text) {
                details.push_str(": ");
                details.push_str(&text);
            }
            source = cause.source();
        }
        details.push_str(&format!(", at {}:{}", place.file(), place.line()));
        of_kind(&error).with_details(details)
    }
}

/// What the client is told: nothing, but for errors of which it is known whose they are.
fn of_kind(error: &(dyn Any + 'static)) -> Failure {
    #[cfg(feature = "client")]
    if let Some(error) = error.downcast_ref::<crate::client::Error>() {
        return error.failure();
    }
    let _ = error;
    Failure::internal("internal error")
}

impl From<Failure> for raw::Failure {
    fn from(failure: Failure) -> Self {
        raw::Failure {
            kind: failure.kind.into_owned(),
            message: failure.message.into_owned(),
            details: failure.details,
        }
    }
}

/// Says what a missing value or an error means for the client.
///
/// On an [`Option`], `None` becomes the failure. On a [`Result`], the error becomes it and is kept as its
/// details. See [`Failure`] for an example.
pub trait OrFail<T>: Sized {
    /// A failure of this kind with this message for the client.
    fn or_fail(self, kind: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Result<T>;

    /// Status 400.
    #[track_caller]
    fn or_bad_request(self, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.or_fail("bad_request", message)
    }

    /// Status 404.
    #[track_caller]
    fn or_not_found(self, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.or_fail("not_found", message)
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_fail(self, kind: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.ok_or_else(|| Failure::new(kind, message))
    }
}

impl<T, E> OrFail<T> for Result<T, E>
where
    Failure: From<E>,
{
    #[track_caller]
    fn or_fail(self, kind: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => {
                let Failure { details, .. } = Failure::from(error);
                Err(Failure { details, ..Failure::new(kind, message) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the counter is damaged")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn damaged() -> Result<u32> {
        Ok("x".parse::<u32>().map_err(Outer)?)
    }

    #[test]
    fn the_question_mark_hides_an_error_from_the_client_and_keeps_it_for_the_log() {
        let failure = damaged().expect_err("x is no number");
        assert_eq!(failure.kind(), "internal");
        assert_eq!(failure.message(), "internal error");
        let details = failure.details().expect("the chain");
        assert!(
            details.starts_with("the counter is damaged: invalid digit found in string, at "),
            "{details}"
        );
        assert!(details.contains("failure.rs:"), "{details}");
    }

    #[test]
    fn a_typed_failure_passes_the_question_mark_unchanged() {
        fn inner() -> Result<()> {
            Err(Failure::gone("long ago").with_details("row 7"))
        }
        fn outer() -> Result<()> {
            inner()?;
            Ok(())
        }
        let raw = raw::Failure::from(outer().expect_err("it fails"));
        assert_eq!(raw.kind, "gone");
        assert_eq!(raw.message, "long ago");
        assert_eq!(raw.details.as_deref(), Some("row 7"));
    }

    #[test]
    fn or_fail_replaces_the_message_and_keeps_the_error_as_details() {
        let failure = "x".parse::<u32>().or_bad_request("not a number").expect_err("x");
        assert_eq!((failure.kind(), failure.message()), ("bad_request", "not a number"));
        let details = failure.details().expect("the error");
        assert!(details.starts_with("invalid digit found in string, at "), "{details}");
        assert!(details.contains("failure.rs:"), "the place is the caller's: {details}");

        let failure = None::<u32>.or_not_found("no such note").expect_err("none");
        assert_eq!((failure.kind(), failure.details()), ("not_found", None));
    }
}
