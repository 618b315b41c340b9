//! Points in time, as the API writes them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with the fraction's
/// trailing zeros trimmed (`2025-12-01T01:08:50.72217Z`), as Cloudflare's API does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The point `delay` later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let micros = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// How long it is from `earlier` to this; zero where that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Microseconds since the epoch; below 2^53 until the year 2255, so that a JavaScript number
    /// holds it exactly.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let time: jiff::Timestamp = text.parse().map_err(|_| InvalidTime)?;
        Ok(Self(time.as_microsecond()))
    }
}

/// A text that is no point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as in RFC 3339, such as 2026-01-31T12:00:00Z")]
pub struct InvalidTime;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Out of range means a year beyond 9999: shown as the last representable instant.
        let time = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        fmt::Display::fmt(&time, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = *LONGEST;
        let length = self.write(&mut text);
        let text = length.and_then(|length| str::from_utf8(text.get(..length)?).ok());
        match text {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

impl Timestamp {
    /// Writes a time from 1970 to 9998 as [`fmt::Display`] does and in a fraction of its time, for a list
    /// has thousands. Returns the text's length.
    fn write(self, text: &mut [u8; LONGEST.len()]) -> Option<usize> {
        if self.0 >= YEAR_9999 {
            return None;
        }
        let micros = u64::try_from(self.0).ok()?;
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let days = u32::try_from(seconds / 86_400).ok()?;
        let second = u32::try_from(seconds % 86_400).ok()?;
        let mut fraction = u32::try_from(fraction).ok()?;
        // Years that begin in March end with the leap day: then months are 30.6 days, and centuries of
        // the calendar's 400 years 36524.25. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + u32::from(month <= 2);

        put(text, 0..4, year);
        put(text, 5..7, month);
        put(text, 8..10, day);
        put(text, 11..13, second / 3600);
        put(text, 14..16, second / 60 % 60);
        put(text, 17..19, second % 60);
        let mut end = 26;
        while end > 20 && fraction.is_multiple_of(10) {
            (fraction, end) = (fraction / 10, end - 1);
        }
        put(text, 20..end, fraction);
        // Without a fraction, in the place of its point.
        let end = if end == 20 { 19 } else { end };
        *text.get_mut(end)? = b'Z';
        Some(end + 1)
    }
}

/// Puts a number's last digits there.
fn put(text: &mut [u8], at: Range<usize>, mut number: u32) {
    for digit in text.get_mut(at).into_iter().flatten().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

const LONGEST: &[u8; 27] = b"2000-01-01T00:00:00.000000Z";

/// 9999-01-01T00:00:00Z
const YEAR_9999: i64 = 253_370_764_800_000_000;

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Times as whole microseconds: `#[serde(with = "micros")]`, for the link and for what is stored.
pub mod micros {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes the number.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    /// Reads the number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}

/// As [`micros`], for a time that there may not be.
pub mod optional_micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Timestamp;

    /// Writes the number, or null.
    pub fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|Timestamp(micros)| micros).serialize(serializer)
    }

    /// Reads the number, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_counted_with() {
        let time = Timestamp::from_micros(5);
        let later = time.after(Duration::from_millis(2));
        assert_eq!(later, Timestamp::from_micros(2005));
        assert_eq!(later.since(time), Duration::from_millis(2));
        assert_eq!(time.since(later), Duration::ZERO);
        let last = Timestamp::from_micros(i64::MAX);
        assert_eq!(time.after(Duration::MAX), last);
    }

    #[test]
    fn is_written_as_cloudflare_writes_it() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_388_629_200_000_000, "2014-01-02T02:20:00Z"),
            (1_619_204_271_425_387, "2021-04-23T18:57:51.425387Z"),
            (1_764_551_330_722_170, "2025-12-01T01:08:50.72217Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            let read: Timestamp = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(read, Timestamp::from_micros(micros));
        }
    }

    #[test]
    fn is_written_the_same_way_into_json() {
        let end = YEAR_9999;
        let around = |micros: i64| [-1, 0, 1, 999_999].map(|more| micros.saturating_add(more));
        // Every day of 800 years, at another hour each, and what is outside.
        let days = (0..292_200).map(|day| day * 86_400_000_000 + day * 61_000_000 % 86_400_000_000);
        let bounds = [i64::MIN, -1_000_000, 0, end, end + 86_400_000_000, i64::MAX];
        for micros in days.chain(bounds).flat_map(around) {
            let time = Timestamp::from_micros(micros);
            let written = serde_json::to_string(&time).unwrap();
            assert_eq!(written, format!("\"{time}\""), "{micros}");
        }
    }
}
