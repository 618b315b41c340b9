//! What a change changes.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::id::{AccountId, OutputUid};
use shared::link::InputSettings;
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use crate::keys::{Keyring, Place, Unsealable};
use crate::request::{KeyRotation, NewInput, NewOutput, OutputUpdate, SettingsUpdate};
use crate::sealed_url;
use crate::sql;

/// What to change. Holds secrets in sealed form only.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new live input.
    CreateInput {
        /// The user's JSON text.
        meta: String,
        /// Whether encoders may publish to it.
        enabled: bool,
        /// The stream key's keyed hash.
        key_hash: String,
        /// The stream key, sealed.
        key_sealed: String,
        /// How its publisher is treated.
        settings: InputSettings,
    },
    /// A new output.
    CreateOutput {
        /// Its id.
        uid: OutputUid,
        /// Where to send; what it says of the user is sealed.
        url: String,
        /// The destination's stream key, sealed.
        key_sealed: String,
        /// Whether to send to it.
        enabled: bool,
        /// The user's JSON text.
        meta: String,
    },
    /// The live input goes, and its outputs with it.
    DeleteInput,
    /// An output goes.
    DeleteOutput {
        /// Its id.
        uid: OutputUid,
    },
    /// An output that waits to try again does so now.
    RetryOutput {
        /// Its id.
        uid: OutputUid,
    },
    /// A new stream key of the live input.
    RotateKeys {
        /// Its keyed hash.
        key_hash: String,
        /// Itself, sealed.
        key_sealed: String,
        /// Until when the present key is honoured beside it; if none, no longer.
        #[serde(with = "sql::optional_micros")]
        old_until: Option<Timestamp>,
    },
    /// Other settings of the live input; what is none stays.
    UpdateInput {
        /// The user's JSON text.
        meta: Option<String>,
        /// Whether encoders may publish to it.
        enabled: Option<bool>,
        /// How its publisher is treated.
        settings: SettingsUpdate,
    },
    /// Other settings of an output; what is none stays.
    UpdateOutput {
        /// Its id.
        uid: OutputUid,
        /// Where to send.
        url: Option<String>,
        /// The destination's stream key, sealed.
        key_sealed: Option<String>,
        /// Whether to send to it.
        enabled: Option<bool>,
        /// The user's JSON text.
        meta: Option<String>,
    },
}

impl Change {
    /// A new live input with its key. `nonce` is random and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn create_input(
        body: NewInput,
        account: AccountId,
        key: &StreamKey,
        nonce: [u8; 12],
        keyring: &Keyring,
    ) -> Result<Self, Unsealable> {
        let place = Place::input_key(account, key.input());
        Ok(Self::CreateInput {
            meta: body.meta,
            enabled: body.enabled,
            key_hash: keyring.hash(key)?,
            key_sealed: keyring.seal(&place, nonce, &key.expose())?,
            settings: body.settings,
        })
    }

    /// A new stream key, made at `now`. `nonce` is random and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn rotate_keys(
        rotation: KeyRotation,
        account: AccountId,
        key: &StreamKey,
        now: Timestamp,
        nonce: [u8; 12],
        keyring: &Keyring,
    ) -> Result<Self, Unsealable> {
        let place = Place::input_key(account, key.input());
        let grace = rotation.grace_period;
        Ok(Self::RotateKeys {
            key_hash: keyring.hash(key)?,
            key_sealed: keyring.seal(&place, nonce, &key.expose())?,
            old_until: (!grace.is_zero()).then(|| now.after(grace)),
        })
    }

    /// A new output. The nonces are random and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn create_output(
        body: NewOutput,
        account: AccountId,
        uid: OutputUid,
        [key_nonce, url_nonce]: [[u8; 12]; 2],
        keyring: &Keyring,
    ) -> Result<Self, Unsealable> {
        let place = Place::output_key(account, uid);
        let url_place = Place::output_url(account, uid);
        Ok(Self::CreateOutput {
            uid,
            url: sealed_url::seal(&body.url, &url_place, url_nonce, keyring)?,
            key_sealed: keyring.seal(&place, key_nonce, &body.stream_key)?,
            enabled: body.enabled,
            meta: body.meta,
        })
    }

    /// Other settings of an output. The nonces are random and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn update_output(
        body: OutputUpdate,
        account: AccountId,
        uid: OutputUid,
        [key_nonce, url_nonce]: [[u8; 12]; 2],
        keyring: &Keyring,
    ) -> Result<Self, Unsealable> {
        let place = Place::output_key(account, uid);
        let url_place = Place::output_url(account, uid);
        let key = body.stream_key.as_ref();
        Ok(Self::UpdateOutput {
            uid,
            url: body
                .url
                .map(|url| sealed_url::seal(&url, &url_place, url_nonce, keyring))
                .transpose()?,
            key_sealed: key
                .map(|key| keyring.seal(&place, key_nonce, key))
                .transpose()?,
            enabled: body.enabled,
            meta: body.meta,
        })
    }
}

/// Names the change and no value: URLs may hold secrets.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateInput { .. } => f.write_str("CreateInput"),
            Self::CreateOutput { uid, .. } => write!(f, "CreateOutput({uid})"),
            Self::DeleteInput => f.write_str("DeleteInput"),
            Self::DeleteOutput { uid } => write!(f, "DeleteOutput({uid})"),
            Self::RotateKeys { .. } => f.write_str("RotateKeys"),
            Self::RetryOutput { uid } => write!(f, "RetryOutput({uid})"),
            Self::UpdateInput { .. } => f.write_str("UpdateInput"),
            Self::UpdateOutput { uid, .. } => write!(f, "UpdateOutput({uid})"),
        }
    }
}
