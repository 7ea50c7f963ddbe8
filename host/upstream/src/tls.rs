use std::fmt;
use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, RootCertStore};
use wharf_call::egress::DestinationHost;
use wharf_call::{EgressCode, EgressError};

use crate::config::Config;

/// Why no peer could be trusted.
#[derive(Debug)]
pub struct RootsError(String);

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RootsError {}

/// TLS 1.2 and 1.3 with the roots of `config`; offers HTTP/2 and HTTP/1.1 (ALPN, RFC 7301).
pub(crate) fn client_config(config: &Config) -> Result<Arc<ClientConfig>, RootsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&config.roots_pem) {
        let certificate =
            certificate.map_err(|error| RootsError(format!("the extra roots are no PEM: {error}")))?;
        roots.add(certificate).map_err(|error| RootsError(format!("an extra root is of no use: {error}")))?;
    }
    let mut problems = Vec::new();
    if config.system_roots {
        let found = rustls_native_certs::load_native_certs();
        problems = found.errors;
        // Stores of distributions hold odd ones; those are passed over, as everybody does.
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        let problems: String = problems.iter().map(|error| format!("; {error}")).collect();
        return Err(RootsError(format!(
            "no certificate authority is known, so no https origin can be called{problems}. Install the \
             package `ca-certificates`, or let SSL_CERT_FILE name a PEM file."
        )));
    }
    let mut client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| RootsError(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(client))
}

/// The name that the peer's certificate must be for.
pub(crate) fn server_name(host: &DestinationHost) -> Result<ServerName<'static>, EgressError> {
    match host {
        DestinationHost::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
        DestinationHost::Name(name) => ServerName::try_from(name.clone()).map_err(|error| {
            EgressError::new(
                EgressCode::HttpRequestUriInvalid,
                format!("no certificate is for {name}: {error}"),
            )
        }),
    }
}

/// What a failed handshake means.
pub(crate) fn handshake_code(error: &rustls::Error) -> EgressCode {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            EgressCode::TlsCertificateError
        }
        // Not the peer's word about us, but its good-bye.
        rustls::Error::AlertReceived(AlertDescription::CloseNotify) => EgressCode::ConnectionTerminated,
        rustls::Error::AlertReceived(_) => EgressCode::TlsAlertReceived,
        _ => EgressCode::TlsProtocolError,
    }
}
