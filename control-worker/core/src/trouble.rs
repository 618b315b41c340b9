//! Why an operation of an object could not be finished.

use crate::keys::Unsealable;
use crate::sql::RowError;

/// Why an operation could not be finished. The alarm will try again where something was begun.
#[derive(Debug, thiserror::Error)]
pub enum Trouble<E> {
    /// An effect failed.
    #[error("an effect failed")]
    Host(E),
    /// The rows are not of the form asked for.
    #[error(transparent)]
    Rows(#[from] RowError),
    /// A secret does not open.
    #[error(transparent)]
    Unsealable(#[from] Unsealable),
}
