//! Sound: configurations, and the headers of frames.

use super::SoundFormat;
use super::bits::Bits;

const AAC_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// An `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
pub(super) fn aac(config: &[u8]) -> Option<SoundFormat> {
    /// Audio object types: with doubled rate, and with stereo made of one channel.
    const SBR: u32 = 5;
    const PS: u32 = 29;
    let mut bits = Bits::new(config);
    let kind = match bits.number(5)? {
        31 => 32 + bits.number(6)?,
        kind => kind,
    };
    let rate = aac_rate(&mut bits)?;
    let channels = match bits.number(4)? {
        count @ 1..=6 => count,
        7 | 12 | 14 => 8,
        11 => 7,
        // A table of its own that nobody sends over RTMP.
        _ => return None,
    };
    let rate = match kind {
        SBR | PS => aac_rate(&mut bits)?,
        _ => rate,
    };
    let channels = match (kind, channels) {
        (PS, 1) => 2,
        _ => channels,
    };
    SoundFormat::new(rate, channels)
}

fn aac_rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.number(4)? {
        15 => bits.number(24),
        index => AAC_RATES.get(index as usize).copied(),
    }
}

/// An Opus identification header (RFC 7845, 5.1). Opus plays at 48 kHz, whatever it was made of.
pub(super) fn opus(header: &[u8]) -> Option<SoundFormat> {
    let [_version, channels, ..] = *header.strip_prefix(b"OpusHead")? else {
        return None;
    };
    SoundFormat::new(48_000, channels.into())
}

/// A `STREAMINFO` (RFC 9639, 8.2), with or without the signature and the block header before it.
pub(super) fn flac(header: &[u8]) -> Option<SoundFormat> {
    const STREAMINFO: usize = 34;
    let header = header.strip_prefix(b"fLaC").unwrap_or(header);
    let header = match header {
        // Block type 0, last or not, of that length.
        [0x00 | 0x80, 0, 0, length, rest @ ..] if usize::from(*length) == STREAMINFO => rest,
        _ => header,
    };
    if header.len() < STREAMINFO {
        return None;
    }
    let mut bits = Bits::new(header);
    bits.skip(16 + 16 + 24 + 24)?; // sizes of blocks and frames
    SoundFormat::new(bits.number(20)?, bits.number(3)? + 1)
}

/// The first byte of a tag of 2012 (Adobe's *Video File Format Specification 10.1*, E.4.2.1).
pub(super) fn classic(first: u8) -> Option<SoundFormat> {
    const RATES: [u32; 4] = [5_512, 11_025, 22_050, 44_100];
    let rate = RATES.get(usize::from(first >> 2 & 3))?;
    SoundFormat::new(*rate, 1 + u32::from(first & 1))
}

/// The beginning of an AC-3 or E-AC-3 frame (ETSI TS 102 366, 4.4.1, 4.4.2 and E.1.2).
pub(super) fn ac3(frame: &[u8]) -> Option<SoundFormat> {
    const RATES: [u32; 3] = [48_000, 44_100, 32_000];
    const REDUCED_RATES: [u32; 3] = [24_000, 22_050, 16_000];
    /// By `acmod`, without the effects.
    const CHANNELS: [u32; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
    let mut bits = Bits::new(frame.strip_prefix(&[0x0B, 0x77])?);
    let is_enhanced = {
        let mut ahead = bits.clone();
        ahead.skip(24)?;
        ahead.number(5)? > 10
    };
    let (rate, mode);
    if is_enhanced {
        // One that only adds channels to another says nothing of the whole.
        const DEPENDENT: u32 = 1;
        if bits.number(2)? == DEPENDENT {
            return None;
        }
        bits.skip(3 + 11)?; // substreamid, frmsiz
        rate = match bits.number(2)? {
            3 => REDUCED_RATES.get(bits.number(2)? as usize),
            index => {
                bits.skip(2)?; // numblkscod
                RATES.get(index as usize)
            }
        };
        mode = bits.number(3)?;
    } else {
        bits.skip(16)?; // crc1
        rate = RATES.get(bits.number(2)? as usize);
        bits.skip(6 + 5 + 3)?; // frmsizecod, bsid, bsmod
        mode = bits.number(3)?;
        let has_centre = mode & 1 != 0 && mode != 1;
        bits.skip(2 * usize::from(has_centre))?; // cmixlev
        bits.skip(2 * usize::from(mode & 4 != 0))?; // surmixlev
        bits.skip(2 * usize::from(mode == 2))?; // dsurmod
    }
    let effects = u32::from(bits.bit()?);
    SoundFormat::new(*rate?, CHANNELS.get(mode as usize)? + effects)
}

/// The header of an MPEG audio frame (ISO/IEC 11172-3, 2.4.1.3).
pub(super) fn mp3(frame: &[u8]) -> Option<SoundFormat> {
    const RATES: [u32; 3] = [44_100, 48_000, 32_000];
    let mut bits = Bits::new(frame);
    if bits.number(11)? != 0x7FF {
        return None;
    }
    let halvings = match bits.number(2)? {
        3 => 0, // MPEG-1
        2 => 1, // MPEG-2
        0 => 2, // MPEG-2.5
        _ => return None,
    };
    bits.skip(2 + 1 + 4)?; // layer, protection, bitrate
    let rate = RATES.get(bits.number(2)? as usize)? >> halvings;
    bits.skip(2)?; // padding, private
    let channels = if bits.number(2)? == 3 { 1 } else { 2 };
    SoundFormat::new(rate, channels)
}
