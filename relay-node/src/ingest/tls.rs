//! The certificate shown to encoders.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, version};
use tokio_rustls::TlsAcceptor;

use crate::config::RtmpsListener;
use crate::crypto;

/// What is shown to encoders: read from files, and again when they change.
#[derive(Debug)]
pub struct Certificate {
    files: RtmpsListener,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    /// The files as they were when they were last read.
    seen: Stamps,
}

/// What tells one version of the two files from another, as far as it can be seen.
type Stamps = [Option<(SystemTime, u64, u64)>; 2];

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// As [`server_config`].
    pub fn new(files: &RtmpsListener) -> Result<Self, CertificateError> {
        let seen = stamps(files);
        let config = server_config(files)?;
        Ok(Self {
            files: files.clone(),
            state: Mutex::new(State { config, seen }),
        })
    }

    /// What the next encoder is shown.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.lock().config))
    }

    /// Reads the files again if they have changed since, or in any case if `forced`. Returns whether
    /// they were read. Encoders that are connected do not notice.
    ///
    /// # Errors
    ///
    /// As [`server_config`]; then what was read before stays.
    pub fn renew(&self, forced: bool) -> Result<bool, CertificateError> {
        let now = stamps(&self.files);
        {
            let mut state = self.lock();
            if !forced && state.seen == now {
                return Ok(false);
            }
            // What is wrong is told once, and tried again when it changes.
            state.seen = now;
        }
        let config = server_config(&self.files)?;
        self.lock().config = config;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &RtmpsListener) -> Stamps {
    [&files.certificate, &files.private_key].map(|file| {
        let data = fs::metadata(file).ok()?;
        Some((data.modified().ok()?, data.len(), data.ino()))
    })
}

/// Reads certificate and private key, and checks that they fit together.
pub fn server_config(files: &RtmpsListener) -> Result<Arc<ServerConfig>, CertificateError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.private_key).map_err(|error| match error {
        pem::Error::Io(source) => CertificateError::Read {
            path: files.private_key.clone(),
            source,
        },
        _ => CertificateError::NoPrivateKey(files.private_key.clone()),
    })?;
    let mut config = ServerConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| CertificateError::Unusable {
            path: files.certificate.clone(),
            source,
        })?;
    // An encoder connects once for hours. librtmp takes a ticket for the end of the connection.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Err(pem::Error::Io(source)) => Err(CertificateError::Read {
            path: path.to_owned(),
            source,
        }),
        Ok(_) | Err(_) => Err(CertificateError::NoCertificate(path.to_owned())),
    }
}

/// Why RTMPS cannot be offered. None of the texts repeats anything of the files.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not a PEM file with a certificate.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// Not a PEM file with a private key.
    #[error("{} holds no private key in PEM form", .0.display())]
    NoPrivateKey(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The key does not fit the certificate, or is of a kind that TLS does not know.
    #[error("the certificate in {} cannot be used with its private key", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A certificate that nobody trusts, and the configuration of a node that has it.
    fn self_signed() -> (rcgen::Certificate, Arc<ServerConfig>) {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = RtmpsListener {
            listen: Vec::new(),
            certificate: folder.path().join("certificate"),
            private_key: folder.path().join("key"),
        };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.private_key, made.signing_key.serialize_pem()).unwrap();
        (made.cert, server_config(&files).unwrap())
    }

    /// Accepts TLS with a certificate that nobody trusts.
    pub(crate) fn acceptor() -> TlsAcceptor {
        self_signed().1.into()
    }

    #[test]
    fn after_the_handshake_the_encoder_speaks_first() {
        let (certificate, config) = self_signed();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut encoder = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut node = rustls::ServerConnection::new(config).unwrap();
        while node.is_handshaking() {
            let (mut to_node, mut to_encoder) = (Vec::new(), Vec::new());
            while node.wants_write() {
                node.write_tls(&mut to_encoder).unwrap();
            }
            encoder.read_tls(&mut &*to_encoder).unwrap();
            encoder.process_new_packets().unwrap();
            while encoder.wants_write() {
                encoder.write_tls(&mut to_node).unwrap();
            }
            node.read_tls(&mut &*to_node).unwrap();
            node.process_new_packets().unwrap();
        }
        assert!(!encoder.is_handshaking() && !node.wants_write());
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = RtmpsListener {
            listen: Vec::new(),
            certificate: folder.path().join("certificate"),
            private_key: folder.path().join("key"),
        };
        let write = || {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(&files.certificate, made.cert.pem()).unwrap();
            fs::write(&files.private_key, made.signing_key.serialize_pem()).unwrap();
        };
        write();
        let certificate = Certificate::new(&files).unwrap();
        let shown = || Arc::clone(&certificate.lock().config);
        let first = shown();
        assert!(!certificate.renew(false).unwrap(), "nothing has changed");
        assert!(Arc::ptr_eq(&shown(), &first));
        assert!(certificate.renew(true).unwrap());
        let again = shown();
        assert!(!Arc::ptr_eq(&again, &first));

        // As if it were half written: it is told once, and the old one stays.
        fs::write(&files.private_key, "hunter2").unwrap();
        assert!(matches!(
            certificate.renew(false),
            Err(CertificateError::NoPrivateKey(_))
        ));
        assert!(!certificate.renew(false).unwrap());
        assert!(Arc::ptr_eq(&shown(), &again));

        fs::remove_file(&files.private_key).unwrap();
        write();
        assert!(certificate.renew(false).unwrap());
        assert!(!Arc::ptr_eq(&shown(), &again));
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        fs::write(path("certificate"), made.cert.pem()).unwrap();
        fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        fs::write(path("other-key"), other.serialize_pem()).unwrap();
        fs::write(path("empty"), "hunter2").unwrap();
        let tried = |certificate: &str, private_key: &str| {
            server_config(&RtmpsListener {
                listen: Vec::new(),
                certificate: path(certificate),
                private_key: path(private_key),
            })
        };

        assert!(tried("certificate", "key").is_ok());
        assert!(matches!(
            tried("absent", "key"),
            Err(CertificateError::Read { path: named, .. }) if named == path("absent")
        ));
        assert!(matches!(
            tried("certificate", "absent"),
            Err(CertificateError::Read { path: named, .. }) if named == path("absent")
        ));
        assert!(matches!(
            tried("empty", "key"),
            Err(CertificateError::NoCertificate(_))
        ));
        assert!(matches!(
            tried("certificate", "empty"),
            Err(CertificateError::NoPrivateKey(_))
        ));
        assert!(matches!(
            tried("certificate", "other-key"),
            Err(CertificateError::Unusable { .. })
        ));
    }
}
