//! A certificate authority of the test's own, for destinations.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The files of an authority and of the server certificate that it signed.
pub struct Authority {
    /// The authority's certificate, PEM.
    pub certificate: PathBuf,
    /// The server's certificate for `localhost`, PEM.
    pub server_certificate: PathBuf,
    /// The server's key, PEM.
    pub server_key: PathBuf,
}

impl Authority {
    /// Makes all of them in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Stream Connect test destinations");
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);

        let server_key = KeyPair::generate()?;
        let server = CertificateParams::new(["localhost".to_owned()])?;
        let server = server.signed_by(&server_key, &issuer)?;

        let authority = Self {
            certificate: folder.join("authority.pem"),
            server_certificate: folder.join("server.pem"),
            server_key: folder.join("server-key.pem"),
        };
        fs::write(&authority.certificate, certificate.pem())?;
        fs::write(&authority.server_certificate, server.pem())?;
        fs::write(&authority.server_key, server_key.serialize_pem())?;
        Ok(authority)
    }
}
