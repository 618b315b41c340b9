//! `--static FILE`: inputs and outputs from a TOML file instead of the control plane.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use shared::id::{InputUid, OutputUid};
use shared::limits::{DEFAULT_MAX_OUTPUTS_PER_INPUT, MAX_OUTPUT_KEY_BYTES};
use shared::link::{PublishRefusal, Snapshot, Target, WantedOutput, Wish};
use shared::output_url::{InvalidOutputUrl, OutputUrl};
use shared::secret::Secret;

use crate::control::Refused;

/// The inputs of a file, checked.
#[derive(Debug)]
pub struct Handle {
    inputs: Vec<Input>,
    epochs: AtomicU64,
}

impl Handle {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let file: File = toml::from_str(text).map_err(Invalid::Toml)?;
        let mut inputs: Vec<Input> = Vec::with_capacity(file.input.len());
        for (index, written) in file.input.into_iter().enumerate() {
            let number = index + 1;
            if written.stream_key.expose().trim().is_empty() {
                return Err(Invalid::EmptyKey { input: number });
            }
            if inputs.iter().any(|input| input.key == written.stream_key) {
                return Err(Invalid::SameKey { input: number });
            }
            inputs.push(Input::check(number, written)?);
        }
        Ok(Self {
            inputs,
            epochs: AtomicU64::new(0),
        })
    }

    /// Gives the input of `key` to this node.
    pub fn authorise(&self, key: &Secret) -> Result<Snapshot, Refused> {
        let input = self
            .inputs
            .iter()
            .find(|input| input.key == *key)
            .ok_or(Refused::Denied(PublishRefusal::UnknownKey))?;
        Ok(Snapshot {
            input: input.uid,
            rev: 1,
            epoch: 1 + self.epochs.fetch_add(1, Ordering::Relaxed),
            owner: None,
            wish: Wish::Relay {
                outputs: input.outputs.clone(),
            },
        })
    }

    /// Each input's id and name, for the log: a file has no ids of its own.
    pub fn names(&self) -> impl Iterator<Item = (InputUid, Option<&str>)> {
        self.inputs
            .iter()
            .map(|input| (input.uid, input.name.as_deref()))
    }
}

/// Why a file of inputs cannot be used. None of the texts repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A stream key without a character.
    #[error("input {input}: the stream key is empty")]
    EmptyKey {
        /// The input's place in the file, from 1.
        input: usize,
    },
    /// A destination's key over its bound.
    #[error("input {input}, output {output}: the key is longer than {MAX_OUTPUT_KEY_BYTES} bytes")]
    LongKey {
        /// The input's place in the file, from 1.
        input: usize,
        /// The output's place in the input, from 1.
        output: usize,
    },
    /// The same stream key twice.
    #[error("input {input}: an earlier input has the same stream key")]
    SameKey {
        /// The input's place in the file, from 1.
        input: usize,
    },
    /// More outputs than an input may have.
    #[error("input {input}: more than {DEFAULT_MAX_OUTPUTS_PER_INPUT} outputs")]
    TooManyOutputs {
        /// The input's place in the file, from 1.
        input: usize,
    },
    /// Not TOML, a wrong type, or an unknown key.
    #[error("{}", describe(.0))]
    Toml(toml::de::Error),
    /// A destination that cannot be connected to.
    #[error("input {input}, output {output}: {why}")]
    Url {
        /// The input's place in the file, from 1.
        input: usize,
        /// The output's place in the input, from 1.
        output: usize,
        /// What is wrong with it.
        why: InvalidOutputUrl,
    },
}

/// The error's message alone: its `Display` quotes the line, and lines here hold keys.
fn describe(error: &toml::de::Error) -> &str {
    error.message()
}

#[derive(Debug)]
struct Input {
    uid: InputUid,
    name: Option<String>,
    key: Secret,
    outputs: Vec<WantedOutput>,
}

impl Input {
    fn check(number: usize, written: WrittenInput) -> Result<Self, Invalid> {
        if written.output.len() > DEFAULT_MAX_OUTPUTS_PER_INPUT as usize {
            return Err(Invalid::TooManyOutputs { input: number });
        }
        let mut outputs = Vec::with_capacity(written.output.len());
        for (index, output) in written.output.into_iter().enumerate() {
            OutputUrl::parse(&output.url).map_err(|why| Invalid::Url {
                input: number,
                output: index + 1,
                why,
            })?;
            if output.stream_key.expose().len() > MAX_OUTPUT_KEY_BYTES {
                return Err(Invalid::LongKey {
                    input: number,
                    output: index + 1,
                });
            }
            outputs.push(WantedOutput {
                uid: OutputUid::from_random(numbered(number, index + 1)),
                enabled: output.enabled,
                target: Target::Rtmp {
                    url: output.url,
                    stream_key: output.stream_key,
                },
            });
        }
        Ok(Self {
            uid: InputUid::from_random(numbered(number, 0)),
            name: written.name,
            key: Secret::new(written.stream_key.expose().trim()),
            outputs,
        })
    }
}

/// The bytes of an id that is the same at every start and tells its place in the file.
fn numbered(input: usize, output: usize) -> [u8; 16] {
    ((input as u128) << 96 | output as u128).to_be_bytes()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    input: Vec<WrittenInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    name: Option<String>,
    stream_key: Secret,
    #[serde(default)]
    output: Vec<WrittenOutput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOutput {
    url: String,
    stream_key: Secret,
    #[serde(default = "enabled")]
    enabled: bool,
}

fn enabled() -> bool {
    true
}
