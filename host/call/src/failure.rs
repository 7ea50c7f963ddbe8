use std::borrow::Cow;
use std::fmt;

use crate::Value;

/// Why something that was asked for did not happen.
///
/// The public text goes to the client, the private one to the log; they are never mixed. How a failure
/// looks on the wire is decided in one table per door; for HTTP that is the gateway's `failure_response`.
#[derive(Clone, Debug)]
pub struct Failure(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    origin: Origin,
    retry: Retry,
    public: Cow<'static, str>,
    private: Option<String>,
    guest_kind: Option<String>,
    allow: Option<String>,
    accept_encoding: Option<&'static str>,
    retry_after_s: Option<u32>,
    error: Option<Value>,
}

/// Who caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client sent something that cannot be served.
    Client,
    /// A plugin failed, or broke its limits or its contract.
    Guest,
    /// The host itself could not do its part.
    Host,
    /// Something the host called failed.
    Upstream,
}

impl Origin {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Client => "client",
            Origin::Guest => "guest",
            Origin::Host => "host",
            Origin::Upstream => "upstream",
        }
    }
}

/// Whether the same request may succeed when it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again.
    Useless,
    /// It did not start: any request may be repeated.
    Safe,
    /// It may have had effects: repeat it only if it is idempotent.
    IfIdempotent,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $title:literal, $origin:ident, $retry:ident;)*) => {
        /// The closed list of what can go wrong, with the HTTP status that each kind has.
        ///
        /// The statuses follow RFC 9110, RFC 6585 (429, 431) and RFC 4918 (422). Other doors map from the
        /// kind, never from the status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every kind, in the order of the list.
            pub const ALL: &[Kind] = &[$(Kind::$variant,)*];

            /// The snake_case name on the wire, in logs and in metrics.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            /// The HTTP status code, 400 to 599.
            pub fn status(self) -> u16 {
                match self { $(Kind::$variant => $status,)* }
            }

            /// A short human-readable summary: the `title` of a problem document.
            pub fn title(self) -> &'static str {
                match self { $(Kind::$variant => $title,)* }
            }

            /// Who usually causes it.
            pub fn origin(self) -> Origin {
                match self { $(Kind::$variant => Origin::$origin,)* }
            }

            /// Whether a retry may help.
            pub fn retry(self) -> Retry {
                match self { $(Kind::$variant => Retry::$retry,)* }
            }

            /// The kind with this wire name.
            pub fn from_name(name: &str) -> Option<Kind> {
                match name { $($name => Some(Kind::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    /// The request is not valid.
    BadRequest = "bad_request", 400, "Bad request", Client, Useless;
    /// The caller has not said who it is.
    Unauthorized = "unauthorized", 401, "Unauthorized", Client, Useless;
    /// The caller may not do this.
    Forbidden = "forbidden", 403, "Forbidden", Client, Useless;
    /// There is nothing at this address.
    NotFound = "not_found", 404, "Not found", Client, Useless;
    /// The address exists, but not for this method; the failure lists those that are allowed.
    MethodNotAllowed = "method_not_allowed", 405, "Method not allowed", Client, Useless;
    /// Nothing that the client accepts can be produced.
    NotAcceptable = "not_acceptable", 406, "Not acceptable", Client, Useless;
    /// The client was too slow with the rest of its request.
    RequestTimeout = "request_timeout", 408, "Request timeout", Client, IfIdempotent;
    /// The request contradicts the state of the resource.
    Conflict = "conflict", 409, "Conflict", Client, Useless;
    /// The resource was here and is gone for good.
    Gone = "gone", 410, "Gone", Client, Useless;
    /// A condition of the request does not hold.
    PreconditionFailed = "precondition_failed", 412, "Precondition failed", Client, Useless;
    /// The body is larger than the limit.
    PayloadTooLarge = "payload_too_large", 413, "Payload too large", Client, Useless;
    /// The request target is longer than the limit.
    UriTooLong = "uri_too_long", 414, "URI too long", Client, Useless;
    /// The body's type is not one that is understood.
    UnsupportedMediaType = "unsupported_media_type", 415, "Unsupported media type", Client, Useless;
    /// The request is understood and still cannot be carried out.
    Unprocessable = "unprocessable", 422, "Unprocessable content", Client, Useless;
    /// The address speaks another protocol on the same connection, which the client did not offer to go on in.
    UpgradeRequired = "upgrade_required", 426, "Upgrade required", Client, Useless;
    /// The caller has used up its share.
    RateLimited = "rate_limited", 429, "Too many requests", Client, Safe;
    /// The header fields are larger or more than the limit.
    HeadersTooLarge = "headers_too_large", 431, "Request header fields too large", Client, Useless;
    /// Something failed that is nobody else's business.
    Internal = "internal", 500, "Internal server error", Host, IfIdempotent;
    /// The plugin returned an error.
    GuestFailed = "guest_failed", 500, "The plugin failed", Guest, IfIdempotent;
    /// The plugin trapped.
    GuestTrapped = "guest_trapped", 500, "The plugin failed", Guest, IfIdempotent;
    /// The plugin asked for more memory than it may have.
    MemoryExceeded = "memory_exceeded", 500, "The plugin exceeded its memory limit", Guest, IfIdempotent;
    /// This is not something the server can do.
    NotImplemented = "not_implemented", 501, "Not implemented", Host, Useless;
    /// Something that was called gave a bad answer.
    BadGateway = "bad_gateway", 502, "Bad gateway", Upstream, IfIdempotent;
    /// The plugin's response is not valid HTTP.
    InvalidResponse = "invalid_response", 502, "The plugin sent an invalid response", Guest, IfIdempotent;
    /// The plugin's response is larger than the limit.
    ResponseTooLarge = "response_too_large", 502, "The plugin's response exceeds its limit", Guest, Useless;
    /// The plugin is not ready, or gone.
    Unavailable = "unavailable", 503, "Service unavailable", Host, Safe;
    /// There is no room for this request now.
    Overloaded = "overloaded", 503, "Overloaded", Host, Safe;
    /// The deadline passed.
    Timeout = "timeout", 504, "The plugin did not answer in time", Guest, IfIdempotent;
    /// The plugin computed longer than it may.
    CpuExceeded = "cpu_exceeded", 504, "The plugin exceeded its CPU limit", Guest, IfIdempotent;
}

impl Failure {
    /// A failure with the origin and the retryability that are usual for its kind.
    pub fn new(kind: Kind, public: impl Into<Cow<'static, str>>) -> Self {
        Failure(Box::new(Inner {
            kind,
            origin: kind.origin(),
            retry: kind.retry(),
            public: public.into(),
            private: None,
            guest_kind: None,
            allow: None,
            accept_encoding: None,
            retry_after_s: None,
            error: None,
        }))
    }

    /// A failure that a guest returned, with the open kind that it chose.
    ///
    /// A kind that is not in the list stays visible as [`Failure::kind_name`] and counts as
    /// [`Kind::GuestFailed`]. The kinds of the host's own refusals cannot be imitated.
    pub fn from_guest(kind: &str, message: String, details: Option<String>) -> Self {
        let listed = Kind::from_name(kind).filter(|kind| {
            !matches!(
                kind,
                Kind::GuestTrapped
                    | Kind::MemoryExceeded
                    | Kind::InvalidResponse
                    | Kind::ResponseTooLarge
                    | Kind::Overloaded
                    | Kind::CpuExceeded
            )
        });
        let mut failure = Failure::new(listed.unwrap_or(Kind::GuestFailed), message);
        failure.0.origin = Origin::Guest;
        failure.0.private = details;
        if listed.is_none() {
            failure.0.guest_kind = Some(kind.to_owned());
        }
        failure
    }

    /// A failure that a function's contract declares. Its kind is `kind`, or the one that is called `name`, or
    /// `unprocessable`; `name` stays visible. It is an answer, which another try would not change.
    pub(crate) fn declared(
        kind: Option<Kind>,
        name: Option<&str>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let named = || name.and_then(Kind::from_name).filter(|kind| kind.status() < 500);
        let kind = kind.or_else(named).unwrap_or(Kind::Unprocessable);
        let mut failure = Failure::new(kind, message).with_origin(Origin::Guest);
        failure.0.retry = Retry::Useless;
        failure.0.guest_kind = name.filter(|name| *name != kind.name()).map(str::to_owned);
        failure
    }

    /// Adds the error that the plugin returned, of the type that its contract declares.
    #[must_use]
    pub fn with_error(mut self, error: Value) -> Self {
        self.0.error = Some(error);
        self
    }

    /// The most of a private text that is kept, in bytes: it may quote a guest, and guests have much to say.
    pub const PRIVATE_BYTES_MAX: usize = 8 << 10;

    /// Adds a text for the log.
    #[must_use]
    pub fn with_private(mut self, private: impl Into<String>) -> Self {
        let mut private = private.into();
        if private.len() > Self::PRIVATE_BYTES_MAX {
            private.truncate(private.floor_char_boundary(Self::PRIVATE_BYTES_MAX));
            private.push('…');
        }
        self.0.private = Some(private);
        self
    }

    /// Says that somebody else than usual caused it.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin = origin;
        self
    }

    /// Adds the methods that are allowed, as the value of an `Allow` header (RFC 9110, section 10.2.1).
    #[must_use]
    pub fn with_allow(mut self, methods: impl Into<String>) -> Self {
        self.0.allow = Some(methods.into());
        self
    }

    /// Adds the content codings that a request's body may have, as the value of an `Accept-Encoding` header (RFC 9110, sections
    /// 12.5.3 and 15.5.16).
    #[must_use]
    pub fn with_accept_encoding(mut self, codings: &'static str) -> Self {
        self.0.accept_encoding = Some(codings);
        self
    }

    /// Adds when to come back, in seconds: a `Retry-After` header (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn with_retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The wire name of the kind: the guest's own where it chose one that is not in the list.
    pub fn kind_name(&self) -> &str {
        self.0.guest_kind.as_deref().unwrap_or(self.0.kind.name())
    }

    /// Whether the guest's instance broke down of itself: it trapped, or ran out of memory.
    pub fn is_crash(&self) -> bool {
        matches!(self.0.kind, Kind::GuestTrapped | Kind::MemoryExceeded)
    }

    /// Who caused it.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Whether a retry may help.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The text for the client.
    pub fn public(&self) -> &str {
        &self.0.public
    }

    /// The text for the log.
    pub fn private(&self) -> Option<&str> {
        self.0.private.as_deref()
    }

    /// The value of the `Allow` header.
    pub fn allow(&self) -> Option<&str> {
        self.0.allow.as_deref()
    }

    /// The value of the `Accept-Encoding` header.
    pub fn accept_encoding(&self) -> Option<&'static str> {
        self.0.accept_encoding
    }

    /// The error that the plugin returned, of the type that its contract declares.
    pub fn error(&self) -> Option<&Value> {
        self.0.error.as_ref()
    }

    /// The value of the `Retry-After` header, in seconds.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.0.retry_after_s
    }
}

/// Both texts: for logs, never for clients.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind_name(), self.public())?;
        match self.private() {
            Some(private) => write!(f, " ({private})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_kinds_and_statuses_are_errors() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
            assert!((400..600).contains(&kind.status()), "{kind:?}");
        }
    }

    #[test]
    fn a_guest_keeps_its_own_kind_and_cannot_imitate_the_hosts_refusals() {
        let own = Failure::from_guest("teapot", "short and stout".into(), None);
        assert_eq!((own.kind(), own.kind_name()), (Kind::GuestFailed, "teapot"));
        assert_eq!(Failure::from_guest("not_found", "x".into(), None).kind(), Kind::NotFound);
        let fake = Failure::from_guest("overloaded", "x".into(), None);
        assert_eq!((fake.kind(), fake.origin()), (Kind::GuestFailed, Origin::Guest));
    }

    #[test]
    fn of_a_long_private_text_the_beginning_is_kept() {
        let failure = Failure::new(Kind::Internal, "sorry").with_private("é".repeat(100_000));
        let kept = failure.private().expect("it has one");
        assert_eq!(kept, "é".repeat(Failure::PRIVATE_BYTES_MAX / 2) + "…");
    }

    #[test]
    fn the_private_text_is_only_in_the_display_form() {
        let failure = Failure::new(Kind::Internal, "sorry").with_private("disk 3 is gone");
        assert_eq!(failure.public(), "sorry");
        assert_eq!(failure.to_string(), "internal: sorry (disk 3 is gone)");
    }
}
