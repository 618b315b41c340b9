//! What peers tell each other about Enhanced RTMP in `connect` and its answer.

use crate::amf0::Value;
use crate::flv::Codec;

/// Entries kept of each list: there are about 15 codecs.
const MAX_FOUR_CCS: usize = 32;

/// The Enhanced RTMP capabilities of a peer (Enhanced RTMP v2, *Enhancing NetConnection connect
/// Command*). Empty for a peer that knows only the RTMP of 2012.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// `fourCcList`, of version 1: codecs by FourCC, or `*` for any.
    pub four_ccs: Vec<String>,
    /// `videoFourCcInfoMap`: video codecs, each with its [`FourCcInfo`] mask.
    pub video: Vec<(String, u32)>,
    /// `audioFourCcInfoMap`: audio codecs, each with its [`FourCcInfo`] mask.
    pub audio: Vec<(String, u32)>,
    /// `capsEx`: a mask of [`CapsEx`] bits.
    pub caps_ex: u32,
}

/// Bits of a codec's mask in an info map.
#[derive(Debug)]
pub struct FourCcInfo;

impl FourCcInfo {
    /// The peer understands the codec.
    pub const CAN_DECODE: u32 = 0x01;
    /// The peer passes the codec on, whether or not it understands it.
    pub const CAN_FORWARD: u32 = 0x04;
}

/// Bits of `capsEx`.
#[derive(Debug)]
pub struct CapsEx;

impl CapsEx {
    /// Obeys a request to connect again.
    pub const RECONNECT: u32 = 0x01;
    /// Takes messages that hold several tracks.
    pub const MULTITRACK: u32 = 0x02;
    /// Takes messages with modifiers before the body.
    pub const MOD_EX: u32 = 0x04;
    /// Takes the nanosecond modifier.
    pub const TIMESTAMP_NANO_OFFSET: u32 = 0x08;
}

impl Capabilities {
    /// Whether the peer said nothing about Enhanced RTMP.
    pub fn is_empty(&self) -> bool {
        self.four_ccs.is_empty()
            && self.video.is_empty()
            && self.audio.is_empty()
            && self.caps_ex == 0
    }

    /// Whether the peer takes a codec, for all that it said: what the RTMP of 2012 has, every peer
    /// takes; of the rest, what it names, or anything if it says so.
    pub fn takes(&self, codec: Codec) -> bool {
        let Some(four_cc) = codec.new_four_cc() else {
            return true;
        };
        let is_it = |name: &str| name == "*" || name == four_cc;
        let taken = FourCcInfo::CAN_DECODE | FourCcInfo::CAN_FORWARD;
        self.four_ccs.iter().any(|name| is_it(name))
            || [&self.video, &self.audio]
                .into_iter()
                .flatten()
                .any(|(name, mask)| is_it(name) && mask & taken != 0)
    }

    /// What a relay answers a publisher of these capabilities, in the terms that it used.
    ///
    /// A relay passes on every codec and every form of message, and decodes nothing. It may ask whoever
    /// obeys to connect again.
    pub fn answer(&self) -> Self {
        const GRANTED: u32 =
            CapsEx::RECONNECT | CapsEx::MULTITRACK | CapsEx::MOD_EX | CapsEx::TIMESTAMP_NANO_OFFSET;
        let any = |asked: &[(String, u32)]| match asked {
            [] => Vec::new(),
            _ => vec![("*".to_owned(), FourCcInfo::CAN_FORWARD)],
        };
        Self {
            four_ccs: self.four_ccs.clone(),
            video: any(&self.video),
            audio: any(&self.audio),
            caps_ex: self.caps_ex & GRANTED,
        }
    }

    /// Reads them from the object of a `connect` or of its answer; what is malformed is skipped.
    pub(crate) fn read(object: &Value) -> Self {
        let four_ccs = match object.get("fourCcList") {
            Some(Value::StrictArray(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| is_four_cc(name))
                .take(MAX_FOUR_CCS)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        Self {
            four_ccs,
            video: info_map(object.get("videoFourCcInfoMap")),
            audio: info_map(object.get("audioFourCcInfoMap")),
            caps_ex: object.get("capsEx").and_then(mask).unwrap_or(0),
        }
    }

    /// The properties that say them, none if there is nothing to say.
    pub(crate) fn properties(&self) -> Vec<(&'static str, Value)> {
        let map = |entries: &[(String, u32)]| {
            Value::object(
                entries
                    .iter()
                    .map(|(name, mask)| (name, Value::Number(f64::from(*mask)))),
            )
        };
        let mut properties = Vec::new();
        if !self.four_ccs.is_empty() {
            let names = self.four_ccs.iter().map(Value::string).collect();
            properties.push(("fourCcList", Value::StrictArray(names)));
        }
        if !self.video.is_empty() {
            properties.push(("videoFourCcInfoMap", map(&self.video)));
        }
        if !self.audio.is_empty() {
            properties.push(("audioFourCcInfoMap", map(&self.audio)));
        }
        if self.caps_ex != 0 {
            properties.push(("capsEx", Value::Number(f64::from(self.caps_ex))));
        }
        properties
    }
}

fn info_map(value: Option<&Value>) -> Vec<(String, u32)> {
    value
        .and_then(Value::properties)
        .unwrap_or_default()
        .iter()
        .filter(|(name, _)| is_four_cc(name))
        .filter_map(|(name, value)| Some((name.clone(), mask(value)?)))
        .take(MAX_FOUR_CCS)
        .collect()
}

fn is_four_cc(name: &str) -> bool {
    name == "*" || (name.len() == 4 && name.is_ascii())
}

/// A bit mask, which AMF0 can only say as a number.
fn mask(value: &Value) -> Option<u32> {
    let number = value.as_number()?;
    // `as` saturates, and takes NaN for 0: no bit that the peer didn't set.
    (number >= 0.0).then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_of_version_2() -> Value {
        Value::object([
            ("app", Value::string("live")),
            (
                "videoFourCcInfoMap",
                Value::object([("*", Value::Number(2.0)), ("vp09", Value::Number(7.0))]),
            ),
            ("capsEx", Value::Number(15.0)),
        ])
    }

    #[test]
    fn a_publisher_of_version_1_gets_its_list_back() {
        let list = ["av01", "hvc1"].map(Value::string).to_vec();
        let object = Value::object([("fourCcList", Value::StrictArray(list))]);
        let read = Capabilities::read(&object);
        assert_eq!(read.four_ccs, ["av01", "hvc1"]);
        assert_eq!(Value::object(read.answer().properties()), object);
    }

    #[test]
    fn a_publisher_of_version_2_hears_that_everything_is_forwarded() {
        let read = Capabilities::read(&connect_of_version_2());
        assert_eq!(read.video, [("*".to_owned(), 2), ("vp09".to_owned(), 7)]);
        let answer = read.answer();
        assert_eq!(answer.video, [("*".to_owned(), FourCcInfo::CAN_FORWARD)]);
        assert_eq!(answer.audio, []);
        assert_eq!(
            answer.caps_ex,
            CapsEx::RECONNECT | CapsEx::MULTITRACK | CapsEx::MOD_EX | CapsEx::TIMESTAMP_NANO_OFFSET
        );
    }

    #[test]
    fn a_publisher_of_2012_hears_nothing_new() {
        let read = Capabilities::read(&Value::object([("app", Value::string("live"))]));
        assert!(read.is_empty());
        assert!(read.answer().properties().is_empty());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let capabilities = Capabilities::read(&connect_of_version_2());
        let object = Value::object(capabilities.properties());
        assert_eq!(Capabilities::read(&object), capabilities);
    }

    #[test]
    fn what_a_peer_takes() {
        let of = |name: &'static str, value| Capabilities::read(&Value::object([(name, value)]));
        let list = |name| Value::StrictArray(vec![Value::string(name)]);
        let map = |name, mask: u32| Value::object([(name, Value::Number(mask.into()))]);
        let nothing = Capabilities::default();
        for codec in [Codec::H264, Codec::Aac, Codec::Mp3, Codec::Vp6] {
            assert!(nothing.takes(codec), "{codec}");
        }
        for (said, hevc, opus) in [
            (nothing, false, false),
            (of("fourCcList", list("hvc1")), true, false),
            (of("fourCcList", list("*")), true, true),
            (of("videoFourCcInfoMap", map("hvc1", 1)), true, false),
            (of("videoFourCcInfoMap", map("hvc1", 4)), true, false),
            // It encodes it, which is of no use to whoever sends it.
            (of("videoFourCcInfoMap", map("hvc1", 2)), false, false),
            (of("audioFourCcInfoMap", map("Opus", 1)), false, true),
            (of("audioFourCcInfoMap", map("opus", 1)), false, false),
            (of("capsEx", Value::Number(15.0)), false, false),
        ] {
            let takes = (said.takes(Codec::Hevc), said.takes(Codec::Opus));
            assert_eq!(takes, (hevc, opus), "{said:?}");
        }
    }

    #[test]
    fn lists_are_bounded_and_nonsense_is_skipped() {
        let names = |count| {
            Value::object([(
                "fourCcList",
                Value::StrictArray(vec![Value::string("av01"); count]),
            )])
        };
        assert_eq!(
            Capabilities::read(&names(MAX_FOUR_CCS)).four_ccs.len(),
            MAX_FOUR_CCS
        );
        assert_eq!(
            Capabilities::read(&names(MAX_FOUR_CCS + 1)).four_ccs.len(),
            MAX_FOUR_CCS
        );

        let nonsense = Value::object([
            (
                "fourCcList",
                Value::StrictArray(vec![Value::Null, Value::string("a name that is long")]),
            ),
            ("videoFourCcInfoMap", Value::string("*")),
            ("capsEx", Value::Number(f64::NAN)),
        ]);
        assert!(Capabilities::read(&nonsense).is_empty());
    }
}
