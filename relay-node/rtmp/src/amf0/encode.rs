use super::{MAX_DEPTH, Value, marker};

/// Appends `value` to `out`.
///
/// Total on purpose, since what we send is of our own making: what the format or the other side's
/// [`MAX_DEPTH`] cannot take is cut. A name or class longer than the 65,535 bytes that its length
/// field can say ends there (at a character), and what lies deeper than [`MAX_DEPTH`] is left out.
/// Nothing that a [`Decoder`](super::Decoder) yields is touched by either, unless bytes that are no
/// UTF-8 made a name longer.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    encode_at(value, 1, out);
}

fn encode_at(value: &Value, depth: usize, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(marker::NUMBER);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(truth) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*truth)]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.push(marker::STRING);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Err(_) => {
                out.push(marker::LONG_STRING);
                encode_long_text(text, out);
            }
        },
        Value::Object(properties) => {
            out.push(marker::OBJECT);
            encode_properties(properties, depth, out);
        }
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::EcmaArray(properties) => {
            out.push(marker::ECMA_ARRAY);
            let properties = within_depth(properties, depth);
            out.extend_from_slice(&count(properties.len()).to_be_bytes());
            encode_properties(properties, depth, out);
        }
        Value::StrictArray(elements) => {
            out.push(marker::STRICT_ARRAY);
            let elements = within_depth(elements, depth);
            out.extend_from_slice(&count(elements.len()).to_be_bytes());
            for element in elements {
                encode_at(element, depth + 1, out);
            }
        }
        Value::Date { millis, zone } => {
            out.push(marker::DATE);
            out.extend_from_slice(&millis.to_be_bytes());
            out.extend_from_slice(&zone.to_be_bytes());
        }
        Value::Unsupported => out.push(marker::UNSUPPORTED),
        Value::Xml(text) => {
            out.push(marker::XML);
            encode_long_text(text, out);
        }
        Value::TypedObject { class, properties } => {
            out.push(marker::TYPED_OBJECT);
            encode_name(class, out);
            encode_properties(properties, depth, out);
        }
    }
}

fn encode_properties(properties: &[(String, Value)], depth: usize, out: &mut Vec<u8>) {
    for (name, value) in within_depth(properties, depth) {
        encode_name(name, out);
        encode_at(value, depth + 1, out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

/// What a container at `depth` may hold: nothing, at the last one.
fn within_depth<T>(contents: &[T], depth: usize) -> &[T] {
    if depth < MAX_DEPTH { contents } else { &[] }
}

fn encode_name(name: &str, out: &mut Vec<u8>) {
    let fitting = name.floor_char_boundary(usize::from(u16::MAX));
    let name = name.get(..fitting).unwrap_or_default();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn encode_long_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&count(text.len()).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A length as the wire says it. Nothing of 4 GiB is ever encoded.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
