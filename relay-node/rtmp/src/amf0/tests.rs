use proptest::prelude::*;

use super::*;

fn encoded(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        encode(value, &mut out);
    }
    out
}

fn decoded(bytes: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.next_value()? {
        values.push(value);
    }
    Ok(values)
}

const TOO_DEEP: DecodeError = DecodeError::TooDeep { max: MAX_DEPTH };
const TOO_MANY: DecodeError = DecodeError::TooManyValues { max: MAX_VALUES };

/// A value nested `depth` deep, the outermost counted.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 1..depth {
        bytes.extend_from_slice(&[0x0a, 0, 0, 0, 1]);
    }
    bytes.push(0x05);
    bytes
}

#[test]
fn every_type_reads_as_the_specification_lays_it_out() {
    let cases: [(&[u8], Value); 12] = [
        (&[0x00, 0x40, 0x45, 0, 0, 0, 0, 0, 0], Value::Number(42.0)),
        (&[0x01, 0x01], Value::Boolean(true)),
        (b"\x02\x00\x04live", Value::string("live")),
        (
            b"\x03\x00\x01b\x05\x00\x01a\x06\x00\x00\x09",
            Value::object([("b", Value::Null), ("a", Value::Undefined)]),
        ),
        (&[0x05], Value::Null),
        (&[0x06], Value::Undefined),
        (
            // The count says 9, as some encoders do; there is one.
            b"\x08\x00\x00\x00\x09\x00\x01w\x05\x00\x00\x09",
            Value::EcmaArray(vec![("w".into(), Value::Null)]),
        ),
        (
            &[0x0a, 0, 0, 0, 2, 0x05, 0x01, 0x00],
            Value::StrictArray(vec![Value::Null, Value::Boolean(false)]),
        ),
        (
            &[0x0b, 0x40, 0x45, 0, 0, 0, 0, 0, 0, 0xff, 0xc4],
            Value::Date {
                millis: 42.0,
                zone: -60,
            },
        ),
        (b"\x0c\x00\x00\x00\x02hi", Value::string("hi")),
        (b"\x0f\x00\x00\x00\x04<a/>", Value::Xml("<a/>".into())),
        (
            b"\x10\x00\x01C\x00\x01p\x0d\x00\x00\x09",
            Value::TypedObject {
                class: "C".into(),
                properties: vec![("p".into(), Value::Unsupported)],
            },
        ),
    ];
    for (bytes, value) in cases {
        assert_eq!(decoded(bytes), Ok(vec![value.clone()]), "{bytes:02x?}");
    }
}

#[test]
fn types_that_nobody_sends_are_named_in_the_error() {
    for kind in [0x04, 0x07, 0x0e, 0x11] {
        assert_eq!(
            decoded(&[kind, 0, 0]),
            Err(DecodeError::UnsupportedType(kind))
        );
    }
    for kind in [0x09, 0x12, 0xff] {
        assert_eq!(decoded(&[kind]), Err(DecodeError::UnknownType(kind)));
    }
}

#[test]
fn what_stands_before_an_unreadable_value_is_still_read() {
    let mut decoder = Decoder::new(b"\x02\x00\x02hi\x07\x00\x00");
    assert_eq!(decoder.next_value(), Ok(Some(Value::string("hi"))));
    assert_eq!(decoder.next_value(), Err(DecodeError::UnsupportedType(7)));
}

#[test]
fn depth_is_bounded_at_sixteen() {
    assert!(decoded(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(decoded(&nested(MAX_DEPTH + 1)), Err(TOO_DEEP));
    // The input that overflows the stack of a decoder without the bound.
    assert_eq!(decoded(&nested(100_000)), Err(TOO_DEEP));
}

#[test]
fn objects_count_towards_the_depth_like_arrays() {
    let object_in_object = |depth: usize| {
        let mut bytes = b"\x03\x00\x01o".repeat(depth - 1);
        bytes.push(0x05);
        bytes.extend(b"\x00\x00\x09".repeat(depth - 1));
        decoded(&bytes)
    };
    assert!(object_in_object(MAX_DEPTH).is_ok());
    assert_eq!(object_in_object(MAX_DEPTH + 1), Err(TOO_DEEP));
}

#[test]
fn the_number_of_values_is_bounded() {
    assert_eq!(
        decoded(&[0x05; MAX_VALUES]).map(|values| values.len()),
        Ok(MAX_VALUES)
    );
    assert_eq!(decoded(&[0x05; MAX_VALUES + 1]), Err(TOO_MANY));
    // Elements count as well, and a claimed count alone costs nothing.
    let mut array = vec![0x0a, 0xff, 0xff, 0xff, 0xff];
    array.extend([0x05; MAX_VALUES]);
    assert_eq!(decoded(&array), Err(TOO_MANY));
}

#[test]
fn strings_are_bounded_at_what_the_short_form_can_say() {
    let long_form = |length: usize| {
        let mut bytes = vec![0x0c];
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        bytes.resize(bytes.len() + length, b'x');
        bytes
    };
    assert!(decoded(&long_form(MAX_STRING_BYTES)).is_ok());
    assert_eq!(
        decoded(&long_form(MAX_STRING_BYTES + 1)),
        Err(DecodeError::StringTooLong(65_536))
    );
    assert_eq!(
        decoded(&[0x0f, 0xff, 0xff, 0xff, 0xff]),
        Err(DecodeError::StringTooLong(u32::MAX))
    );
}

#[test]
fn every_cut_of_a_value_is_truncated_and_not_something_else() {
    let whole = encoded(&[Value::TypedObject {
        class: "C".into(),
        properties: vec![
            ("a".into(), Value::Number(1.0)),
            ("b".into(), Value::StrictArray(vec![Value::string("x")])),
            (
                "d".into(),
                Value::Date {
                    millis: 1.0,
                    zone: 0,
                },
            ),
        ],
    }]);
    for cut in 1..whole.len() {
        assert_eq!(
            decoded(&whole[..cut]),
            Err(DecodeError::Truncated),
            "cut at {cut}"
        );
    }
}

#[test]
fn an_ecma_array_may_lack_its_end_but_an_object_may_not() {
    let array = Value::EcmaArray(vec![("a".into(), Value::Boolean(true))]);
    let mut bytes = encoded(std::slice::from_ref(&array));
    bytes.truncate(bytes.len() - 3);
    assert_eq!(decoded(&bytes), Ok(vec![array]));

    assert_eq!(decoded(b"\x03\x00\x01a\x05"), Err(DecodeError::Truncated));
}

#[test]
fn an_empty_property_name_is_not_the_end() {
    let value = Value::object([("", Value::Null), ("a", Value::Null)]);
    assert_eq!(
        decoded(&encoded(std::slice::from_ref(&value))),
        Ok(vec![value])
    );
}

#[test]
fn bytes_that_are_not_utf8_do_not_lose_the_value() {
    assert_eq!(
        decoded(b"\x02\x00\x03H\xe9!"),
        Ok(vec![Value::string("H\u{fffd}!")])
    );
}

#[test]
fn encoding_cuts_what_the_format_cannot_say() {
    let value = Value::Object(vec![("é".repeat(40_000), Value::Null)]);
    let read = decoded(&encoded(&[value])).unwrap();
    let [Value::Object(properties)] = read.as_slice() else {
        panic!("{read:?}");
    };
    assert_eq!(properties[0].0, "é".repeat(32_767));

    let nested =
        |depth: usize| (1..depth).fold(Value::Null, |inner, _| Value::StrictArray(vec![inner]));
    let whole = nested(MAX_DEPTH);
    assert_eq!(
        decoded(&encoded(std::slice::from_ref(&whole))),
        Ok(vec![whole])
    );
    assert!(decoded(&encoded(&[nested(MAX_DEPTH + 1)])).is_ok());
}

#[test]
fn strings_longer_than_the_short_form_take_the_long_one() {
    let bytes = encoded(&[Value::string("x".repeat(65_536))]);
    assert_eq!(bytes[..5], [0x0c, 0, 1, 0, 0]);
    let bytes = encoded(&[Value::string("x".repeat(65_535))]);
    assert_eq!(bytes[..3], [0x02, 0xff, 0xff]);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        proptest::num::f64::NORMAL.prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,12}".prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        ".{0,12}".prop_map(Value::Xml),
        (proptest::num::f64::NORMAL, any::<i16>())
            .prop_map(|(millis, zone)| Value::Date { millis, zone }),
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        let properties = prop::collection::vec((".{0,8}", inner.clone()), 0..6);
        prop_oneof![
            properties.clone().prop_map(Value::Object),
            properties.clone().prop_map(Value::EcmaArray),
            prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            (".{0,8}", properties)
                .prop_map(|(class, properties)| Value::TypedObject { class, properties }),
        ]
    })
}

/// The values that rml_amf0 knows: no dates, no long strings, no typed objects; it reads an ECMA
/// array as an object, and keeps properties in random order, so at most one each.
fn values_of_rml() -> impl Strategy<Value = rml_amf0::Amf0Value> {
    use rml_amf0::Amf0Value as Rml;
    let leaf = prop_oneof![
        proptest::num::f64::NORMAL.prop_map(Rml::Number),
        any::<bool>().prop_map(Rml::Boolean),
        ".{0,12}".prop_map(Rml::Utf8String),
        Just(Rml::Null),
        Just(Rml::Undefined),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::hash_map(".{1,8}", inner.clone(), 0..2).prop_map(Rml::Object),
            prop::collection::vec(inner, 0..4).prop_map(Rml::StrictArray),
        ]
    })
}

fn from_rml(value: &rml_amf0::Amf0Value) -> Value {
    use rml_amf0::Amf0Value as Rml;
    match value {
        Rml::Number(number) => Value::Number(*number),
        Rml::Boolean(truth) => Value::Boolean(*truth),
        Rml::Utf8String(text) => Value::string(text),
        Rml::Object(properties) => Value::object(
            properties
                .iter()
                .map(|(name, value)| (name, from_rml(value))),
        ),
        Rml::StrictArray(elements) => Value::StrictArray(elements.iter().map(from_rml).collect()),
        Rml::Null => Value::Null,
        Rml::Undefined => Value::Undefined,
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(sent in prop::collection::vec(values(), 0..4)) {
        prop_assert_eq!(decoded(&encoded(&sent)), Ok(sent));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decoded(&bytes);
    }

    #[test]
    fn no_bytes_that_look_like_amf_make_the_decoder_panic(
        bytes in prop::collection::vec(0_u8..0x14, 0..256)
    ) {
        let _ = decoded(&bytes);
    }

    #[test]
    fn rml_amf0_writes_what_we_read(sent in values_of_rml()) {
        let bytes = rml_amf0::serialize(&vec![sent.clone()]).unwrap();
        prop_assert_eq!(decoded(&bytes), Ok(vec![from_rml(&sent)]));
    }

    #[test]
    fn rml_amf0_reads_what_we_write(sent in values_of_rml()) {
        let bytes = encoded(&[from_rml(&sent)]);
        let read = rml_amf0::deserialize(&mut std::io::Cursor::new(bytes)).unwrap();
        prop_assert_eq!(read, vec![sent]);
    }
}

#[test]
fn bounds_may_be_narrower_and_depth_not_wider() {
    let decode = |depth, values, bytes: &[u8]| {
        let mut decoder = Decoder::within(Bounds { depth, values }, bytes);
        std::iter::from_fn(|| decoder.next_value().transpose()).collect::<Result<Vec<_>, _>>()
    };
    assert!(decode(3, 9, &nested(3)).is_ok());
    assert_eq!(
        decode(3, 9, &nested(4)),
        Err(DecodeError::TooDeep { max: 3 })
    );
    assert!(decode(3, 9, &[0x05; 9]).is_ok());
    assert_eq!(
        decode(3, 9, &[0x05; 10]),
        Err(DecodeError::TooManyValues { max: 9 })
    );
    assert!(decode(usize::MAX, usize::MAX, &nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        decode(usize::MAX, usize::MAX, &nested(MAX_DEPTH + 1)),
        Err(TOO_DEEP)
    );
}
