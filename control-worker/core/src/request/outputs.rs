//! Bodies about outputs.

use shared::limits::MAX_OUTPUT_KEY_BYTES;
use shared::output_url::OutputUrl;
use shared::secret::Secret;

use super::Fields;
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
}

impl NewOutput {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let url: String = fields.required("url", "a text such as rtmp://host/application")?;
        let url = OutputUrl::parse(&url)
            .map_err(|why| Failure::field("/url", format!("This url cannot be used: {why}.")))?;
        let stream_key: Secret = fields.required("streamKey", "a text")?;
        if stream_key.expose().len() > MAX_OUTPUT_KEY_BYTES {
            return Err(Failure::field(
                "/streamKey",
                format!("The streamKey is too long: use at most {MAX_OUTPUT_KEY_BYTES} bytes."),
            ));
        }
        if stream_key.expose().chars().any(char::is_control) {
            return Err(Failure::field(
                "/streamKey",
                "The streamKey holds control characters, perhaps a line end: remove them.",
            ));
        }
        Ok(Self {
            url,
            stream_key,
            enabled: fields.enabled()?.unwrap_or(true),
        })
    }
}

/// The body of `PUT …/outputs/:output`: what is absent stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputUpdate {
    /// Whether to send to it.
    pub enabled: Option<bool>,
}

impl OutputUpdate {
    /// Reads and checks `body`. As with Cloudflare, `url` and `streamKey` stay what they were
    /// made: a request to change them is refused, rather than answered as if it had been done.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        for name in ["url", "streamKey"] {
            if fields.raw(name).is_some() {
                return Err(Failure::field(
                    format!("/{name}"),
                    format!(
                        "The {name} of an output cannot be changed: delete the output and create \
                         another."
                    ),
                ));
            }
        }
        Ok(Self {
            enabled: fields.enabled()?,
        })
    }
}
