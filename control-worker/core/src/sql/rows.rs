//! The rows of the tables. D1 gives every number as a double, and truth as 0 or 1.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use shared::api::InputState;
use shared::id::{AccountId, InputUid, OutputUid};
use shared::link::{InputSettings, OnFormatChange, OnStop, Takeover};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use crate::keys::Keyring;

/// A live input, whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct InputRow {
    /// Its id.
    pub uid: InputUid,
    /// Whose it is.
    #[serde(rename = "account_id")]
    pub account: AccountId,
    /// The user's JSON text.
    pub meta: String,
    /// Whether encoders may publish to it.
    #[serde(deserialize_with = "boolean")]
    pub enabled: bool,
    /// The stream key's keyed hash.
    pub key_hash: String,
    /// The stream key, sealed.
    pub key_sealed: String,
    /// How often it was replaced.
    #[serde(deserialize_with = "unsigned")]
    pub key_number: u64,
    /// When it was last replaced.
    #[serde(with = "optional_micros")]
    pub keys_rotated: Option<Timestamp>,
    /// The keyed hash of the key before it, if that was to be honoured for a while.
    pub old_key_hash: Option<String>,
    /// Until when.
    #[serde(with = "optional_micros")]
    pub old_key_until: Option<Timestamp>,
    /// The last change that was written.
    #[serde(deserialize_with = "unsigned")]
    pub rev: u64,
    /// When it was created.
    #[serde(with = "micros")]
    pub created: Timestamp,
    /// When it or one of its settings last changed.
    #[serde(with = "micros")]
    pub modified: Timestamp,
    /// For how many seconds outputs wait for its publisher.
    #[serde(deserialize_with = "unsigned")]
    pub reconnect_window: u64,
    /// What a publisher's goodbye means.
    pub on_stop: OnStop,
    /// What happens to outputs when the publisher returns with other codecs.
    pub on_format_change: OnFormatChange,
    /// What a second publisher means.
    pub takeover: Takeover,
}

impl InputRow {
    /// How its publisher is treated.
    pub fn settings(&self) -> InputSettings {
        InputSettings {
            reconnect_window: u32::try_from(self.reconnect_window).unwrap_or(u32::MAX),
            on_stop: self.on_stop,
            on_format_change: self.on_format_change,
            takeover: self.takeover,
        }
    }

    /// Until when a key that was replaced is honoured, if it is at `now`.
    pub(crate) fn overlap(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.old_key_until.filter(|until| *until > now);
        until.filter(|_| self.old_key_hash.is_some())
    }

    /// The number of the oldest key that is honoured at `now`.
    pub(crate) fn oldest_key(&self, now: Timestamp) -> u64 {
        match self.overlap(now) {
            Some(_) => self.key_number.saturating_sub(1),
            None => self.key_number,
        }
    }

    /// The number of `key`, if it is honoured at `now`.
    pub fn number_of(&self, key: &StreamKey, keyring: &Keyring, now: Timestamp) -> Option<u64> {
        if keyring.matches(key, &self.key_hash) {
            return Some(self.key_number);
        }
        let old = self
            .old_key_hash
            .as_ref()
            .filter(|_| self.overlap(now).is_some())?;
        keyring.matches(key, old).then(|| self.oldest_key(now))
    }
}

/// A live input as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedRow {
    /// Its id.
    pub uid: InputUid,
    /// The user's JSON text.
    pub meta: String,
    /// Whether encoders may publish to it.
    #[serde(deserialize_with = "boolean")]
    pub enabled: bool,
    /// When it was created.
    #[serde(with = "micros")]
    pub created: Timestamp,
    /// When it or one of its settings last changed.
    #[serde(with = "micros")]
    pub modified: Timestamp,
    /// How it stands; none before its first encoder.
    pub state: Option<InputState>,
    /// Since when.
    #[serde(with = "optional_micros")]
    pub state_since: Option<Timestamp>,
    /// How many of its outputs are live.
    #[serde(deserialize_with = "unsigned")]
    pub outputs_up: u64,
    /// How many it has.
    #[serde(deserialize_with = "unsigned")]
    pub outputs: u64,
}

/// How many live inputs a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct CountsRow {
    /// From the cursor on.
    #[serde(deserialize_with = "unsigned")]
    pub range: u64,
    /// All that match.
    #[serde(deserialize_with = "unsigned")]
    pub total: u64,
}

/// Whether a live input is on air, for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct LifecycleRow {
    /// How it stands; none before its first encoder.
    pub state: Option<InputState>,
}

/// An output.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct OutputRow {
    /// Its id.
    pub uid: OutputUid,
    /// Where to send, as the user typed it, but with what it says of the user sealed.
    pub url: String,
    /// The destination's stream key, sealed.
    pub key_sealed: String,
    /// Whether to send to it.
    #[serde(deserialize_with = "boolean")]
    pub enabled: bool,
    /// The user's JSON text.
    pub meta: String,
    /// Rises when somebody asks to try again now.
    #[serde(deserialize_with = "unsigned")]
    pub retry: u64,
    /// The change of the live input that last touched it.
    #[serde(deserialize_with = "unsigned")]
    pub rev: u64,
    /// When it was created.
    #[serde(with = "micros")]
    pub created: Timestamp,
    /// When it last changed.
    #[serde(with = "micros")]
    pub modified: Timestamp,
}

/// Without the URL, whose query may hold a secret.
impl fmt::Debug for OutputRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputRow")
            .field("uid", &self.uid)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// Whether a token is still good.
#[derive(Debug, Deserialize)]
pub(crate) struct GuardRow {
    #[serde(deserialize_with = "boolean")]
    pub(crate) good: bool,
}

/// Why a change did nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct DiagnosisRow {
    /// Whether the token is still good.
    #[serde(deserialize_with = "boolean")]
    pub(crate) good: bool,
    /// The `rev` of the input, if the account has it.
    #[serde(deserialize_with = "optional_unsigned")]
    pub(crate) rev: Option<u64>,
}

/// Times as microseconds, for rows and for what objects store.
pub(crate) mod micros {
    use serde::{Deserializer, Serializer};
    use shared::time::Timestamp;

    pub(crate) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_micros())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        super::integer(deserializer).map(Timestamp::from_micros)
    }
}

/// Times that may be missing.
pub(crate) mod optional_micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use shared::time::Timestamp;

    #[derive(Deserialize, Serialize)]
    struct Micros(#[serde(with = "super::micros")] Timestamp);

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Micros).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let time = Option::<Micros>::deserialize(deserializer)?;
        Ok(time.map(|Micros(time)| time))
    }
}

pub(crate) fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match deserializer.deserialize_any(Integer)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::invalid_value(
            Unexpected::Signed(other),
            &"a truth value",
        )),
    }
}

pub(crate) fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = integer(deserializer)?;
    u64::try_from(number)
        .map_err(|_| Error::invalid_value(Unexpected::Signed(number), &"a number from 0"))
}

fn optional_unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Unsigned(#[serde(deserialize_with = "unsigned")] u64);
    let number = Option::<Unsigned>::deserialize(deserializer)?;
    Ok(number.map(|Unsigned(number)| number))
}

/// A whole number, in whichever form it comes.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(Integer)
}

struct Integer;

impl Visitor<'_> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number below 2^53")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<i64, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() != 0.0 || value.abs() > EXACT {
            return Err(E::invalid_value(Unexpected::Float(value), &self));
        }
        // Whole and within bounds, as just checked.
        #[expect(clippy::cast_possible_truncation)]
        Ok(value as i64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_come_as_doubles() {
        let row = |enabled, created| {
            serde_json::from_value::<ListedRow>(json!({
                "uid": "66be4bf738797e01e1fca35a7bdecdcd", "meta": "{}",
                "enabled": enabled, "created": created, "modified": 0,
                "state": null, "state_since": null, "outputs_up": 0.0, "outputs": 2,
            }))
        };
        let time = Timestamp::from_micros(1_764_551_330_722_170);
        let read = row(json!(1.0), json!(1_764_551_330_722_170.0)).unwrap();
        assert_eq!((read.enabled, read.created), (true, time));
        let read = row(json!(0), json!(1_764_551_330_722_170_i64)).unwrap();
        assert_eq!((read.enabled, read.created), (false, time));
        assert!(row(json!(2), json!(0)).is_err());
        assert!(row(json!(null), json!(0)).is_err());
        assert!(row(json!(1), json!(0.5)).is_err());
        assert!(row(json!(1), json!(1e17)).is_err());
        assert!(row(json!(1), json!("0")).is_err());
    }
}
