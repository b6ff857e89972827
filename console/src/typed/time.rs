//! Points in time as typed. Digits alone are a JobId; a time without zone is the Director's; what is left out of a date or
//! a time has its lowest value; "10:00" is today.
//!
//! Invariant: never the console machine's zone, never its clock.

use common::ids::JobId;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::TypedError;

/// Which point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As of a run.
    Job(JobId),
    /// As of an instant.
    Instant(Timestamp),
}

/// Reads a point in time; `now` and `zone` are the Director's.
///
/// # Errors
/// When it is none.
pub fn parse_when(typed: &str, now: Timestamp, zone: &TimeZone) -> Result<When, TypedError> {
    let text = typed.trim();
    let err = || TypedError::Time {
        text: typed.chars().take(80).collect(),
    };
    let digits = text.trim_start_matches(['#', '@']);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits
            .parse()
            .map(|id| When::Job(JobId(id)))
            .map_err(|_| err());
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(When::Instant(instant));
    }
    if let Some(age) = text.strip_suffix("ago") {
        let age: SignedDuration = age.trim().parse().map_err(|_| err())?;
        return now.checked_sub(age).map(When::Instant).map_err(|_| err());
    }
    if let Some((civil, offset)) = split_offset(text) {
        let civil = parse_civil(civil, now, zone).ok_or_else(err)?;
        let instant = format!("{}{offset}", civil.strftime("%Y-%m-%dT%H:%M:%S"));
        return instant.parse().map(When::Instant).map_err(|_| err());
    }
    let civil = parse_civil(text, now, zone).ok_or_else(err)?;
    let zoned = civil.to_zoned_datetime(zone.clone()).map_err(|_| err())?;
    Ok(When::Instant(zoned.timestamp()))
}

/// `2026-11-20 10:00+01:00` or `...Z`: the civil time and its offset.
fn split_offset(text: &str) -> Option<(&str, &str)> {
    if let Some(civil) = text.strip_suffix(['Z', 'z']) {
        return Some((civil.trim_end(), "Z"));
    }
    let at = text.len().checked_sub(6)?;
    let (civil, offset) = (text.get(..at)?, text.get(at..)?);
    let is_offset = offset.starts_with(['+', '-']) && offset.as_bytes().get(3) == Some(&b':');
    (is_offset && civil.contains(':')).then(|| (civil.trim_end(), offset))
}

fn parse_civil(text: &str, now: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    let today = now.to_zoned_datetime(zone.clone()).date();
    if text == "now" {
        return Some(now.to_zoned_datetime(zone.clone()).datetime());
    }
    let parts = text
        .split_once(' ')
        .or_else(|| text.split_once('T').filter(|(day, _)| day.contains('-')));
    let (day, time) = match parts {
        Some((day, time)) => (day, Some(time.trim())),
        None => (text, None),
    };
    match (day, time) {
        (time, None) if time.contains(':') => Some(today.to_datetime(parse_time(time)?)),
        (day, None) => Some(parse_day(day, today)?.to_datetime(Time::midnight())),
        (day, Some(time)) => Some(parse_day(day, today)?.to_datetime(parse_time(time)?)),
    }
}

fn parse_day(text: &str, today: Date) -> Option<Date> {
    match text {
        "today" => return Some(today),
        "yesterday" => return today.yesterday().ok(),
        _ => {}
    }
    let mut parts = text.split('-');
    let year = parts.next().filter(|y| y.len() == 4)?.parse().ok()?;
    let month = parts.next().map_or(Some(1), |m| m.parse().ok())?;
    let day = parts.next().map_or(Some(1), |d| d.parse().ok())?;
    parts
        .next()
        .is_none()
        .then(|| Date::new(year, month, day).ok())?
}

fn parse_time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next().map_or(Some(0), |m| m.parse().ok())?;
    let second = parts.next().map_or(Some(0), |s| s.parse().ok())?;
    parts
        .next()
        .is_none()
        .then(|| Time::new(hour, minute, second, 0).ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(typed: &str) -> String {
        let now: Timestamp = "2026-11-24T12:30:15Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        match parse_when(typed, now, &zone) {
            Ok(When::Job(id)) => format!("job {id}"),
            Ok(When::Instant(at)) => at.to_string(),
            Err(_) => "no".to_owned(),
        }
    }

    #[test]
    fn times_without_zone_are_the_directors() {
        for (typed, meant) in [
            ("17", "job 17"),
            ("@17", "job 17"),
            ("2026", "job 2026"),
            ("2026-11-20 10:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20T10:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20 10:00:30", "2026-11-20T09:00:30Z"),
            ("2026-07-20 10:00", "2026-07-20T08:00:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11", "2026-10-31T23:00:00Z"),
            ("10:00", "2026-11-24T09:00:00Z"),
            ("today", "2026-11-23T23:00:00Z"),
            ("yesterday", "2026-11-22T23:00:00Z"),
            ("yesterday 21:00", "2026-11-23T20:00:00Z"),
            ("today 9:05", "2026-11-24T08:05:00Z"),
            ("now", "2026-11-24T12:30:15Z"),
            ("3h ago", "2026-11-24T09:30:15Z"),
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
            ("2026-11-20 10:00Z", "2026-11-20T10:00:00Z"),
            ("2026-11-20 10:00+05:30", "2026-11-20T04:30:00Z"),
            ("2026-11-20 10:00 -08:00", "2026-11-20T18:00:00Z"),
        ] {
            assert_eq!(check(typed), meant, "{typed}");
        }
    }

    #[test]
    fn a_time_the_clock_skips_or_repeats_is_one_instant() {
        assert_eq!(check("2026-03-29 02:30"), "2026-03-29T01:30:00Z");
        assert_eq!(check("2026-10-25 02:30"), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn other_texts_are_refused() {
        for typed in [
            "",
            "soon",
            "25:00",
            "2026-13-01",
            "26-11-20",
            "2026-11-20 10:61",
            "-3",
            "ago",
            "1:2:3:4",
        ] {
            assert_eq!(check(typed), "no", "{typed}");
        }
    }
}
