//! Bodies about live inputs.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::limits::{MAX_GRACE_PERIOD_SECONDS, MAX_RECONNECT_WINDOW_SECONDS};
use shared::link::{InputSettings, OnFormatChange, OnStop, Takeover};

use super::Fields;
use crate::failure::Failure;

/// The body of `POST …/live_inputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInput {
    /// The user's JSON object, to the letter; `{}` if none was given.
    pub meta: String,
    /// Whether encoders may publish to it; they may if nothing was said.
    pub enabled: bool,
    /// How its publisher is treated.
    pub settings: InputSettings,
}

impl NewInput {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// 413 over [`MAX_BODY_BYTES`](shared::limits::MAX_BODY_BYTES); else 400/10005 with the field at fault.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        fields.check_unserved()?;
        Ok(Self {
            meta: fields.meta()?.unwrap_or_else(|| "{}".to_owned()),
            enabled: fields.enabled()?.unwrap_or(true),
            settings: fields.settings()?.over(InputSettings::default()),
        })
    }
}

/// The body of `PUT …/live_inputs/:input`: what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputUpdate {
    /// The user's JSON object, replaced as a whole; an explicit null sets it to `{}`.
    pub meta: Option<String>,
    /// Whether encoders may publish to it.
    pub enabled: Option<bool>,
    /// How its publisher is treated.
    pub settings: SettingsUpdate,
}

/// How a live input's publisher is to be treated: what is none stays, an explicit null of the body
/// is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct SettingsUpdate {
    /// For how many seconds outputs wait for it.
    pub reconnect_window: Option<u32>,
    /// What its goodbye means.
    pub on_stop: Option<OnStop>,
    /// What happens to outputs when it returns with other codecs.
    pub on_format_change: Option<OnFormatChange>,
    /// What a second one means.
    pub takeover: Option<Takeover>,
}

impl SettingsUpdate {
    fn over(self, below: InputSettings) -> InputSettings {
        InputSettings {
            reconnect_window: self.reconnect_window.unwrap_or(below.reconnect_window),
            on_stop: self.on_stop.unwrap_or(below.on_stop),
            on_format_change: self.on_format_change.unwrap_or(below.on_format_change),
            takeover: self.takeover.unwrap_or(below.takeover),
        }
    }
}

impl Fields<'_> {
    fn settings(&self) -> Result<SettingsUpdate, Failure> {
        let window = "reconnectWindowSeconds";
        let is_null = self.raw(window).is_some_and(|value| value.get() == "null");
        Ok(SettingsUpdate {
            reconnect_window: match is_null {
                true => Some(InputSettings::default().reconnect_window),
                false => self.whole(window, MAX_RECONNECT_WINDOW_SECONDS)?,
            },
            on_stop: self.choice("onStop", "\"end\" or \"hold\"")?,
            on_format_change: self.choice("onFormatChange", "\"reconnect\" or \"continue\"")?,
            takeover: self.choice("takeover", "\"newest\" or \"reject\"")?,
        })
    }

    /// One of some words; null is the default one.
    fn choice<T: DeserializeOwned + Default>(
        &self,
        name: &str,
        form: &str,
    ) -> Result<Option<T>, Failure> {
        let chosen = self.optional::<Option<T>>(name, form)?;
        Ok(chosen.map(Option::unwrap_or_default))
    }
}

impl InputUpdate {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        fields.check_unserved()?;
        Ok(Self {
            meta: fields.meta()?,
            enabled: fields.enabled()?,
            settings: fields.settings()?,
        })
    }
}

/// The body of `POST …/live_inputs/:input/rotate_keys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// For how long the present key is honoured beside the new one; not at all if nothing was said.
    pub grace_period: Duration,
}

impl KeyRotation {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let seconds = fields.whole("gracePeriodSeconds", MAX_GRACE_PERIOD_SECONDS)?;
        Ok(Self {
            grace_period: Duration::from_secs(seconds.unwrap_or(0).into()),
        })
    }
}
