use bytes::Bytes;

use super::*;
use crate::testing::{AUDIO_HEADER, METADATA, multitrack_video_header};

/// A real sequence header: 640 by 360.
const HEADER: &[u8] =
    b"\x17\0\0\0\0\x01\x42\xc0\x1e\xff\xe1\0\x19\x67\x42\xc0\x1e\xd9\0\xa0\x2f\xf9\x70\x11\0\0\x03\0\
      \x01\0\0\x03\0\x32\x0f\x16\x2e\x48";

/// An encoder on a clock that is held, and what it is measured by.
struct Rig {
    ingest: Ingest,
    now: Instant,
    start: Instant,
    /// Milliseconds that the audio's timestamps are ahead.
    ahead: i32,
    first: u32,
}

impl Rig {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            ingest: Ingest::new(now),
            now,
            start: now,
            ahead: 0,
            // Close to where the wire's clock wraps.
            first: u32::MAX - 2000,
        }
    }

    fn with_headers() -> Self {
        let mut rig = Self::new();
        rig.send(MessageType::DATA_AMF0, METADATA, 0);
        rig.send(MessageType::VIDEO, HEADER, 0);
        rig.send(MessageType::AUDIO, AUDIO_HEADER, 0);
        rig
    }

    fn send(&mut self, kind: MessageType, payload: &[u8], ahead: i32) {
        let passed = self.now.duration_since(self.start).as_millis() as u32;
        let message = Message {
            kind,
            timestamp: self.first.wrapping_add(passed).wrapping_add_signed(ahead),
            stream_id: 1,
            payload: Bytes::copy_from_slice(payload),
        };
        let tag = flv::inspect(message.kind, &message.payload);
        self.ingest.observe(self.now, tag, &message);
    }

    fn video(&mut self, is_keyframe: bool, bytes: usize) {
        let mut payload = vec![if is_keyframe { 0x17 } else { 0x27 }, 1, 0, 0, 0];
        payload.resize(bytes.max(5), 0xAA);
        self.send(MessageType::VIDEO, &payload, 0);
    }

    fn audio(&mut self) {
        self.send(MessageType::AUDIO, &[0xAF, 1, 0x21], self.ahead);
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// So many seconds at `rate` frames a second, a keyframe each `every` frames.
    fn stream(&mut self, seconds: u64, rate: u64, every: u64, bytes: usize) {
        for frame in 0..seconds * rate {
            self.video(frame % every == 0, bytes);
            self.audio();
            self.pass(1000 / rate);
        }
    }

    fn codes(&self) -> Vec<&'static str> {
        let facts = self.ingest.facts(self.now);
        facts.warnings.iter().map(Warning::code).collect()
    }
}

#[test]
fn a_healthy_stream_is_described_without_a_warning() {
    let mut rig = Rig::with_headers();
    rig.stream(20, 25, 50, 20_000);
    let facts = rig.ingest.facts(rig.now);
    let video = facts.video.unwrap();
    assert_eq!(video.codec, Some(Codec::H264));
    let size = video.size.unwrap();
    assert_eq!((size.width, size.height), (640, 360));
    assert_eq!(video.frame_rate, Some(25.0));
    assert_eq!(video.keyframe_interval, Some(Duration::from_secs(2)));
    let audio = facts.audio.unwrap();
    assert_eq!(audio.codec, Some(Codec::Aac));
    let format = audio.format.unwrap();
    assert_eq!((format.sample_rate, format.channels), (44_100, 2));
    // At each frame the audio before it is the newest.
    assert_eq!(facts.audio_ahead_ms, Some(-40));
    assert!((3_900_000..4_200_000).contains(&facts.bitrate), "{facts:?}");
    assert_eq!(facts.idle, Duration::from_millis(40));
    assert_eq!(facts.warnings, []);
}

#[test]
fn frame_rates_that_are_no_whole_number_are_measured() {
    let mut rig = Rig::with_headers();
    // 30000/1001, as encoders round it.
    for frame in 0..600_u64 {
        let next = Duration::from_millis((frame + 1) * 1001 / 30);
        rig.video(frame % 60 == 0, 100);
        rig.now = rig.start + next;
    }
    let rate = rig.ingest.facts(rig.now).video.unwrap().frame_rate.unwrap();
    assert!((rate - 29.97).abs() < 0.02, "{rate}");
}

#[test]
fn before_anything_came_nothing_is_claimed() {
    let mut rig = Rig::new();
    let facts = rig.ingest.facts(rig.now);
    assert_eq!((facts.video, facts.audio, facts.bitrate), (None, None, 0));
    assert_eq!(facts.warnings, []);
    rig.send(MessageType::VIDEO, HEADER, 0);
    rig.video(true, 200_000);
    // A first keyframe is no bitrate, and two frames are no rate.
    rig.pass(40);
    rig.video(false, 200_000);
    assert_eq!(rig.codes(), [] as [&str; 0]);
}

#[test]
fn silence_begins_at_its_bound_and_says_all() {
    let mut rig = Rig::with_headers();
    rig.stream(6, 25, 50, 100);
    let last = rig.now - Duration::from_millis(40);
    rig.now = last + SILENT_AFTER - Duration::from_millis(1);
    assert_eq!(rig.codes(), [] as [&str; 0]);
    rig.pass(1);
    assert_eq!(rig.codes(), ["silent"]);
    rig.pass(20_000);
    assert_eq!(rig.codes(), ["silent"]);
    let facts = rig.ingest.facts(rig.now);
    assert_eq!(facts.bitrate, 0);
    assert_eq!(facts.video.unwrap().frame_rate, None);
    assert_eq!(facts.audio_ahead_ms, None);
}

#[test]
fn what_is_missing_is_told_after_a_while() {
    for (sends_video, code) in [(true, "no_audio"), (false, "no_video")] {
        let mut rig = Rig::with_headers();
        let step = |rig: &mut Rig| {
            match sends_video {
                true => rig.video(true, 100),
                false => rig.audio(),
            }
            rig.pass(40);
        };
        while rig.now < rig.start + MISSING_AFTER - Duration::from_millis(40) {
            step(&mut rig);
        }
        assert_eq!(rig.codes(), [] as [&str; 0]);
        step(&mut rig);
        assert_eq!(rig.codes(), [code]);
    }
}

#[test]
fn what_stops_coming_is_missing_too() {
    let mut rig = Rig::with_headers();
    rig.stream(10, 25, 50, 100);
    for _ in 0..124 {
        rig.video(true, 100);
        rig.pass(40);
    }
    rig.video(true, 100);
    assert_eq!(rig.codes(), ["no_audio"]);
    rig.audio();
    assert!(!rig.codes().contains(&"no_audio"));
}

#[test]
fn keyframes_are_rare_and_too_rare_from_their_bounds_on() {
    for (interval, codes) in [
        (4100, &[][..]),
        (4120, &["keyframes_rare"]),
        (10_000, &["keyframes_rare"]),
        (10_100, &["keyframes_rare"]),
        (10_120, &["keyframes_too_rare"]),
    ] {
        let mut rig = Rig::with_headers();
        for step in 0..=2 * interval / 20 {
            rig.video((step * 20) % interval == 0, 100);
            rig.audio();
            rig.pass(20);
        }
        assert_eq!(rig.codes(), codes, "{interval}");
    }
}

#[test]
fn a_keyframe_that_is_late_is_told_before_it_comes() {
    let mut rig = Rig::with_headers();
    rig.stream(4, 25, 50, 100);
    // The last one came two seconds ago.
    rig.stream_without_keyframes(52);
    assert_eq!(rig.codes(), [] as [&str; 0]);
    // How far apart they are is known when the next one comes, or when that is too late anyway.
    rig.stream_without_keyframes(151);
    assert_eq!(rig.codes(), [] as [&str; 0]);
    rig.stream_without_keyframes(1);
    assert_eq!(rig.codes(), ["keyframes_too_rare"]);
}

#[test]
fn a_stream_without_any_keyframe_is_told() {
    let mut rig = Rig::with_headers();
    rig.stream_without_keyframes(253);
    assert_eq!(rig.codes(), [] as [&str; 0]);
    rig.stream_without_keyframes(1);
    assert_eq!(rig.codes(), ["no_keyframe"]);
    rig.video(true, 100);
    assert_eq!(rig.codes(), [] as [&str; 0]);
}

impl Rig {
    fn stream_without_keyframes(&mut self, frames: u64) {
        for _ in 0..frames {
            self.video(false, 100);
            self.audio();
            self.pass(40);
        }
    }
}

#[test]
fn a_low_frame_rate_is_told_once_it_is_measured() {
    for (rate, codes) in [(10, &[][..]), (8, &["frame_rate_low"])] {
        let mut rig = Rig::with_headers();
        rig.stream(4, rate, rate, 100);
        assert_eq!(rig.codes(), [] as [&str; 0]);
        rig.stream(2, rate, rate, 100);
        assert_eq!(rig.codes(), codes);
    }
}

#[test]
fn drift_is_told_beyond_its_bound_in_both_directions() {
    for (ahead, codes) in [
        (540, &[][..]),
        (541, &["audio_video_drift"]),
        (-460, &[]),
        (-461, &["audio_video_drift"]),
    ] {
        let mut rig = Rig::with_headers();
        // The audio before each frame is 40 ms older than it.
        rig.ahead = ahead;
        rig.stream(20, 25, 50, 100);
        let facts = rig.ingest.facts(rig.now);
        assert_eq!(facts.audio_ahead_ms, Some(i64::from(ahead) - 40));
        assert_eq!(rig.codes(), codes, "{ahead}");
    }
}

#[test]
fn the_recommended_bitrate_is_no_warning_and_more_is() {
    for (bytes, codes) in [(60_000, &[][..]), (62_000, &["bitrate_high"])] {
        let mut rig = Rig::with_headers();
        rig.stream(10, 25, 50, bytes - 3);
        // In the middle between two frames a window holds what a second has.
        rig.now -= Duration::from_millis(40);
        let (_, bitrate) = rig.ingest.received(rig.now + Duration::from_millis(40));
        assert!(bitrate.abs_diff(bytes as u64 * 200) < 200_000, "{bitrate}");
        rig.pass(40);
        assert_eq!(rig.codes(), codes, "{bytes}");
    }
    assert_eq!(Warning::of_bitrate(BITRATE_RECOMMENDED), None);
    assert!(Warning::of_bitrate(BITRATE_RECOMMENDED + 1).is_some());
}

#[test]
fn a_jump_of_the_timestamps_measures_anew() {
    for jump in [10_001, -1001_i32, 1 << 30] {
        let mut rig = Rig::with_headers();
        rig.stream(10, 25, 50, 100);
        rig.first = rig.first.wrapping_add_signed(jump);
        rig.stream(10, 25, 50, 100);
        let facts = rig.ingest.facts(rig.now);
        let video = facts.video.unwrap();
        assert_eq!(video.frame_rate, Some(25.0));
        assert_eq!(video.keyframe_interval, Some(Duration::from_secs(2)));
        assert_eq!(facts.audio_ahead_ms, Some(-40));
        assert_eq!(facts.warnings, [], "{jump}");
    }
}

#[test]
fn another_session_is_measured_anew_and_its_bytes_count_on() {
    let mut rig = Rig::with_headers();
    rig.stream(10, 25, 250, 100);
    let (before, _) = rig.ingest.received(rig.now);
    rig.pass(60_000);
    rig.ingest.begin_session(rig.now);
    assert_eq!(rig.codes(), [] as [&str; 0]);
    rig.send(MessageType::VIDEO, b"\x90hvc1\x01", 0);
    rig.send(MessageType::VIDEO, b"\x91hvc1\x00\x00\x00\x01", 0);
    let facts = rig.ingest.facts(rig.now);
    assert_eq!(facts.bytes, before + 15);
    let video = facts.video.unwrap();
    assert_eq!((video.codec, video.size), (Some(Codec::Hevc), None));
    assert_eq!((video.frame_rate, video.keyframe_interval), (None, None));
    assert_eq!((facts.audio, facts.warnings), (None, vec![]));
}

#[test]
fn of_several_tracks_the_first_counts() {
    let mut rig = Rig::with_headers();
    let other = multitrack_video_header(1);
    rig.send(MessageType::VIDEO, &other, 0);
    for frame in 0..250 {
        rig.video(frame % 50 == 0, 100);
        rig.send(MessageType::VIDEO, b"\x96\x01avc1\x01\x00\x00\x00", 0);
        rig.audio();
        rig.pass(40);
    }
    let video = rig.ingest.facts(rig.now).video.unwrap();
    assert_eq!(video.frame_rate, Some(25.0));
    assert_eq!(video.keyframe_interval, Some(Duration::from_secs(2)));
    assert!(video.size.is_some());
}

#[test]
fn another_codec_is_described_anew() {
    let mut rig = Rig::with_headers();
    rig.stream(1, 25, 50, 100);
    rig.send(
        MessageType::VIDEO,
        b"\x91vp09\x82\x49\x83\x42\x00\x4f\xf0\x2c\xf6",
        0,
    );
    rig.send(MessageType::AUDIO, b"\x2f\xff\xfb\x90\xc4", 0);
    let facts = rig.ingest.facts(rig.now);
    let (video, audio) = (facts.video.unwrap(), facts.audio.unwrap());
    assert_eq!(video.codec, Some(Codec::Vp9));
    let size = video.size.unwrap();
    assert_eq!((size.width, size.height), (1280, 720));
    assert_eq!(audio.codec, Some(Codec::Mp3));
    assert_eq!(audio.format.unwrap().channels, 1);
    // One that says nothing readable of itself.
    rig.send(MessageType::VIDEO, b"\x90hvc1\x01", 0);
    let video = rig.ingest.facts(rig.now).video.unwrap();
    assert_eq!((video.codec, video.size), (Some(Codec::Hevc), None));
}

#[test]
fn what_is_kept_of_a_stream_is_bounded() {
    let mut rig = Rig::with_headers();
    for _ in 0..100_000 {
        rig.video(false, 5);
    }
    assert!(
        rig.ingest
            .facts(rig.now)
            .video
            .unwrap()
            .frame_rate
            .is_none()
    );
    rig.pass(1);
    rig.video(false, 5);
    let rate = rig.ingest.facts(rig.now).video.unwrap().frame_rate.unwrap();
    // As many frames as are looked at, in a millisecond.
    assert!(rate <= 1_200_000.0, "{rate}");
}

#[test]
fn a_warning_begins_once_until_it_was_gone_for_long() {
    let mut onsets = Onsets::default();
    let now = Instant::now();
    let (high, higher) = (
        Warning::BitrateHigh(13_000_000),
        Warning::BitrateHigh(14_000_000),
    );
    assert_eq!(onsets.of(now, &[high]), [high]);
    let second = Duration::from_secs(1);
    assert_eq!(
        onsets.of(now + second, &[Warning::NoAudio, higher]),
        [Warning::NoAudio]
    );
    let gone = now + second;
    let soon = gone + NEWS_AFTER - Duration::from_millis(1);
    assert_eq!(onsets.of(soon, &[high]), []);
    assert_eq!(onsets.of(soon + NEWS_AFTER, &[high]), [high]);
}

#[test]
fn codes_are_stable_and_sentences_say_what_to_do() {
    let time = Duration::from_millis(10_000);
    let all = [
        Warning::Silent(time),
        Warning::NoVideo,
        Warning::NoAudio,
        Warning::NoKeyframe(time),
        Warning::KeyframesTooRare(time),
        Warning::KeyframesRare(time),
        Warning::FrameRateLow(7.5),
        Warning::Drift(-800),
        Warning::BitrateHigh(14_200_000),
    ];
    for pair in all.windows(2) {
        assert!(pair[0] < pair[1] && pair[0].code() != pair[1].code());
    }
    for warning in all {
        let sentence = warning.to_string();
        assert!(
            sentence.ends_with('.') && sentence.contains(": "),
            "{sentence}"
        );
        assert!(!sentence.contains("  "), "{sentence}");
    }
    assert_eq!(
        Warning::KeyframesRare(time).to_string(),
        "Keyframes come every 10.0 s; Facebook refuses more than 4: set the keyframe interval to \
         2 s in OBS → Settings → Output."
    );
    assert!(Warning::Drift(-800).to_string().contains("0.8 s behind"));
    assert!(Warning::Drift(800).to_string().contains("0.8 s ahead of"));
}
