use rtmp::MessageType;
use rtmp::flv::{self, StreamFormat, TagClass};

/// One message of a publisher: `[its type, payload…]`.
///
/// What is said of it fits its type, does not depend on anything else, and is not a change when it
/// comes twice.
pub fn flv(data: &[u8]) {
    let Some((&kind, payload)) = data.split_first() else {
        return;
    };
    let kind = MessageType(kind);
    let tag = flv::inspect(kind, payload);
    assert_eq!(tag.class, flv::classify(kind, payload));
    let fits = match tag.class {
        TagClass::VideoSequenceHeader
        | TagClass::VideoKeyframe
        | TagClass::VideoInterframe
        | TagClass::VideoOther => kind == MessageType::VIDEO,
        TagClass::AudioSequenceHeader | TagClass::AudioFrame => kind == MessageType::AUDIO,
        TagClass::Metadata => matches!(kind, MessageType::DATA_AMF0 | MessageType::DATA_AMF3),
        TagClass::Data => true,
    };
    assert!(fits, "{tag:?} of {kind:?}");
    if flv::is_configuration(kind, payload) {
        assert!(matches!(kind, MessageType::VIDEO | MessageType::AUDIO));
    }
    if let Some(size) = flv::picture_size(payload) {
        assert!(size.width > 0 && size.height > 0);
    }
    if let Some(sound) = flv::sound_format(payload) {
        assert!(sound.sample_rate > 0 && sound.channels > 0);
    }
    let _ = flv::composition_time(payload);
    let mut format = StreamFormat::default();
    assert!(!format.note(kind, tag, payload), "the first is no change");
    assert!(!format.note(kind, tag, payload), "the same is no change");
}
