//! What an error of the layers below means to a plugin, in one place.

use std::error::Error;
use std::io;

use wharf_call::{EgressCode, EgressError};

use crate::tls;

/// An error while connecting or during a TLS handshake.
pub(crate) fn of_io(error: &io::Error, what: &str) -> EgressError {
    let code = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => tls::handshake_code(error),
        None => match error.kind() {
            io::ErrorKind::ConnectionRefused => EgressCode::ConnectionRefused,
            io::ErrorKind::TimedOut => EgressCode::ConnectionTimeout,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => EgressCode::DestinationIpUnroutable,
            io::ErrorKind::InvalidData => EgressCode::TlsProtocolError,
            _ => EgressCode::ConnectionTerminated,
        },
    };
    EgressError::new(code, format!("{what}: {error}"))
}

/// An error of hyper before there was the head of a response.
pub(crate) fn of_head(error: &hyper::Error) -> EgressError {
    let code = if error.is_parse_too_large() {
        EgressCode::HttpResponseHeaderSectionSize
    } else if error.is_parse() {
        EgressCode::HttpProtocolError
    } else if error.is_user() {
        EgressCode::InternalError
    } else if error.is_closed()
        || error.is_canceled()
        || error.is_incomplete_message()
        || has_source::<io::Error>(error)
    {
        EgressCode::ConnectionTerminated
    } else {
        EgressCode::HttpProtocolError
    };
    EgressError::new(code, chain(error))
}

/// An error of hyper within the body of a response.
pub(crate) fn of_body(error: &hyper::Error) -> EgressError {
    EgressError::new(EgressCode::HttpResponseIncomplete, chain(error))
}

/// The error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

fn has_source<E: Error + 'static>(error: &dyn Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        if source.is::<E>() {
            return true;
        }
        next = source.source();
    }
    false
}
