//! A private certificate authority, made once, and the certificate for `localhost` that it signed.
//!
//! The authority's key is thrown away after that: people make their system trust the authority,
//! and so nothing that lies about on this machine can sign for another name.

#![expect(
    clippy::disallowed_methods,
    reason = "certificates are good by the time of day"
)]

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::secrets::write_private;

/// The file under which Debian's store knows the authority.
pub(crate) const STORE_FILE: &str = "/usr/local/share/ca-certificates/stream-connect-dev.crt";

/// How long both certificates are good: long, since a new authority has to be trusted anew.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * DAY);
/// They are made anew this long before their end.
const MARGIN: Duration = Duration::from_secs(30 * DAY);
/// They are good from this long ago, for clocks that are behind.
const SKEW: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

/// The files that programs are given.
pub(crate) struct Certificates {
    /// The authority's own certificate.
    pub(crate) authority: PathBuf,
    /// The server's.
    pub(crate) certificate: PathBuf,
    /// The server's key, P-256.
    pub(crate) private_key: PathBuf,
}

impl Certificates {
    /// Makes them when one is missing or about to expire.
    pub(crate) fn ensure(folder: &Path) -> Result<Self> {
        let files = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("cert.pem"),
            private_key: folder.join("key.pem"),
        };
        if !files.are_good(SystemTime::now()) {
            files
                .make(SystemTime::now())
                .context("making certificates")?;
        }
        Ok(files)
    }

    fn are_good(&self, now: SystemTime) -> bool {
        let is_young = |path: &PathBuf| {
            let made = fs::metadata(path).and_then(|file| file.modified());
            made.is_ok_and(|made| now < made + VALIDITY - MARGIN)
        };
        [&self.authority, &self.certificate, &self.private_key]
            .into_iter()
            .all(is_young)
    }

    fn make(&self, now: SystemTime) -> Result<()> {
        let mut authority = parameters(Vec::new(), "Stream Connect development CA", now)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let mut server = parameters(vec!["localhost".to_owned()], "localhost", now)?;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate()?;
        let issuer = Issuer::new(authority, authority_key);
        let server_pem = server.signed_by(&server_key, &issuer)?.pem();

        write_private(&self.private_key, &server_key.serialize_pem())?;
        fs::write(&self.certificate, server_pem)?;
        fs::write(&self.authority, authority_pem)?;
        Ok(())
    }
}

fn parameters(names: Vec<String>, common_name: &str, now: SystemTime) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters.not_before = (now - SKEW).into();
    parameters.not_after = (now + VALIDITY).into();
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_once_and_anew_before_they_expire() {
        let folder = std::env::temp_dir().join(format!("xtask-tls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let first = Certificates::ensure(&folder).unwrap();
        let made = fs::read(&first.certificate).unwrap();
        let again = Certificates::ensure(&folder).unwrap();
        assert_eq!(fs::read(&again.certificate).unwrap(), made);
        assert!(again.are_good(SystemTime::now() + VALIDITY - MARGIN - SKEW));
        assert!(!again.are_good(SystemTime::now() + VALIDITY - MARGIN + SKEW));
        fs::remove_file(&first.private_key).unwrap();
        Certificates::ensure(&folder).unwrap();
        assert_ne!(fs::read(&again.certificate).unwrap(), made);
        fs::remove_dir_all(&folder).unwrap();
    }
}
