//! `--static FILE`: inputs and outputs from a TOML file instead of the control plane.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use shared::id::{InputUid, OutputUid};
use shared::limits::{
    DEFAULT_MAX_OUTPUTS_PER_INPUT, DEFAULT_RECONNECT_WINDOW_SECONDS, MAX_OUTPUT_KEY_BYTES,
    MAX_RECONNECT_WINDOW_SECONDS,
};
use shared::link::{
    InputSettings, OnFormatChange, OnStop, PublishRefusal, Snapshot, Takeover, Target,
    WantedOutput, Wish,
};
use shared::output_url::{InvalidOutputUrl, OutputUrl};
use shared::secret::Secret;

use crate::control::{Accepted, Refused};
use crate::toml_error::TomlError;

/// The inputs of a file, checked.
#[derive(Debug)]
pub struct Handle {
    inputs: Vec<Input>,
    /// The place of each among the inputs, by its key's hash: how long a look-up takes says nothing of
    /// any key, and does not grow with the file.
    by_key: HashMap<[u8; 32], usize>,
    epochs: AtomicU64,
}

impl Handle {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let file: File =
            toml::from_str(text).map_err(|error| Invalid::Toml(TomlError::new(text, &error)))?;
        let mut inputs: Vec<Input> = Vec::with_capacity(file.input.len());
        let mut by_key = HashMap::with_capacity(file.input.len());
        for (index, written) in file.input.into_iter().enumerate() {
            let number = index + 1;
            let input = Input::check(number, written)?;
            if by_key.insert(hash(&input.key), index).is_some() {
                return Err(Invalid::SameKey { input: number });
            }
            inputs.push(input);
        }
        Ok(Self {
            inputs,
            by_key,
            epochs: AtomicU64::new(0),
        })
    }

    /// The input of `key`.
    pub fn input_of(&self, key: &Secret) -> Option<InputUid> {
        self.find(key).map(|input| input.uid)
    }

    fn find(&self, key: &Secret) -> Option<&Input> {
        let input = self.inputs.get(*self.by_key.get(&hash(key))?)?;
        (input.key == *key).then_some(input)
    }

    /// Gives the input of `key` to this node.
    pub fn authorise(&self, key: &Secret) -> Result<Accepted, Refused> {
        let input = self
            .find(key)
            .ok_or(Refused::Denied(PublishRefusal::UnknownKey))?;
        let snapshot = Snapshot {
            input: input.uid,
            rev: 1,
            epoch: 1 + self.epochs.fetch_add(1, Ordering::Relaxed),
            owner: None,
            oldest_key: 0,
            account: None,
            wish: Wish::Relay {
                outputs: input.outputs.clone(),
                settings: input.settings,
            },
        };
        Ok(Accepted {
            snapshot,
            key: 0,
            cached: false,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// A reconnect window over its bound.
    #[error("input {input}: reconnect_window is longer than {MAX_RECONNECT_WINDOW_SECONDS} s")]
    LongWindow {
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
    #[error(transparent)]
    Toml(TomlError),
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

#[derive(Debug)]
struct Input {
    uid: InputUid,
    name: Option<String>,
    key: Secret,
    settings: InputSettings,
    outputs: Vec<WantedOutput>,
}

impl Input {
    fn check(number: usize, written: WrittenInput) -> Result<Self, Invalid> {
        let key = written.stream_key.expose().trim();
        if key.is_empty() {
            return Err(Invalid::EmptyKey { input: number });
        }
        if written.output.len() > DEFAULT_MAX_OUTPUTS_PER_INPUT as usize {
            return Err(Invalid::TooManyOutputs { input: number });
        }
        let settings = InputSettings::from(written.settings);
        if settings.reconnect_window > MAX_RECONNECT_WINDOW_SECONDS {
            return Err(Invalid::LongWindow { input: number });
        }
        let mut outputs = Vec::with_capacity(written.output.len());
        for (index, output) in written.output.into_iter().enumerate() {
            OutputUrl::parse(output.url.expose()).map_err(|why| Invalid::Url {
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
                retry: 0,
                target: Target::Rtmp {
                    url: output.url,
                    stream_key: output.stream_key,
                },
            });
        }
        Ok(Self {
            uid: InputUid::from_random(numbered(number, 0)),
            name: written.name,
            key: Secret::new(key),
            settings,
            outputs,
        })
    }
}

fn hash(key: &Secret) -> [u8; 32] {
    Sha256::digest(key.expose()).into()
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
    settings: WrittenSettings,
    #[serde(default)]
    output: Vec<WrittenOutput>,
}

/// [`InputSettings`], where a mistyped name is a mistake and not a newer version.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSettings {
    reconnect_window: Option<u32>,
    #[serde(default)]
    on_stop: OnStop,
    #[serde(default)]
    on_format_change: OnFormatChange,
    #[serde(default)]
    takeover: Takeover,
}

impl From<WrittenSettings> for InputSettings {
    fn from(written: WrittenSettings) -> Self {
        let WrittenSettings {
            reconnect_window,
            on_stop,
            on_format_change,
            takeover,
        } = written;
        Self {
            reconnect_window: reconnect_window.unwrap_or(DEFAULT_RECONNECT_WINDOW_SECONDS),
            on_stop,
            on_format_change,
            takeover,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOutput {
    url: Secret,
    stream_key: Secret,
    #[serde(default = "enabled")]
    enabled: bool,
}

fn enabled() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
[[input]]
name = "studio"
stream_key = "hunter2"
[[input.output]]
url = "rtmp://127.0.0.1:1936/live"
stream_key = "key/with?every=thing"
[[input.output]]
url = "rtmps://example.com/app"
stream_key = ""
enabled = false
[[input]]
stream_key = " second "
"#;

    #[test]
    fn a_key_opens_its_input() {
        let handle = Handle::parse(TWO).unwrap();
        let authorise = |key| handle.authorise(&Secret::new(key)).unwrap().snapshot;
        let (first, second) = (authorise("hunter2"), authorise("second"));
        assert!(first.input != second.input && first.epoch < second.epoch);
        let Wish::Relay { outputs, .. } = first.wish else {
            panic!("not a relay wish");
        };
        assert_eq!(
            outputs.iter().map(|o| o.enabled).collect::<Vec<_>>(),
            [true, false]
        );
        assert_ne!(outputs[0].uid, outputs[1].uid);
        assert_eq!(
            handle.authorise(&Secret::new("hunter")),
            Err(Refused::Denied(PublishRefusal::UnknownKey))
        );
        assert_eq!(handle.names().next().unwrap().1, Some("studio"));
    }

    #[test]
    fn ids_stay_the_same_and_differ() {
        let again = |key| {
            Handle::parse(TWO)
                .unwrap()
                .authorise(&Secret::new(key))
                .unwrap()
                .snapshot
                .input
        };
        assert_eq!(again("hunter2"), again("hunter2"));
        assert_ne!(again("hunter2"), again("second"));
    }

    #[test]
    fn mistakes_are_named_without_keys() {
        for (text, says) in [
            (
                "[[input]]\nstream_key = \" \"",
                "input 1: the stream key is empty",
            ),
            (
                "[[input]]\nstream_key = \"hunter2\"\n[[input]]\nstream_key = \" hunter2\"",
                "input 2: an earlier input has the same stream key",
            ),
            (
                "[[input]]\nstream_key = \"hunter2\"\n[[input.output]]\nurl = \"rtmp://a\"\n\
                 stream_key = \"hunter2\"",
                "input 1, output 1: the URL names no application",
            ),
            (
                "[[input]]\nstream_key = \"hunter2\"\nurl = 1",
                "line 3, column 1: unknown field `url`",
            ),
            (
                "[[input]]\nname = \"a\"",
                "line 1, column 1: missing field `stream_key`",
            ),
        ] {
            let error = Handle::parse(text).unwrap_err().to_string();
            assert!(
                error.starts_with(says) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_input_says_how_its_publisher_is_treated() {
        let with = |settings: &str| {
            let text = format!("[[input]]\nstream_key = \"k\"\n{settings}");
            let handle = Handle::parse(&text)?;
            match handle.authorise(&Secret::new("k")).unwrap().snapshot.wish {
                Wish::Relay { settings, .. } => Ok(settings),
                _ => panic!("not a relay wish"),
            }
        };
        assert_eq!(with(""), Ok(InputSettings::default()));
        let all = "[input.settings]\nreconnect_window = 1800\non_stop = \"hold\"\n\
                   on_format_change = \"continue\"\ntakeover = \"reject\"";
        assert_eq!(
            with(all),
            Ok(InputSettings {
                reconnect_window: 1800,
                on_stop: OnStop::Hold,
                on_format_change: OnFormatChange::Continue,
                takeover: Takeover::Reject,
            })
        );
        assert_eq!(
            with("[input.settings]\nreconnect_window = 1801"),
            Err(Invalid::LongWindow { input: 1 })
        );
        let mistyped = with("[input.settings]\nreconect_window = 1").unwrap_err();
        assert!(mistyped.to_string().contains("unknown field"), "{mistyped}");
    }

    #[test]
    fn outputs_are_bounded() {
        let with = |n| {
            let output = "[[input.output]]\nurl = \"rtmp://a/b\"\nstream_key = \"k\"\n";
            format!("[[input]]\nstream_key = \"k\"\n{}", output.repeat(n))
        };
        let bound = DEFAULT_MAX_OUTPUTS_PER_INPUT as usize;
        assert!(Handle::parse(&with(bound)).is_ok());
        assert_eq!(
            Handle::parse(&with(bound + 1)).unwrap_err(),
            Invalid::TooManyOutputs { input: 1 }
        );
        let key = |n| {
            let long = "k".repeat(n);
            format!(
                "[[input]]\nstream_key = \"k\"\n[[input.output]]\nurl = \"rtmp://a/b\"\n\
                 stream_key = \"{long}\""
            )
        };
        assert!(Handle::parse(&key(MAX_OUTPUT_KEY_BYTES)).is_ok());
        assert_eq!(
            Handle::parse(&key(MAX_OUTPUT_KEY_BYTES + 1)).unwrap_err(),
            Invalid::LongKey {
                input: 1,
                output: 1
            }
        );
    }
}
