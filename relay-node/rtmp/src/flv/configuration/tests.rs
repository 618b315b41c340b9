//! Headers as FFmpeg's encoders make them, and noise.

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

#[track_caller]
fn picture(head: &[u8], record: &str, size: (u32, u32)) {
    let payload = [head, &hex(record)].concat();
    let PictureSize { width, height } = picture_size(&payload).unwrap();
    assert_eq!((width, height), size);
    // Cut anywhere it is not known, or known by what was there.
    for end in 0..payload.len() {
        let cut = picture_size(&payload[..end]);
        assert!(cut.is_none_or(|cut| (cut.width, cut.height) == size));
    }
}

#[track_caller]
fn sound(head: &[u8], config: &str, format: (u32, u32)) {
    let payload = [head, &hex(config)].concat();
    let read = sound_format(&payload).unwrap();
    assert_eq!((read.sample_rate, read.channels), format);
    for end in 0..payload.len() {
        let cut = sound_format(&payload[..end]);
        assert!(cut.is_none_or(|cut| cut == read));
    }
}

const AVC: &[u8] = &[0x17, 0, 0, 0, 0];

#[test]
fn h264_of_every_shape() {
    // High, cropped from 1088 lines.
    picture(
        AVC,
        "01640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65801000668ebe3cb22c0\
         fdf8f800",
        (1920, 1080),
    );
    // 4:4:4, cropped from 864 columns: its units are single pixels.
    picture(
        AVC,
        "01f4001fffe1001b67f4001f919b281b07bc5f8088000003000800000301e078c18cb001000668ebe3c44844\
         fff8f800",
        (854, 480),
    );
    // Interlaced, and 4:2:2 at ten bits.
    picture(
        AVC,
        "0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb01000668fba3cb100bfdf8f8\
         00",
        (720, 576),
    );
    picture(
        AVC,
        "017a001fffe1001a677a001fb6cd9405005bb011000003000100000300320f18319601000768ebe3cb3002c0\
         fefafa00",
        (1280, 720),
    );
    // Baseline, whose parameter sets tell no chroma format.
    picture(
        AVC,
        "0142c01effe100196742c01ed900a02ff97011000003000100000300320f162e4801000568cb83cb20",
        (640, 360),
    );
    // The same in Enhanced RTMP, alone and as one of several tracks.
    let baseline = "0142c01effe100196742c01ed900a02ff97011000003000100000300320f162e48";
    picture(b"\x90avc1", baseline, (640, 360));
    picture(b"\x96\x00avc1\x01", baseline, (640, 360));
    picture(b"\x96\x10avc1\x01\x00\x00\x21", baseline, (640, 360));
    picture(b"\x97\x00\x00\x00avc1", baseline, (640, 360));
}

#[test]
fn hevc_behind_its_video_parameter_set() {
    let full_hd = "01016000000090000000000078f000fcfdf8f800000f04200001001840010c01ffff01600000030090\
         0000030000030078959809210001002a420101016000000300900000030000030078a003c08010e596566924ca\
         f0168080000003008000000f0422000100074401c172b46240";
    picture(b"\x90hvc1", full_hd, (1920, 1080));
    picture(&[0x1C, 0, 0, 0, 0], full_hd, (1920, 1080));
    // 4:2:2 at ten bits, with a sub-layer.
    picture(
        b"\x90hvc1",
        "0104080000009d080000000096f000fcfefafa00001304200001001b40010c02ffff0408000003009d080000\
         0300009600009594aca048210001002f4201020408000003009d080000030000960000b001e020021c4d965652\
         b2a5261780b404000003000400000300782022000100064401c073c189",
        (3840, 2160),
    );
}

#[test]
fn av1_by_its_sequence_header() {
    picture(
        b"\x90av01",
        "81080c000a0b00000042abbfc3732be401",
        (1920, 1080),
    );
    picture(
        b"\x90av01",
        "81040c000a0b00000024c6abdf00be0010",
        (854, 480),
    );
}

#[test]
fn vp9_by_its_keyframes() {
    let (plain, odd) = (
        "82498342004ff02cf60638241c184a18",
        "a24983420009fe059ec0c70483830943",
    );
    picture(b"\x91vp09", plain, (1280, 720));
    picture(b"\x93vp09", plain, (1280, 720));
    picture(b"\x91vp09", odd, (1280, 720));
    // Its sequence header tells none, nor does a frame in between.
    let no_keyframe = hex("86498342004ff02cf60638241c184a18");
    assert_eq!(
        picture_size(&[b"\xA1vp09", &no_keyframe[..]].concat()),
        None
    );
    assert_eq!(picture_size(b"\x90vp09\x01\x00\x00\x00\x00\x1f\x80"), None);
}

#[test]
fn only_headers_tell_of_h264() {
    let frame = hex("17010000000142c01effe100196742c01ed900a02ff970110000");
    assert_eq!(picture_size(&frame), None);
}

#[test]
fn aac_of_every_rate_and_shape() {
    sound(&[0xAF, 0], "119056e500", (48_000, 2));
    sound(&[0xAF, 0], "120856e500", (44_100, 1));
    sound(&[0xAF, 0], "11b056e500", (48_000, 6));
    sound(b"\x90mp4a", "1190", (48_000, 2));
    sound(b"\x95\x00mp4a\x01", "1190", (48_000, 2));
    // A rate written out, and the doubled rate of HE-AAC, version 1 and 2.
    sound(&[0xAF, 0], "17805dc010", (48_000, 2));
    sound(&[0xAF, 0], "2b1188", (48_000, 2));
    sound(&[0xAF, 0], "eb8a08", (44_100, 2));
    for config in ["1680", "1100", "1140"] {
        let payload = [&[0xAF, 0][..], &hex(config)].concat();
        assert_eq!(sound_format(&payload), None, "{config}");
    }
    // A frame is no configuration.
    assert_eq!(sound_format(&[0xAF, 1, 0x11, 0x90]), None);
    assert_eq!(sound_format(b"\x91mp4a\x11\x90"), None);
}

#[test]
fn opus_and_flac_by_their_headers() {
    sound(
        b"\x90Opus",
        "4f707573486561640102380180bb0000000000",
        (48_000, 2),
    );
    let info = "120012000000c70005110bb802f000002580d9b81de011fef694f3e1d33694c8ae61";
    // Bare, with its block header, and with the signature before that.
    sound(b"\x90fLaC", info, (48_000, 2));
    sound(b"\x90fLaC", &format!("00000022{info}"), (48_000, 2));
    sound(b"\x90fLaC", &format!("664c614380000022{info}"), (48_000, 2));
}

#[test]
fn what_has_no_header_by_its_frames() {
    sound(b"\x91ac-3", "0b77b50b1e40ebf8403eff99", (48_000, 6));
    sound(b"\x91ac-3", "0b77c2ea544043e106f575f0", (44_100, 2));
    sound(b"\x91ec-3", "0b77037f3f87c00020f82000", (48_000, 6));
    sound(&[0x2F], "fffb90640000026b0bce9d60600000", (44_100, 2));
    sound(b"\x91.mp3", "fffb90c4", (44_100, 1));
    // MPEG-2, half the rate; and 2.5, a quarter.
    sound(&[0x2F], "fff390c4", (22_050, 1));
    sound(&[0x2F], "ffe390c4", (11_025, 1));
}

proptest! {
    #[test]
    fn noise_is_read_without_a_panic(
        head in prop::sample::select(vec![
            &b"\x17\x00\x00\x00\x00"[..], b"\x1C\x00\x00\x00\x00", b"\x1D\x00\x00\x00\x00",
            b"\x90avc1", b"\x90hvc1", b"\x90av01", b"\x91vp09", b"\x96\x10avc1", b"\x96\x21",
            b"\xAF\x00", b"\x2F", b"\x90mp4a", b"\x90Opus", b"\x90OpusOpusHead", b"\x90fLaC",
            b"\x91ac-3\x0B\x77", b"\x91ec-3\x0B\x77", b"\x91.mp3", b"\x95\x21",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let payload = [head, &noise[..]].concat();
        if let Some(size) = picture_size(&payload) {
            prop_assert!(size.width > 0 && size.height > 0);
        }
        if let Some(format) = sound_format(&payload) {
            prop_assert!(format.sample_rate > 0 && format.channels > 0);
        }
    }

    /// Real headers with some bits wrong.
    #[test]
    fn damage_is_read_without_a_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for record in [
            "9061766331017a001fffe1001a677a001fb6cd9405005bb011000003000100000300320f183196",
            "9068766331010160000000900000000000078f000fcfdf8f800000f04200001001840010c01ffff0160000",
            "906176303181080c000a0b00000042abbfc3732be401",
        ] {
            let mut payload = hex(record);
            for (place, byte) in &damage {
                let place = place.index(payload.len());
                payload[place] = *byte;
            }
            picture_size(&payload);
            sound_format(&payload);
        }
    }
}
