//! When a schedule fires: crontab lines of five fields, in a named time zone.
//!
//! As cron has it: `minute hour day-of-month month day-of-week`, names and `@daily` allowed, 0 and 7 are Sunday; when
//! both day fields are restricted, either is enough. Clock changes: a line with fixed hours and minutes runs exactly
//! once on each local day, at the next valid minute when its time is skipped and only in the first pass when it comes
//! twice; a line with `*` or a step in them follows the clock: what is skipped is left out, what comes twice runs twice.
//! The lines are matched on civil time only (dressed as UTC for the `cron` crate), then mapped to instants here.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Why a line is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not five fields.
    #[error(
        "{0} fields where five are expected: write minute hour day-of-month month day-of-week, as in \"0 21 * * *\""
    )]
    Fields(usize),
    /// A field that cannot be read.
    #[error("{field} field {text:?} cannot be read: write {allowed}")]
    Field {
        /// Which.
        field: &'static str,
        /// As written.
        text: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A line that matches no day of any year.
    #[error("no such day ever comes: write a day of the month that the month has")]
    Never,
    /// Neither a field nor a known word.
    #[error("{0:?} is not known: write @hourly, @daily, @weekly, @monthly, @yearly or five fields")]
    Word(String),
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// One, or two when both day fields are restricted: either is enough.
    masks: Vec<cron::Schedule>,
    /// Hours and minutes are all written out.
    fixed: bool,
}

impl Line {
    /// Reads a crontab line.
    ///
    /// # Errors
    /// Not a line, or one that can never fire.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let text = expand_word(text.trim())?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(LineError::Fields(fields.len()));
        };
        check_field("minute", minute, "0 to 59")?;
        check_field("hour", hour, "0 to 23")?;
        check_field("day-of-month", day, "1 to 31")?;
        check_field("month", month, "1 to 12, or jan to dec")?;
        let weekdays = weekday_set(weekday)?;
        let mask = |day: &str, weekday: &str| {
            let line = format!("0 {minute} {hour} {day} {month} {weekday}");
            cron::Schedule::from_str(&line).map_err(|_| LineError::Field {
                field: "one",
                text: text.clone(),
                allowed: "numbers, names, ranges, lists and steps in their limits",
            })
        };
        let any_day = |field: &str| field.starts_with('*') || field == "?";
        let masks = match (any_day(day), any_day(weekday)) {
            (false, false) => vec![mask(day, "*")?, mask("*", &weekdays)?],
            _ => vec![mask(day, &weekdays)?],
        };
        let fixed = !minute.contains(['*', '/']) && !hour.contains(['*', '/']);
        let line = Self { masks, fixed };
        line.civil_after(dress(civil::date(2000, 1, 1).at(0, 0, 0, 0)))
            .map(|_| line)
            .ok_or(LineError::Never)
    }

    /// The first instant after `after` at which the line fires.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Far enough back that a time of the first pass of an hour that comes twice, or skipped just now, is seen again.
        let mut from = dress(zone.to_datetime(after)) - TimeDelta::hours(25);
        let mut best: Option<Timestamp> = None;
        for _ in 0..20_000 {
            let civil = self.civil_after(from)?;
            from = civil;
            if let Some(found) = best
                && civil > dress(zone.to_datetime(found)) + TimeDelta::hours(25)
            {
                break;
            }
            let instants = self.instants(undress(civil), zone);
            best = instants
                .into_iter()
                .flatten()
                .filter(|t| *t > after)
                .chain(best)
                .min();
            if best.is_some() && self.fixed {
                break;
            }
        }
        best
    }

    /// Civil time strictly after, in either mask.
    fn civil_after(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.masks
            .iter()
            .filter_map(|m| m.after(&from).next())
            .min()
    }

    /// The instants one civil time stands for, by the rule of the module.
    fn instants(&self, civil: civil::DateTime, zone: &TimeZone) -> [Option<Timestamp>; 2] {
        let ambiguous = zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => [ambiguous.compatible().ok(), None],
            AmbiguousOffset::Fold { .. } if self.fixed => [ambiguous.earlier().ok(), None],
            AmbiguousOffset::Fold { .. } => [ambiguous.earlier().ok(), ambiguous.later().ok()],
            AmbiguousOffset::Gap { .. } if self.fixed => [gap_end(civil, zone), None],
            AmbiguousOffset::Gap { .. } => [None, None],
        }
    }
}

/// The first valid instant after a skipped civil time; none when the whole local day was skipped.
fn gap_end(civil: civil::DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let before = zone.to_ambiguous_timestamp(civil).earlier().ok()?;
    let end = zone.following(before).next()?.timestamp();
    let until = civil.date().tomorrow().ok()?.at(0, 0, 0, 0);
    let start = civil.date().at(0, 0, 0, 0);
    let skipped = |t: civil::DateTime| {
        matches!(
            zone.to_ambiguous_timestamp(t).offset(),
            AmbiguousOffset::Gap { .. }
        )
    };
    let whole_day = skipped(start) && zone.to_datetime(end) >= until;
    (!whole_day).then_some(end)
}

/// A schedule: it fires when one of its lines does.
#[must_use]
pub fn next_of(lines: &[Line], after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    lines
        .iter()
        .filter_map(|line| line.next_after(after, zone))
        .min()
}

fn expand_word(text: &str) -> Result<String, LineError> {
    Ok(match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        word if word.starts_with('@') => {
            return Err(LineError::Word(word.chars().take(40).collect()));
        }
        fields => fields,
    }
    .to_owned())
}

/// One field on its own, so that the message can name it.
fn check_field(field: &'static str, text: &str, allowed: &'static str) -> Result<(), LineError> {
    let line = match field {
        "minute" => format!("0 {text} * * * *"),
        "hour" => format!("0 * {text} * * *"),
        "day-of-month" => format!("0 * * {text} * *"),
        _ => format!("0 * * * {text} *"),
    };
    // The crate also takes words of its own; a crontab field is made of these characters only.
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "*,-/?".contains(c));
    if plain && text.len() <= 200 && cron::Schedule::from_str(&line).is_ok() {
        return Ok(());
    }
    Err(LineError::Field {
        field,
        text: text.chars().take(80).collect(),
        allowed,
    })
}

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// crontab's weekdays (0 and 7 = Sunday, names, ranges, steps) as the `cron` crate's list (1 = Sunday).
fn weekday_set(text: &str) -> Result<String, LineError> {
    let error = || LineError::Field {
        field: "day-of-week",
        text: text.chars().take(80).collect(),
        allowed: "0 to 7 (0 and 7 are Sunday), or sun to sat",
    };
    if text == "*" || text == "?" {
        return Ok("*".to_owned());
    }
    let number = |word: &str| -> Result<usize, LineError> {
        let name = word.to_ascii_lowercase();
        let found = WEEKDAYS
            .iter()
            .position(|day| *day == name.get(..3).unwrap_or(&name));
        let digits = word.parse::<usize>().ok().filter(|n| *n <= 7);
        found.or(digits).ok_or_else(error)
    };
    let mut set = [false; 7];
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse()
                    .ok()
                    .filter(|s| (1..=7).contains(s))
                    .ok_or_else(error)?,
            ),
            None => (part, 1usize),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((a, b)) => (number(a)?, number(b)?),
            None if step > 1 => (number(range)?, 6),
            None => (number(range)?, number(range)?),
        };
        // `fri-mon` goes over the end of the week.
        let last = if last < first { last + 7 } else { last };
        (first..=last)
            .step_by(step)
            .for_each(|day| set[day % 7] = true);
    }
    let days: Vec<String> = (1..=7)
        .filter(|n| set[n - 1])
        .map(|n| n.to_string())
        .collect();
    Ok(days.join(","))
}

/// Civil time as the `cron` crate wants it: dressed as UTC, where no hour is missing or double.
fn dress(t: civil::DateTime) -> DateTime<Utc> {
    let of = |n: i8| u32::try_from(n).unwrap_or(0);
    NaiveDate::from_ymd_opt(i32::from(t.year()), of(t.month()), of(t.day()))
        .and_then(|date| date.and_hms_opt(of(t.hour()), of(t.minute()), of(t.second())))
        .unwrap_or_default()
        .and_utc()
}

fn undress(t: DateTime<Utc>) -> civil::DateTime {
    let of = |n: u32| i8::try_from(n).unwrap_or(0);
    let year = i16::try_from(t.year()).unwrap_or(civil::DateTime::MAX.year());
    civil::DateTime::new(
        year,
        of(t.month()),
        of(t.day()),
        of(t.hour()),
        of(t.minute()),
        0,
        0,
    )
    .unwrap_or(civil::DateTime::MAX)
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
