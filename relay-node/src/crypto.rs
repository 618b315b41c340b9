//! The one provider of cryptography, named wherever it is needed instead of found by features.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// Makes the provider the process's default too, for the libraries that ask for that one.
pub fn install() {
    // Whoever was first installed the same one.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
