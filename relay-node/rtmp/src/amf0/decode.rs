use super::{Value, marker};

/// How deep values may lie in one another: 16. Real commands reach 3, real metadata 4; without a
/// bound 50 KB of nested arrays overflow the stack.
pub const MAX_DEPTH: usize = 16;

/// How many values (properties and elements counted) one decoder yields: 4096. Real commands hold
/// 30, real metadata 60; a value of one byte on the wire takes tens in memory.
pub const MAX_VALUES: usize = 4096;

/// The longest string: 65,535 bytes, all that the short form can say. A longer one has no meaning
/// in a command.
pub const MAX_STRING_BYTES: usize = 65_535;

/// How much of AMF0 a decoder takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// How deep values may lie in one another, [`MAX_DEPTH`] at most: more is taken for that.
    pub depth: usize,
    /// How many values, properties and elements counted.
    pub values: usize,
}

impl Default for Bounds {
    /// [`MAX_DEPTH`] and [`MAX_VALUES`].
    fn default() -> Self {
        Self {
            depth: MAX_DEPTH,
            values: MAX_VALUES,
        }
    }
}

/// Why the bytes aren't AMF0 that we take.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Values lie deeper in one another than the bound.
    #[error("AMF0 values are nested more than {max} deep")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// There are more values than the bound.
    #[error("more than {max} AMF0 values in one message")]
    TooManyValues {
        /// The bound.
        max: usize,
    },
    /// A string is longer than [`MAX_STRING_BYTES`].
    #[error("an AMF0 string of {0} bytes")]
    StringTooLong(u32),
    /// The bytes end inside a value.
    #[error("the AMF0 data ends inside a value")]
    Truncated,
    /// The marker exists, but nobody sends such a value to a live server: reference, movie clip,
    /// record set, or the switch to AMF3.
    #[error("an AMF0 value of type {0:#04x}, which is not supported")]
    UnsupportedType(u8),
    /// No such marker, or an end of object where no object is open.
    #[error("unknown AMF0 type {0:#04x}")]
    UnknownType(u8),
}

/// Reads values one after another.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    values: usize,
    bounds: Bounds,
}

impl<'a> Decoder<'a> {
    /// A decoder over one message's payload, within the default bounds.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::within(Bounds::default(), bytes)
    }

    /// The same, within others.
    pub fn within(bounds: Bounds, bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            values: 0,
            bounds,
        }
    }

    /// The next value; `None` at the end. After an error the decoder is of no further use.
    pub fn next_value(&mut self) -> Result<Option<Value>, DecodeError> {
        match self.rest {
            [] => Ok(None),
            _ => self.value(1).map(Some),
        }
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// One value that lies at `depth`; the outermost is at 1.
    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        // The stack has room for so many, whatever was configured.
        let max = self.bounds.depth.min(MAX_DEPTH);
        if depth > max {
            return Err(DecodeError::TooDeep { max });
        }
        self.values += 1;
        let max = self.bounds.values;
        if self.values > max {
            return Err(DecodeError::TooManyValues { max });
        }
        let [kind] = self.take_array()?;
        Ok(match kind {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.take_array()?)),
            marker::BOOLEAN => Value::Boolean(self.take_array()? != [0]),
            marker::STRING => Value::String(self.short_string()?),
            marker::OBJECT => Value::Object(self.properties(depth, End::Required)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::ECMA_ARRAY => {
                let _count_hint: [u8; 4] = self.take_array()?;
                Value::EcmaArray(self.properties(depth, End::MayBeMissing)?)
            }
            marker::STRICT_ARRAY => Value::StrictArray(self.elements(depth)?),
            marker::DATE => Value::Date {
                millis: f64::from_be_bytes(self.take_array()?),
                zone: i16::from_be_bytes(self.take_array()?),
            },
            marker::LONG_STRING => Value::String(self.long_string()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML => Value::Xml(self.long_string()?),
            marker::TYPED_OBJECT => Value::TypedObject {
                class: self.short_string()?,
                properties: self.properties(depth, End::Required)?,
            },
            marker::MOVIE_CLIP | marker::REFERENCE | marker::RECORD_SET | marker::AVM_PLUS => {
                return Err(DecodeError::UnsupportedType(kind));
            }
            unknown => return Err(DecodeError::UnknownType(unknown)),
        })
    }

    fn properties(&mut self, depth: usize, end: End) -> Result<Vec<(String, Value)>, DecodeError> {
        let mut properties = Vec::new();
        loop {
            if let [0, 0, marker::OBJECT_END, rest @ ..] = self.rest {
                self.rest = rest;
                return Ok(properties);
            }
            if self.rest.is_empty() && end == End::MayBeMissing {
                return Ok(properties);
            }
            let name = self.short_string()?;
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Value>, DecodeError> {
        let count = u32::from_be_bytes(self.take_array()?);
        // Grows as elements arrive: the count is a stranger's claim.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.value(depth + 1)?);
        }
        Ok(elements)
    }

    fn short_string(&mut self) -> Result<String, DecodeError> {
        let length = u16::from_be_bytes(self.take_array()?);
        self.text(usize::from(length))
    }

    fn long_string(&mut self) -> Result<String, DecodeError> {
        let length = u32::from_be_bytes(self.take_array()?);
        match usize::try_from(length) {
            Ok(fitting) if fitting <= MAX_STRING_BYTES => self.text(fitting),
            _ => Err(DecodeError::StringTooLong(length)),
        }
    }

    fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

/// Whether a list of properties must close with the object-end marker.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Required,
    /// Some encoders trust the count of an ECMA array and leave the end out when it is the last
    /// thing in the message.
    MayBeMissing,
}
