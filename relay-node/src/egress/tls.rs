//! TLS towards destinations.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broadcast::Reason;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{CertificateError, ClientConfig, RootCertStore, version};

use super::DialError;
use crate::crypto;

/// Trusts the public certificate authorities, and those in `ca_file`.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, CaFileError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = ca_file {
        let extra: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
        let extra = extra.map_err(|error| match error {
            pem::Error::Io(source) => CaFileError::Read {
                path: path.to_owned(),
                source,
            },
            _ => CaFileError::Malformed(path.to_owned()),
        })?;
        let (added, _) = roots.add_parsable_certificates(extra);
        if added == 0 {
            return Err(CaFileError::Malformed(path.to_owned()));
        }
    }
    let config = ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(CaFileError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Why the certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// Not a PEM file with a certificate.
    #[error("{} holds no certificate in PEM form", .0.display())]
    Malformed(PathBuf),
    /// The provider of cryptography does not know TLS 1.2 or 1.3.
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What a failed TLS handshake means for an output, in words for a person.
pub(super) fn explain(error: &io::Error) -> DialError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let (reason, words) = match inner {
        Some(rustls::Error::InvalidCertificate(error)) => {
            (Reason::TlsCertificate, certificate(error).to_owned())
        }
        Some(rustls::Error::AlertReceived(alert)) => (
            Reason::TlsFailed,
            format!("the destination ended the TLS handshake: {alert:?}"),
        ),
        Some(rustls::Error::InvalidMessage(_)) => (
            Reason::TlsFailed,
            "what answers at the destination does not speak TLS".to_owned(),
        ),
        Some(error) => (Reason::TlsFailed, error.to_string()),
        None => (Reason::TlsFailed, error.kind().to_string()),
    };
    DialError {
        reason,
        words: Some(words),
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the destination's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the destination's certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the destination's certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "the destination's certificate is not issued by an authority that this node trusts"
        }
        CertificateError::Revoked => "the destination's certificate has been revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the destination's certificate is not one for servers"
        }
        CertificateError::BadSignature => "the destination's certificate has a wrong signature",
        _ => "the destination's certificate cannot be read",
    }
}
