//! Cron lines against known dates, clock changes of real zones, and the daily promise as a property.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(zone: &TimeZone, text: &str) -> Timestamp {
    zone.to_timestamp(text.parse().unwrap()).unwrap()
}

fn fires(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let zone = TimeZone::get(zone).unwrap();
    let line = Line::parse(line).unwrap();
    let mut t = at(&zone, after);
    (0..count)
        .map(|_| {
            t = line.next_after(t, &zone).unwrap();
            let shown = t.to_zoned_datetime(zone.clone());
            format!("{}{}", shown.datetime(), shown.offset())
        })
        .collect()
}

#[test]
fn lines_fire_as_cron_does() {
    for (line, after, expected) in [
        (
            "0 21 * * *",
            "2026-01-01T00:00:00",
            vec!["2026-01-01T21:00:00", "2026-01-02T21:00:00"],
        ),
        (
            "0 21 * * *",
            "2026-01-01T21:00:00",
            vec!["2026-01-02T21:00:00"],
        ),
        (
            "*/20 8-9 * * *",
            "2026-01-01T08:30:00",
            vec!["2026-01-01T08:40:00", "2026-01-01T09:00:00"],
        ),
        // 2026-01-04 is a Sunday.
        (
            "5 4 * * 0",
            "2026-01-01T00:00:00",
            vec!["2026-01-04T04:05:00", "2026-01-11T04:05:00"],
        ),
        (
            "5 4 * * 7",
            "2026-01-01T00:00:00",
            vec!["2026-01-04T04:05:00"],
        ),
        (
            "5 4 * * sun",
            "2026-01-01T00:00:00",
            vec!["2026-01-04T04:05:00"],
        ),
        (
            "5 4 * * 1-5",
            "2026-01-02T05:00:00",
            vec!["2026-01-05T04:05:00"],
        ),
        (
            "5 4 * * fri-mon",
            "2026-01-05T05:00:00",
            vec!["2026-01-09T04:05:00"],
        ),
        (
            "0 0 29 2 *",
            "2026-01-01T00:00:00",
            vec!["2028-02-29T00:00:00"],
        ),
        // Both day fields restricted: either is enough. The 13th is a Tuesday, the 9th and 16th are Fridays.
        (
            "0 0 13 * 5",
            "2026-01-08T00:00:00",
            vec![
                "2026-01-09T00:00:00",
                "2026-01-13T00:00:00",
                "2026-01-16T00:00:00",
            ],
        ),
        (
            "0 0 */10 * 1",
            "2026-01-06T00:00:00",
            vec!["2026-05-11T00:00:00"],
        ),
        (
            "@weekly",
            "2026-01-01T00:00:00",
            vec!["2026-01-04T00:00:00"],
        ),
        (
            "0 3 * mar,Nov *",
            "2026-04-01T00:00:00",
            vec!["2026-11-01T03:00:00"],
        ),
    ] {
        let found = fires(line, "UTC", after, expected.len());
        let expected: Vec<String> = expected.iter().map(|e| format!("{e}+00")).collect();
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn a_skipped_time_runs_at_the_next_valid_minute_and_a_double_one_once() {
    // Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00.
    let spring = fires("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", 2);
    assert_eq!(spring, ["2026-03-29T03:00:00+02", "2026-03-30T02:30:00+02"]);
    let autumn = fires("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", 2);
    assert_eq!(autumn, ["2026-10-25T02:30:00+02", "2026-10-26T02:30:00+01"]);
    // Two fixed times in the gap are one run.
    let both = fires("0,30 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00", 2);
    assert_eq!(both, ["2026-03-29T03:00:00+02", "2026-03-30T02:00:00+02"]);
    // A step follows the clock: nothing for the skipped hour, both passes of the double one.
    let steps = fires("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:00:00", 2);
    assert_eq!(steps, ["2026-03-29T01:30:00+01", "2026-03-29T03:00:00+02"]);
    let steps = fires("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:45:00", 6);
    let hours: Vec<&str> = steps.iter().map(|s| &s[11..]).collect();
    assert_eq!(
        hours,
        [
            "02:00:00+02",
            "02:30:00+02",
            "02:00:00+01",
            "02:30:00+01",
            "03:00:00+01",
            "03:30:00+01"
        ]
    );
}

#[test]
fn a_day_that_never_was_has_no_run() {
    // Samoa went from 2011-12-29 to 2011-12-31.
    let found = fires("30 2 * * *", "Pacific/Apia", "2011-12-29T12:00:00", 1);
    assert_eq!(found, ["2011-12-31T02:30:00+14"]);
}

#[test]
fn wrong_lines_are_refused_with_the_field_and_a_remedy() {
    for (line, expected) in [
        ("0 21 * *", "4 fields"),
        ("", "0 fields"),
        ("0 0 21 * * *", "6 fields"),
        ("60 21 * * *", "minute field \"60\""),
        ("0 24 * * *", "hour field"),
        ("0 0 32 * *", "day-of-month field"),
        ("0 0 1 13 *", "month field"),
        ("0 0 * * 8", "day-of-week field"),
        ("0 0 * * mo-x", "day-of-week field"),
        ("0 0 * * */0", "day-of-week field"),
        ("0 0 30 2 *", "no such day"),
        ("0 0 31 apr,jun *", "no such day"),
        ("@fortnightly", "@hourly"),
    ] {
        let error = Line::parse(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
        assert!(error.contains("write "), "{line}: {error}");
    }
}

#[test]
fn a_schedule_fires_with_its_first_line() {
    let lines = [
        Line::parse("0 21 * * *").unwrap(),
        Line::parse("0 9 * * *").unwrap(),
    ];
    let zone = TimeZone::UTC;
    let next = next_of(&lines, at(&zone, "2026-01-01T00:00:00"), &zone).unwrap();
    assert_eq!(next, at(&zone, "2026-01-01T09:00:00"));
    assert_eq!(next_of(&[], next, &zone), None);
}

const ZONES: &[&str] = &[
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Santiago",
    "Asia/Gaza",
    "Africa/Cairo",
    "Antarctica/Troll",
    "UTC",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_daily_line_runs_exactly_once_on_each_local_day(
        hour in 0..24u8, minute in 0..60u8, zone in 0..ZONES.len(), year in 2010..2032i16,
    ) {
        let zone = TimeZone::get(ZONES[zone]).unwrap();
        let line = Line::parse(&format!("{minute} {hour} * * *")).unwrap();
        let mut t = zone.to_timestamp(civil::date(year, 1, 1).at(0, 0, 0, 0)).unwrap();
        let mut days: BTreeMap<civil::Date, u32> = BTreeMap::new();
        loop {
            let next = line.next_after(t, &zone).unwrap();
            prop_assert!(next > t);
            t = next;
            let date = zone.to_datetime(t).date();
            if date.year() != year { break; }
            *days.entry(date).or_default() += 1;
        }
        prop_assert!(days.values().all(|n| *n == 1), "{:?}", days.iter().filter(|d| *d.1 != 1).collect::<Vec<_>>());
        // The first of January at 00:00 itself is not after the start.
        let full = civil::date(year, 1, 1).days_in_year();
        let skipped = i16::from(ZONES[0..].contains(&"Pacific/Apia") && year == 2011 && zone.iana_name() == Some("Pacific/Apia"));
        let first = i16::from(hour == 0 && minute == 0);
        prop_assert_eq!(i16::try_from(days.len()).unwrap(), full - skipped - first);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9*,/@a-z -]{0,30}") {
        let _ = Line::parse(&text);
    }
}
