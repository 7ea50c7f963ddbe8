use std::fmt;

use crate::{Failure, Kind, Origin};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident;)*) => {
        /// The closed list of why an outbound call failed.
        ///
        /// Each code is the case of the same name in the `error-code` of wasi:http (0.2 and 0.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EgressCode { $($(#[$doc])* $variant,)* }

        impl EgressCode {
            /// Every code, in the order of the list: `code as usize` is its place.
            pub const ALL: &[EgressCode] = &[$(EgressCode::$variant,)*];

            /// The snake_case name in logs and metrics.
            pub fn name(self) -> &'static str {
                match self { $(EgressCode::$variant => $name,)* }
            }

            /// What it is to a caller of the plugin, should the plugin hand it on.
            pub fn kind(self) -> Kind {
                match self { $(EgressCode::$variant => Kind::$kind,)* }
            }
        }
    };
}

codes! {
    /// The name was not resolved in time.
    DnsTimeout = "dns_timeout", Timeout;
    /// The name does not resolve, or the resolver failed.
    DnsError = "dns_error", BadGateway;
    /// The name resolves to addresses that the plugin may not reach.
    DestinationIpProhibited = "destination_ip_prohibited", BadGateway;
    /// There is no way to any of the addresses.
    DestinationIpUnroutable = "destination_ip_unroutable", BadGateway;
    /// Nobody listens there.
    ConnectionRefused = "connection_refused", BadGateway;
    /// The peer closed the connection before it sent the head of a response.
    ConnectionTerminated = "connection_terminated", BadGateway;
    /// No connection was made in time.
    ConnectionTimeout = "connection_timeout", Timeout;
    /// The peer was silent for too long.
    ConnectionReadTimeout = "connection_read_timeout", Timeout;
    /// The plugin has as many calls or connections as it may have, or the host has no memory for one more.
    ConnectionLimitReached = "connection_limit_reached", Overloaded;
    /// The peer does not speak TLS that the host understands.
    TlsProtocolError = "tls_protocol_error", BadGateway;
    /// The peer's certificate is not valid for the host that was asked for.
    TlsCertificateError = "tls_certificate_error", BadGateway;
    /// The peer ended the handshake with an alert.
    TlsAlertReceived = "tls_alert_received", BadGateway;
    /// The manifest does not grant the call; the text has the line to add.
    HttpRequestDenied = "http_request_denied", Forbidden;
    /// The body is not as long as its `content-length` says, or ended with a failure.
    HttpRequestBodySize = "http_request_body_size", InvalidResponse;
    /// The method cannot be sent.
    HttpRequestMethodInvalid = "http_request_method_invalid", InvalidResponse;
    /// The URI is not an absolute http or https URI, or its host is written in a way that two programs could
    /// read differently.
    HttpRequestUriInvalid = "http_request_uri_invalid", InvalidResponse;
    /// The response's body was cut.
    HttpResponseIncomplete = "http_response_incomplete", BadGateway;
    /// The head of the response is larger than the limit.
    HttpResponseHeaderSectionSize = "http_response_header_section_size", BadGateway;
    /// The response's body is larger than the limit.
    HttpResponseBodySize = "http_response_body_size", BadGateway;
    /// The head of the response was not there by the deadline.
    HttpResponseTimeout = "http_response_timeout", Timeout;
    /// The peer broke the rules of HTTP.
    HttpProtocolError = "http_protocol_error", BadGateway;
    /// The host could not do its part.
    InternalError = "internal_error", Internal;
}

impl EgressCode {
    /// Why the body of a response that came from [`Egress::send`](super::Egress::send) was cut.
    pub fn of_body(failure: &Failure) -> EgressCode {
        match failure.kind() {
            Kind::Timeout => EgressCode::ConnectionReadTimeout,
            Kind::ResponseTooLarge => EgressCode::HttpResponseBodySize,
            _ => EgressCode::HttpResponseIncomplete,
        }
    }
}

/// Why an outbound call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressError {
    code: EgressCode,
    detail: String,
}

impl EgressError {
    /// `detail` says what exactly happened, for the log of the operator.
    pub fn new(code: EgressCode, detail: impl Into<String>) -> Self {
        EgressError { code, detail: detail.into() }
    }

    /// The case of wasi:http's `error-code`.
    pub fn code(&self) -> EgressCode {
        self.code
    }

    /// The text for the log. It may name addresses of the host's network: a guest gets the code alone.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for EgressError {}

/// As the failure that ends a body, or that the host itself answers with.
impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Failure {
        let kind = match error.code {
            EgressCode::HttpResponseBodySize => Kind::ResponseTooLarge,
            code => code.kind(),
        };
        Failure::new(kind, "Something that was called did not answer as it should.")
            .with_origin(Origin::Upstream)
            .with_private(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_at_its_place_in_the_list() {
        for (place, code) in EgressCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place, "{code:?}");
        }
    }

    #[test]
    fn the_reason_for_a_cut_body_survives_as_a_failure() {
        for code in [
            EgressCode::ConnectionReadTimeout,
            EgressCode::HttpResponseBodySize,
            EgressCode::HttpResponseIncomplete,
        ] {
            let failure = Failure::from(EgressError::new(code, "after 5 bytes"));
            assert_eq!(EgressCode::of_body(&failure), code);
            assert_eq!(failure.origin(), Origin::Upstream);
        }
    }
}
