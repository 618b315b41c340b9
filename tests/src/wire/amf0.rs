//! AMF0, as far as commands and metadata need it.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// All values of a body. `undefined` is null here, a date its number.
pub fn values(mut body: &[u8]) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    while !body.is_empty() {
        values.push(value(&mut body, 0)?);
    }
    Ok(values)
}

/// A string with its marker.
pub fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![2];
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.bytes().take(length.into()));
    bytes
}

/// Appends a value.
pub(super) fn write(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Array(_) => bytes.push(5),
        Value::Bool(value) => bytes.extend([1, u8::from(*value)]),
        Value::Number(number) => {
            bytes.push(0);
            bytes.extend(number.as_f64().unwrap_or_default().to_be_bytes());
        }
        Value::String(text) => bytes.extend(string(text)),
        Value::Object(fields) => {
            bytes.push(3);
            for (name, value) in fields {
                // A name is a string without its marker.
                bytes.extend(string(name).into_iter().skip(1));
                write(value, bytes);
            }
            bytes.extend([0, 0, 9]);
        }
    }
}

fn value(body: &mut &[u8], depth: usize) -> Result<Value> {
    if depth > DEEPEST {
        bail!("AMF0 deeper than {DEEPEST}");
    }
    Ok(match take::<1>(body)? {
        [0] => f64::from_be_bytes(take(body)?).into(),
        [1] => (take::<1>(body)? != [0]).into(),
        [2] => text(body)?.into(),
        [3] => object(body, depth)?,
        [5 | 6] => Value::Null,
        [8] => {
            take::<4>(body)?;
            object(body, depth)?
        }
        [10] => {
            let count = u32::from_be_bytes(take(body)?);
            let items = (0..count).map(|_| value(body, depth + 1));
            items.collect::<Result<_>>()?
        }
        [11] => {
            let date = f64::from_be_bytes(take(body)?);
            take::<2>(body)?;
            date.into()
        }
        [marker] => bail!("AMF0 marker {marker}"),
    })
}

/// Commands have an object in their arguments; metadata may have lists in it.
const DEEPEST: usize = 8;

fn object(body: &mut &[u8], depth: usize) -> Result<Value> {
    let mut fields = Map::new();
    loop {
        let name = text(body)?;
        if name.is_empty() && body.first() == Some(&9) {
            take::<1>(body)?;
            return Ok(fields.into());
        }
        fields.insert(name, value(body, depth + 1)?);
    }
}

fn text(body: &mut &[u8]) -> Result<String> {
    let length = u16::from_be_bytes(take(body)?).into();
    let (text, rest) = body.split_at_checked(length).context("a string is cut")?;
    *body = rest;
    Ok(String::from_utf8(text.to_vec())?)
}

fn take<const N: usize>(body: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, rest) = body.split_first_chunk().context("AMF0 is cut")?;
    *body = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_are_read_and_written() {
        let sent = [
            json!("connect"),
            json!(1.0),
            json!({"app": "live", "fpad": false, "fourCcInfoMap": {"*": 4.0}}),
            Value::Null,
        ];
        let mut bytes = Vec::new();
        for value in &sent {
            write(value, &mut bytes);
        }
        assert_eq!(values(&bytes).unwrap(), sent);
        assert!(values(&bytes[..bytes.len() - 2]).is_err());
        // undefined, a list, an array with names
        let others = b"\x06\x0a\0\0\0\x01\x01\x01\x08\0\0\0\x01\0\x01a\x05\0\0\x09";
        let read = values(others).unwrap();
        assert_eq!(read, [Value::Null, json!([true]), json!({"a": null})]);
    }
}
