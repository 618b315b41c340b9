//! The one provider of cryptography, named wherever it is needed instead of found by features.

use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// Makes the provider the process's default too, for the libraries that ask for that one.
pub fn install() {
    // Whoever was first installed the same one.
    let _ = preferring_quick_suites().install_default();
}

/// The provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(preferring_quick_suites())
}

/// All suites of rustls, those of AES-128-GCM first, as browsers have it: to seal with it takes a tenth
/// less than with AES-256-GCM, which rustls prefers, and nobody breaks either.
fn preferring_quick_suites() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_128_gcm_comes_first_and_nothing_is_left_out() {
        let names = |provider: &CryptoProvider| -> Vec<String> {
            let suites = provider.cipher_suites.iter();
            suites.map(|suite| format!("{:?}", suite.suite())).collect()
        };
        let ours = names(&provider());
        let quick = |name: &String| name.contains("AES_128_GCM");
        assert!(ours.iter().take(3).all(quick), "{ours:?}");
        let mut all = names(&aws_lc_rs::default_provider());
        let (quick, rest): (Vec<_>, Vec<_>) = all.drain(..).partition(quick);
        assert_eq!(ours, [quick, rest].concat());
    }
}
