//! Times and sizes as administrators write them: `"30d"`, `"2GiB"`.
//!
//! Invariant: a unit that can be read in two ways is refused with both readings, never guessed: `30m` (minutes or
//! months), `2G` (1000 or 1024).

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A span of time: `"90s"`, `"15min"`, `"12h"`, `"30d"`, `"2w"`, `"6months"` (30 days each), `"1y"` (365 days).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Units as they are written, in seconds; the first of each length is how it is shown.
const PERIODS: &[(&str, u64)] = &[
    ("y", 365 * DAY),
    ("d", DAY),
    ("h", HOUR),
    ("min", MINUTE),
    ("s", SECOND),
    ("w", 7 * DAY),
    ("months", 30 * DAY),
    ("month", 30 * DAY),
    ("years", 365 * DAY),
    ("year", 365 * DAY),
    ("weeks", 7 * DAY),
    ("week", 7 * DAY),
    ("days", DAY),
    ("day", DAY),
    ("hours", HOUR),
    ("hour", HOUR),
    ("minutes", MINUTE),
    ("minute", MINUTE),
    ("seconds", SECOND),
    ("second", SECOND),
    ("sec", SECOND),
];

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many days.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self(Duration::from_secs(days * DAY))
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Milliseconds, at most `i64::MAX`.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// Reads the text; the error is a sentence with the remedy.
    ///
    /// # Errors
    /// No number, an unknown or doubtful unit, or more than 1000 years.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text)?;
        let unit = unit.to_ascii_lowercase();
        if unit == "m" {
            return Err(format!(
                "{text:?} could be minutes or months: write \"{number}min\" or \"{number}months\""
            ));
        }
        let Some((_, seconds)) = PERIODS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!(
                "{text:?} is not a span of time: write a number and s, min, h, d, w, months or y, as in \"30d\""
            ));
        };
        let whole: u64 = number.parse().map_err(|_| {
            format!("{text:?} is not a span of time: the number must be whole, as in \"90min\"")
        })?;
        match whole.checked_mul(*seconds) {
            Some(total) if total <= 1000 * 365 * DAY => Ok(Self::from_secs(total)),
            _ => Err(format!("{text:?} is longer than 1000 years")),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, length) in &PERIODS[..5] {
            if seconds >= *length && seconds.is_multiple_of(*length) {
                return write!(f, "{}{unit}", seconds / length);
            }
        }
        write!(f, "{seconds}s")
    }
}

/// A number of bytes: `"2GiB"` (2 × 1024³) or `"2GB"` (2 × 1000³).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads the text; the error is a sentence with the remedy.
    ///
    /// # Errors
    /// No number, an unknown unit, or one that could mean 1000 or 1024.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text)?;
        let bare = unit.trim().to_ascii_uppercase();
        if matches!(bare.as_str(), "K" | "M" | "G" | "T" | "P") {
            return Err(format!(
                "{text:?} could mean 1000 or 1024: write \"{number}{bare}iB\" (1024) or \"{number}{bare}B\" (1000)"
            ));
        }
        if bare.is_empty() && number != "0" {
            return Err(format!(
                "{text:?} has no unit: write \"{number}B\" for bytes, or a unit as in \"2GiB\""
            ));
        }
        text.trim()
            .parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| {
                format!(
                    "{text:?} is not a size: write a number and a unit, as in \"2GiB\" or \"500MB\""
                )
            })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", bytesize::ByteSize(self.0).display().iec())
    }
}

/// A leading number and what follows it.
fn split(text: &str) -> Result<(&str, &str), String> {
    let trimmed = text.trim();
    let at = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(at);
    if number.is_empty() {
        return Err(format!("{text:?} does not start with a number"));
    }
    Ok((number, unit.trim()))
}

/// Reads text and names the kind of value when it was not text.
struct TextVisitor<T>(&'static str, fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.1(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(TextVisitor(
            "a span of time in quotes, as in \"30d\"",
            Self::parse,
        ))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(TextVisitor("a size in quotes, as in \"2GiB\"", Self::parse))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("30d", 30 * DAY, "30d"),
            ("12h", 12 * HOUR, "12h"),
            ("90 s", 90, "90s"),
            ("90min", 90 * 60, "90min"),
            ("2w", 14 * DAY, "14d"),
            ("6 months", 180 * DAY, "180d"),
            ("1y", 365 * DAY, "1y"),
            ("0s", 0, "0s"),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.duration().as_secs(), seconds, "{text}");
            assert_eq!(period.to_string(), shown);
        }
        assert!(Period::parse("30m").unwrap_err().contains("\"30months\""));
        for bad in [
            "",
            "d",
            "30",
            "1.5d",
            "30 fortnights",
            "99999999999y",
            "-1d",
        ] {
            assert!(Period::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_tell_powers_of_ten_from_powers_of_two() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("2GB", 2_000_000_000),
            ("500 MB", 500_000_000),
            ("64KiB", 65536),
            ("1.5GiB", 3 << 29),
            ("10B", 10),
            ("0", 0),
        ] {
            assert_eq!(Size::parse(text).unwrap().bytes(), bytes, "{text}");
        }
        let error = Size::parse("2G").unwrap_err();
        assert!(
            error.contains("\"2GiB\"") && error.contains("\"2GB\""),
            "{error}"
        );
        for bad in ["", "GiB", "2", "2XB", "-1B"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }
}
