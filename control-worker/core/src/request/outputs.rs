//! Bodies about outputs.

use shared::limits::MAX_OUTPUT_KEY_BYTES;
use shared::output_url::OutputUrl;
use shared::secret::Secret;

use super::{Fields, missing};
use crate::destination::DestinationPolicy;
use crate::failure::Failure;

/// The body of `POST …/outputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutput {
    /// Where to send.
    pub url: OutputUrl,
    /// The destination's stream key, byte for byte. May be empty: some servers have it in the
    /// URL, and Cloudflare's typed clients cannot leave the field out.
    pub stream_key: Secret,
    /// Whether to send to it; so if nothing was said.
    pub enabled: bool,
    /// The user's JSON object, to the letter; `{}` if none was given.
    pub meta: String,
}

impl NewOutput {
    /// Reads and checks `body`; its destination must be one that `policy` allows.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`](super::NewInput::parse).
    pub fn parse(body: &[u8], policy: &DestinationPolicy) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        Ok(Self {
            url: fields
                .url(policy)?
                .ok_or_else(|| missing("url", URL_FORM))?,
            stream_key: fields
                .stream_key()?
                .ok_or_else(|| missing("streamKey", KEY_FORM))?,
            enabled: fields.enabled()?.unwrap_or(true),
            meta: fields.meta()?.unwrap_or_else(|| "{}".to_owned()),
        })
    }
}

/// The body of `PUT …/outputs/:output`: what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputUpdate {
    /// Where to send.
    pub url: Option<OutputUrl>,
    /// The destination's stream key.
    pub stream_key: Option<Secret>,
    /// Whether to send to it.
    pub enabled: Option<bool>,
    /// The user's JSON object, replaced as a whole; an explicit null sets it to `{}`.
    pub meta: Option<String>,
}

impl OutputUpdate {
    /// Reads and checks `body`; a new destination must be one that `policy` allows.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`](super::NewInput::parse).
    pub fn parse(body: &[u8], policy: &DestinationPolicy) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        Ok(Self {
            url: fields.url(policy)?,
            stream_key: fields.stream_key()?,
            enabled: fields.enabled()?,
            meta: fields.meta()?,
        })
    }
}

impl Fields<'_> {
    fn url(&self, policy: &DestinationPolicy) -> Result<Option<OutputUrl>, Failure> {
        let Some(text) = self.optional::<String>("url", URL_FORM)? else {
            return Ok(None);
        };
        let unusable =
            |why: String| Failure::field("/url", format!("This url cannot be used: {why}."));
        let url = OutputUrl::parse(&text).map_err(|why| unusable(why.to_string()))?;
        policy
            .judge(&url)
            .map_err(|why| unusable(why.to_string()))?;
        Ok(Some(url))
    }

    fn stream_key(&self) -> Result<Option<Secret>, Failure> {
        let Some(key) = self.optional::<Secret>("streamKey", KEY_FORM)? else {
            return Ok(None);
        };
        if key.expose().len() > MAX_OUTPUT_KEY_BYTES {
            return Err(Failure::field(
                "/streamKey",
                format!("The streamKey is too long: use at most {MAX_OUTPUT_KEY_BYTES} bytes."),
            ));
        }
        if key.expose().chars().any(char::is_control) {
            return Err(Failure::field(
                "/streamKey",
                "The streamKey holds control characters, perhaps a line end: remove them.",
            ));
        }
        Ok(Some(key))
    }
}

const URL_FORM: &str = "a text such as rtmp://host/application";
const KEY_FORM: &str = "a text";
