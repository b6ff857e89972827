//! The time of day as the wire and the volumes carry it: milliseconds since 1970, UTC, signed.
//!
//! Only outer modules read it; pure modules are told. Never used to measure how long something took: that is
//! [`std::time::Instant`].

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since the epoch; negative before 1970, saturating far outside any real date.
#[must_use]
#[allow(clippy::disallowed_methods)] // this is the one place
pub fn now_ms() -> i64 {
    to_ms(SystemTime::now())
}

/// Any instant of the system clock in milliseconds since the epoch.
#[must_use]
pub fn to_ms(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn instants_on_both_sides_of_the_epoch() {
        assert_eq!(to_ms(UNIX_EPOCH + Duration::from_millis(1_500)), 1_500);
        assert_eq!(to_ms(UNIX_EPOCH - Duration::from_millis(1_500)), -1_500);
        assert!(now_ms() > 1_600_000_000_000);
    }
}
