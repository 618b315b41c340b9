//! Script data: is it the stream's metadata?

use super::TagClass;

const AMF0_STRING: u8 = 2;

/// Looks at the AMF0 strings that script data begins with.
pub(super) fn inspect(payload: &[u8]) -> TagClass {
    let metadata = match string(payload) {
        Some((b"onMetaData", _)) => true,
        Some((b"@setDataFrame", rest)) => matches!(string(rest), Some((b"onMetaData", _))),
        _ => false,
    };
    if metadata {
        TagClass::Metadata
    } else {
        TagClass::Data
    }
}

fn string(amf0: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[marker, high, low], rest) = amf0.split_first_chunk()?;
    if marker != AMF0_STRING {
        return None;
    }
    rest.split_at_checked(u16::from_be_bytes([high, low]).into())
}

#[cfg(test)]
mod tests {
    use super::super::classify;
    use super::*;
    use crate::message::MessageType;

    #[track_caller]
    fn check(payload: &[u8], class: TagClass) {
        assert_eq!(classify(MessageType::DATA_AMF0, payload), class);
        let amf3 = [&[0], payload].concat();
        assert_eq!(classify(MessageType::DATA_AMF3, &amf3), class);
    }

    #[test]
    fn metadata_with_and_without_set_data_frame() {
        check(
            b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00",
            TagClass::Metadata,
        );
        check(
            b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08",
            TagClass::Metadata,
        );
    }

    #[test]
    fn other_script_data() {
        check(b"\x02\x00\x0aonCuePoint\x03", TagClass::Data);
        check(
            b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonTextData\x03",
            TagClass::Data,
        );
        check(b"\x02\x00\x0d@setDataFrame", TagClass::Data);
        check(
            b"\x02\x00\x0f@clearDataFrame\x02\x00\x0aonMetaData",
            TagClass::Data,
        );
        check(b"\x02\x00\x0aonMetaDat", TagClass::Data);
        check(b"\x02\xff\xffonMetaData", TagClass::Data);
        check(b"\x0c\x00\x0aonMetaData", TagClass::Data);
        check(b"\x02\x00", TagClass::Data);
        check(b"", TagClass::Data);
        assert_eq!(classify(MessageType::DATA_AMF3, b""), TagClass::Data);
    }
}
