//! How long snapshots are kept, and which of a series may go now.
//!
//! Never goes the newest good snapshot of a series, nor one that is held.

use common::config::Period;
use common::ids::SnapshotId;

/// When a snapshot started at `started_ms` may go: milliseconds since the epoch; 0 = never.
#[must_use]
pub fn keep_until_ms(started_ms: i64, job: Option<Period>, pool: Option<Period>) -> i64 {
    match job.or(pool) {
        Some(keep) => started_ms.saturating_add(keep.as_millis()).max(1),
        None => 0,
    }
}

/// A snapshot as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub snapshot: SnapshotId,
    /// Place in its series.
    pub number: u64,
    /// Its run was a success and it is not damaged.
    pub good: bool,
    /// Milliseconds since the epoch; 0 = for ever.
    pub keep_until_ms: i64,
    /// An operator holds it.
    pub held: bool,
}

/// Those of one series that may be released at `now_ms`, oldest first.
#[must_use]
pub fn expired(series: &[Kept], now_ms: i64) -> Vec<SnapshotId> {
    let last_good = series.iter().filter(|k| k.good).map(|k| k.number).max();
    let mut gone: Vec<&Kept> = series
        .iter()
        .filter(|k| k.keep_until_ms != 0 && k.keep_until_ms <= now_ms)
        .filter(|k| !k.held && Some(k.number) != last_good)
        .collect();
    gone.sort_by_key(|k| k.number);
    gone.iter().map(|k| k.snapshot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(number: u64, keep_until_ms: i64) -> Kept {
        Kept {
            snapshot: SnapshotId::of(&number.to_le_bytes()),
            number,
            good: true,
            keep_until_ms,
            held: false,
        }
    }

    fn numbers(series: &[Kept], now_ms: i64) -> Vec<u64> {
        let gone = expired(series, now_ms);
        gone.iter()
            .filter_map(|id| series.iter().find(|k| k.snapshot == *id).map(|k| k.number))
            .collect()
    }

    #[test]
    fn the_jobs_rule_wins_over_the_pools_and_none_means_for_ever() {
        let day = 86_400_000;
        let days = |n| Some(Period::from_days(n));
        assert_eq!(keep_until_ms(5, days(1), days(9)), 5 + day);
        assert_eq!(keep_until_ms(5, None, days(9)), 5 + 9 * day);
        assert_eq!(keep_until_ms(5, None, None), 0);
    }

    #[test]
    fn what_is_past_its_time_goes_but_never_the_last_good_one_or_a_held_one() {
        let plain = [kept(1, 10), kept(2, 20), kept(3, 30)];
        assert_eq!(numbers(&plain, 9), Vec::<u64>::new());
        assert_eq!(numbers(&plain, 20), [1, 2]);
        assert_eq!(numbers(&plain, 99), [1, 2]);
        let bad_head = [
            kept(1, 10),
            kept(2, 20),
            Kept {
                good: false,
                ..kept(3, 30)
            },
        ];
        assert_eq!(numbers(&bad_head, 99), [1, 3]);
        let held = [
            Kept {
                held: true,
                ..kept(1, 10)
            },
            kept(2, 0),
            kept(3, 30),
            kept(4, 40),
        ];
        assert_eq!(numbers(&held, 99), [3]);
    }

    proptest! {
        #[test]
        fn a_series_with_a_good_snapshot_keeps_one(
            series in proptest::collection::vec((any::<bool>(), 0i64..50, any::<bool>()), 1..20),
            now in 0i64..60,
        ) {
            let series: Vec<Kept> = series.iter().zip(1..)
                .map(|((good, until, held), n)| Kept { good: *good, held: *held, ..kept(n, *until) })
                .collect();
            let gone = expired(&series, now);
            let stays = |k: &&Kept| !gone.contains(&k.snapshot);
            if series.iter().any(|k| k.good) {
                prop_assert!(series.iter().filter(stays).any(|k| k.good));
            }
            for k in &series {
                let due = k.keep_until_ms != 0 && k.keep_until_ms <= now;
                prop_assert!(due || stays(&k));
                prop_assert!(!k.held || stays(&k));
            }
        }
    }
}
