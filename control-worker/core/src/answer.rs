//! What a client reads when a request succeeds.

use serde_json::value::RawValue;
use shared::api::{Ingest, ListedInput, LiveInput, Output};
use shared::id::AccountId;

use crate::failure::Failure;
use crate::keys::{Keyring, Place};
use crate::sql::{InputRow, ListedRow, OutputRow};

/// A live input with its credentials. `ingest_url` is where encoders send,
/// `rtmps://host:port/live/`.
///
/// # Errors
///
/// 500 where the row is damaged or its key is not on the ring.
pub fn live_input(
    row: InputRow,
    ingest_url: &str,
    keyring: &Keyring,
) -> Result<LiveInput, Failure> {
    let place = Place::input_key(row.account, row.uid);
    Ok(LiveInput {
        uid: row.uid,
        rtmps: Ingest {
            url: ingest_url.to_owned(),
            stream_key: keyring
                .open(&place, &row.key_sealed)
                .map_err(|_| Failure::internal())?,
        },
        created: row.created,
        modified: row.modified,
        meta: meta(row.meta)?,
        enabled: row.enabled,
    })
}

/// A live input as lists show it.
///
/// # Errors
///
/// 500 where the row is damaged.
pub fn listed_input(row: ListedRow) -> Result<ListedInput, Failure> {
    Ok(ListedInput {
        uid: row.uid,
        id: row.uid,
        created: row.created,
        modified: row.modified,
        meta: meta(row.meta)?,
        enabled: row.enabled,
    })
}

/// An output of a live input of `account`.
///
/// # Errors
///
/// 500 where the row's key is not on the ring.
pub fn output(row: OutputRow, account: AccountId, keyring: &Keyring) -> Result<Output, Failure> {
    let place = Place::output_key(account, row.uid);
    Ok(Output {
        uid: row.uid,
        url: row.url,
        stream_key: keyring
            .open(&place, &row.key_sealed)
            .map_err(|_| Failure::internal())?,
        enabled: row.enabled,
    })
}

fn meta(text: String) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(text).map_err(|_| Failure::internal())
}
