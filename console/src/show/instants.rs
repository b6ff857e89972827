//! Instants of the API in the zone of whoever reads, always with the offset.

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The zone times are shown in.
#[derive(Clone)]
pub struct Zone(pub TimeZone);

impl Zone {
    /// The zone of this machine and user (`TZ`); UTC when it has none.
    #[must_use]
    pub fn local() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// `2026-11-24 13:30:15 +0100`
    #[must_use]
    pub fn full(&self, at: DateTime<Utc>) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S %z")
    }

    /// `2026-11-24 13:30 +0100`, for tables.
    #[must_use]
    pub fn short(&self, at: DateTime<Utc>) -> String {
        self.format(at, "%Y-%m-%d %H:%M %z")
    }

    /// As [`Self::short`], or a word for never.
    #[must_use]
    pub fn or(&self, at: Option<DateTime<Utc>>, never: &str) -> String {
        at.map_or_else(|| never.to_owned(), |at| self.short(at))
    }

    fn format(&self, at: DateTime<Utc>, format: &str) -> String {
        match timestamp(at) {
            Some(at) => at
                .to_zoned_datetime(self.0.clone())
                .strftime(format)
                .to_string(),
            None => at.to_rfc3339(),
        }
    }
}

/// An instant of the API for jiff; nothing outside the years it knows.
fn timestamp(at: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_second(at.timestamp()).ok()
}

/// An instant as it is understood in `zone`: the echo of what was typed.
#[must_use]
pub fn at_zone(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %z")
        .to_string()
}

/// A clock's difference in words: `exact`, `0.8 s ahead`, `2:10 behind`.
#[must_use]
pub fn difference(milliseconds: i64) -> String {
    let size = milliseconds.unsigned_abs();
    let word = if milliseconds < 0 { "behind" } else { "ahead" };
    match size {
        0..100 => "exact".to_owned(),
        100..60_000 => format!("{}.{} s {word}", size / 1000, size / 100 % 10),
        _ => format!("{} {word}", super::duration(size / 1000)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn instants_carry_their_offset() {
        let zone = Zone(TimeZone::get("Asia/Kolkata").unwrap());
        let at = "2026-11-24T12:30:15Z".parse().unwrap();
        assert_eq!(zone.full(at), "2026-11-24 18:00:15 +0530");
        assert_eq!(zone.or(None, "never"), "never");
    }

    #[test]
    fn clock_differences_in_words() {
        assert_eq!(difference(-40), "exact");
        assert_eq!(difference(1840), "1.8 s ahead");
        assert_eq!(difference(-130_000), "2:10 behind");
    }
}
