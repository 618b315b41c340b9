//! Both ends of TLS for servers and taps inside a test, with the test's own authority.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::Authority;

/// Shows the authority's server certificate.
pub fn acceptor(authority: &Authority) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&authority.server_certificate)?;
    let key = PrivateKeyDer::from_pem_file(&authority.server_key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain.collect::<Result<_, _>>()?, key)?;
    // As the node, whose place a tap takes: librtmp can do nothing with them.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config).into())
}

/// Trusts the authority in the PEM file `certificate`, and nobody else.
pub fn connector(certificate: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(certificate)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// TLS for servers that have none.
pub struct Fronts {
    acceptor: TlsAcceptor,
    runtime: Runtime,
}

impl Fronts {
    /// No front yet.
    pub fn new(authority: &Authority) -> Result<Self> {
        Ok(Self {
            acceptor: acceptor(authority)?,
            runtime: Runtime::new()?,
        })
    }

    /// The port of a front for the server on `port`.
    pub fn add(&self, port: u16) -> Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = self.runtime.block_on(listener)?;
        let front = listener.local_addr()?.port();
        let acceptor = self.acceptor.clone();
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut from = acceptor.accept(stream).await?;
                    let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                    copy_bidirectional(&mut from, &mut to).await
                });
            }
        });
        Ok(front)
    }
}
