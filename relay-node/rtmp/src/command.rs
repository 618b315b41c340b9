//! Commands: `connect`, `publish`, `onStatus` and the rest (RTMP 1.0, section 7.2).

use bytes::Bytes;

use crate::amf0::{Bounds, DecodeError, Decoder, Value, encode};
use crate::message::MessageType;

/// One command, either way. Most hold the stream key: only tests print them.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Command {
    pub(crate) name: String,
    /// The number that an answer repeats; 0 if none is wanted.
    pub(crate) transaction: f64,
    /// Everything after: the command object, which is often null, and the arguments.
    pub(crate) values: Vec<Value>,
}

impl Command {
    pub(crate) fn new(
        name: impl Into<String>,
        transaction: f64,
        values: impl IntoIterator<Item = Value>,
    ) -> Self {
        Self {
            name: name.into(),
            transaction,
            values: values.into_iter().collect(),
        }
    }

    /// The answer `onStatus`, by which a stream tells what became of it.
    pub(crate) fn on_status(status: Status<'_>) -> Self {
        Self::new("onStatus", 0.0, [Value::Null, status.into_value()])
    }

    /// Reads a command from the payload of a message of `kind`, within the default bounds; see
    /// [`read_within`](Self::read_within).
    pub(crate) fn read(kind: MessageType, payload: &[u8]) -> Result<Self, CommandError> {
        Self::read_within(Bounds::default(), kind, payload)
    }

    /// Reads a command from the payload of a message of `kind`, within `bounds`.
    ///
    /// A value of a type that is only said to exist (AMF3, references) ends the reading and takes
    /// what follows with it: commands that we know have none before their last argument, and
    /// nobody is to be cut off for one that we don't know.
    ///
    /// # Errors
    ///
    /// It isn't AMF0, exceeds a bound, or lacks a name.
    pub(crate) fn read_within(
        bounds: Bounds,
        kind: MessageType,
        payload: &[u8],
    ) -> Result<Self, CommandError> {
        let mut decoder = Decoder::within(bounds, body(kind, payload));
        let Some(Value::String(name)) = decoder.next_value()? else {
            return Err(CommandError::Nameless);
        };
        let mut values = Vec::new();
        loop {
            match decoder.next_value() {
                Ok(Some(value)) => values.push(value),
                Ok(None) | Err(DecodeError::UnsupportedType(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        // Old encoders leave the number out of commands whose answer they don't wait for.
        let transaction = match values.first().and_then(Value::as_number) {
            Some(number) => {
                values.remove(0);
                number
            }
            None => 0.0,
        };
        Ok(Self {
            name,
            transaction,
            values,
        })
    }

    /// The payload of a message of type [`MessageType::COMMAND_AMF0`].
    pub(crate) fn payload(&self) -> Bytes {
        let mut payload = Vec::with_capacity(256);
        encode(&Value::string(&self.name), &mut payload);
        encode(&Value::Number(self.transaction), &mut payload);
        for value in &self.values {
            encode(value, &mut payload);
        }
        payload.into()
    }

    /// The command object.
    pub(crate) fn object(&self) -> &Value {
        self.values.first().unwrap_or(&Value::Null)
    }

    /// The argument at `index`, the first after the command object being 0.
    pub(crate) fn argument(&self, index: usize) -> Option<&Value> {
        self.values.get(index + 1)
    }
}

/// The AMF0 in a payload: messages of the AMF3 types begin with a byte that says which of both
/// follows, and in practice says AMF0 (RTMP 1.0, section 7.1.1).
fn body(kind: MessageType, payload: &[u8]) -> &[u8] {
    match payload {
        [0, rest @ ..] if kind == MessageType::COMMAND_AMF3 => rest,
        _ => payload,
    }
}

/// The information object of `onStatus` and of answers to `connect`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Status<'a> {
    pub(crate) level: Level,
    pub(crate) code: &'a str,
    pub(crate) description: &'a str,
}

impl Status<'_> {
    pub(crate) fn properties(self) -> Vec<(&'static str, Value)> {
        let level = match self.level {
            Level::Status => "status",
            Level::Error => "error",
        };
        vec![
            ("level", Value::string(level)),
            ("code", Value::string(self.code)),
            ("description", Value::string(self.description)),
        ]
    }

    pub(crate) fn into_value(self) -> Value {
        Value::object(self.properties())
    }
}

/// What a status is to the one that hears it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    Status,
    Error,
}

/// Why a payload is no command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It isn't AMF0 that we take.
    #[error(transparent)]
    Amf0(#[from] DecodeError),
    /// It doesn't begin with a string.
    #[error("a command without a name")]
    Nameless,
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMF0: MessageType = MessageType::COMMAND_AMF0;

    #[test]
    fn a_command_is_read_back_as_written() {
        let command = Command::new(
            "publish",
            5.0,
            [Value::Null, Value::string("key"), Value::string("live")],
        );
        let payload = command.payload();
        assert_eq!(Command::read(AMF0, &payload), Ok(command.clone()));
        assert_eq!(command.argument(0), Some(&Value::string("key")));
        assert_eq!(command.argument(2), None);

        // The AMF3 type with its leading byte, and without it as some send it.
        let amf3 = [&[0], &payload[..]].concat();
        assert_eq!(
            Command::read(MessageType::COMMAND_AMF3, &amf3),
            Ok(command.clone())
        );
        assert_eq!(
            Command::read(MessageType::COMMAND_AMF3, &payload),
            Ok(command)
        );
    }

    #[test]
    fn a_name_alone_is_a_command() {
        assert_eq!(
            Command::read(AMF0, b"\x02\x00\x01x"),
            Ok(Command::new("x", 0.0, []))
        );
    }

    #[test]
    fn a_missing_number_takes_nothing_with_it() {
        let command = Command::read(AMF0, b"\x02\x00\x01x\x05\x01\x01").unwrap();
        assert_eq!(
            command,
            Command::new("x", 0.0, [Value::Null, Value::Boolean(true)])
        );
    }

    #[test]
    fn a_value_of_amf3_ends_the_arguments_only() {
        let mut payload = Command::new("x", 2.0, [Value::Null]).payload().to_vec();
        payload.extend([0x11, 0x0a, 0x0b, 0x01]);
        assert_eq!(
            Command::read(AMF0, &payload),
            Ok(Command::new("x", 2.0, [Value::Null]))
        );
    }

    #[test]
    fn what_is_no_command_says_why() {
        assert_eq!(Command::read(AMF0, &[]), Err(CommandError::Nameless));
        assert_eq!(Command::read(AMF0, &[0x05]), Err(CommandError::Nameless));
        assert_eq!(
            Command::read(AMF0, &[0x02, 0xff]),
            Err(CommandError::Amf0(DecodeError::Truncated))
        );
        let deep = [&b"\x02\x00\x01x"[..], &[0x0a, 0, 0, 0, 1].repeat(20)].concat();
        assert_eq!(
            Command::read(AMF0, &deep),
            Err(CommandError::Amf0(DecodeError::TooDeep {
                max: Bounds::default().depth
            }))
        );
    }
}
