//! AMF0, the value encoding of RTMP's commands and script data (Adobe, *Action Message Format:
//! AMF 0*, December 2007).
//!
//! Written for values that a stranger sends: depth, number of values and length of strings are
//! bounded, an announced count reserves no memory, and no input panics. The order of an object's
//! properties is kept, because some peers read by position.

mod decode;
mod encode;

pub use decode::{Bounds, DecodeError, Decoder, MAX_DEPTH, MAX_STRING_BYTES, MAX_VALUES};
pub use encode::encode;

/// One AMF0 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Marker 0x00.
    Number(f64),
    /// Marker 0x01.
    Boolean(bool),
    /// Markers 0x02 and 0x0c: the wire has a short and a long form of the same thing.
    ///
    /// Bytes that aren't UTF-8 (encoders that send their name in a code page) become U+FFFD.
    String(String),
    /// Marker 0x03.
    Object(Vec<(String, Self)>),
    /// Marker 0x05.
    Null,
    /// Marker 0x06.
    Undefined,
    /// Marker 0x08. The count on the wire is a hint that many encoders get wrong; it is not kept.
    EcmaArray(Vec<(String, Self)>),
    /// Marker 0x0a.
    StrictArray(Vec<Self>),
    /// Marker 0x0b.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        millis: f64,
        /// Reserved by the specification (zero), but sent by some as minutes from UTC.
        zone: i16,
    },
    /// Marker 0x0d: says "there was a value here that the sender cannot express".
    Unsupported,
    /// Marker 0x0f: the text of an XML document.
    Xml(String),
    /// Marker 0x10: an object with the name of its class.
    TypedObject {
        /// The name under which the class is registered.
        class: String,
        /// The properties, in order.
        properties: Vec<(String, Self)>,
    },
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An object of these properties, in this order.
    pub fn object<N: Into<String>>(properties: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(
            properties
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// The number, if this is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The properties, if this is anything that has some: an object, a typed object or an ECMA
    /// array, which peers use for one another.
    pub fn properties(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(properties)
            | Self::EcmaArray(properties)
            | Self::TypedObject { properties, .. } => Some(properties),
            _ => None,
        }
    }

    /// The first property of this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.properties()?
            .iter()
            .find(|(property, _)| property == name)
            .map(|(_, value)| value)
    }
}

/// Type markers, section 2.1.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const MOVIE_CLIP: u8 = 0x04;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const RECORD_SET: u8 = 0x0e;
    pub(super) const XML: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVM_PLUS: u8 = 0x11;
}

#[cfg(test)]
mod tests;
