//! Randomness of the runtime.

use worker::{Error, Result};

/// `N` bytes that nobody can foresee.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(bytes)
}
