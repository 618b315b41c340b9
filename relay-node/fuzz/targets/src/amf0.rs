use rtmp::amf0::{DecodeError, Decoder, MAX_DEPTH, MAX_STRING_BYTES, MAX_VALUES, Value, encode};

/// The values in a command's or script's payload.
///
/// No more and no deeper than the bounds, and what was read is read again when we write it.
pub fn amf0(data: &[u8]) {
    let mut decoder = Decoder::new(data);
    let mut values = Vec::new();
    while let Ok(Some(value)) = decoder.next_value() {
        values.push(value);
    }
    let sizes: Vec<_> = values.iter().map(size).collect();
    assert!(sizes.iter().map(|size| size.values).sum::<usize>() <= MAX_VALUES);
    assert!(sizes.iter().all(|size| size.depth <= MAX_DEPTH));
    // Bytes that are no UTF-8 take three times as many when they are replaced.
    if sizes.iter().any(|size| size.text > MAX_STRING_BYTES) {
        return;
    }
    let written = write(&values);
    let read = read(&written);
    // Numbers that are none are not equal to themselves, but they are written alike.
    assert!(read.is_ok_and(|read| write(&read) == written));
}

fn read(bytes: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.next_value()? {
        values.push(value);
    }
    Ok(values)
}

fn write(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        encode(value, &mut bytes);
    }
    bytes
}

/// What a value comes to.
#[derive(Default)]
struct Size {
    values: usize,
    depth: usize,
    /// Its longest text.
    text: usize,
}

fn size(value: &Value) -> Size {
    let text = match value {
        Value::String(text) | Value::Xml(text) => text.len(),
        Value::TypedObject { class, .. } => class.len(),
        _ => 0,
    };
    let names = value.properties().unwrap_or_default().iter();
    let text = names.map(|(name, _)| name.len()).fold(text, usize::max);
    let properties = value.properties().unwrap_or_default().iter();
    let elements = match value {
        Value::StrictArray(elements) => elements.as_slice(),
        _ => &[],
    };
    let inner = properties.map(|(_, value)| value).chain(elements).map(size);
    let Size {
        values,
        depth,
        text,
    } = inner.fold(
        Size {
            text,
            ..Size::default()
        },
        |all, one| Size {
            values: all.values + one.values,
            depth: all.depth.max(one.depth),
            text: all.text.max(one.text),
        },
    );
    Size {
        values: 1 + values,
        depth: 1 + depth,
        text,
    }
}
