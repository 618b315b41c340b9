//! What a node is told of a live input.

use shared::id::InputUid;
use shared::link::{Owner, Snapshot, Target, WantedOutput, Wish};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::keys::{Keyring, Place, Unsealable};
use crate::sealed_url;
use crate::sql::Wanted;

/// The snapshot of `input` as the database has it at `now`.
///
/// # Errors
///
/// [`Unsealable`] where a key of an output does not open. That an input is deleted or disabled can
/// be said without its keys.
pub fn build(
    input: InputUid,
    rev: u64,
    epoch: u64,
    owner: Option<&Owner>,
    wanted: &Wanted,
    now: Timestamp,
    keyring: &Keyring,
) -> Result<Snapshot, Unsealable> {
    Ok(Snapshot {
        input,
        rev,
        epoch,
        owner: owner.cloned(),
        oldest_key: wanted.input.as_ref().map_or(0, |row| row.oldest_key(now)),
        account: wanted.input.as_ref().map(|row| row.account),
        wish: wish(wanted, keyring)?,
    })
}

fn wish(wanted: &Wanted, keyring: &Keyring) -> Result<Wish, Unsealable> {
    let Some(input) = &wanted.input else {
        return Ok(Wish::Deleted);
    };
    if !input.enabled {
        return Ok(Wish::Disabled);
    }
    let outputs = wanted.outputs.iter().map(|row| {
        let place = Place::output_key(input.account, row.uid);
        let url_place = Place::output_url(input.account, row.uid);
        Ok(WantedOutput {
            uid: row.uid,
            enabled: row.enabled,
            retry: row.retry,
            target: Target::Rtmp {
                url: Secret::new(sealed_url::open(&row.url, &url_place, keyring)?),
                stream_key: keyring.open(&place, &row.key_sealed)?,
            },
        })
    });
    Ok(Wish::Relay {
        outputs: outputs.collect::<Result<_, _>>()?,
        settings: input.settings(),
    })
}
