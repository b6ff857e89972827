//! Which level a run gets, and against which snapshot it reads.
//!
//! Every snapshot is whole, so the level only decides what is *read* from the client: a Full reads every file, the
//! others reuse entries that did not change since their base. [`newest_good`] is the ONE function that finds a base:
//! level choice, scanning and tickets all use its answer, so they can never disagree.
//! Never is a run without success, or a damaged snapshot, a base.

use common::api::runs::Level;
use common::ids::{JobId, PageId, SnapshotId};

/// What is known of a snapshot of the series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub snapshot: SnapshotId,
    /// Its tree.
    pub root: PageId,
    /// Place in the series, from 1.
    pub number: u64,
    /// The run that stored it.
    pub job_id: JobId,
    /// Level it was run with.
    pub level: Level,
    /// FileSet text it was run with.
    pub fileset: String,
    /// Its run ended ok or with warnings, it is neither damaged nor released, and lies on the run's Storage Daemon.
    pub good: bool,
}

/// Level and base of a run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The level that is run.
    pub level: Level,
    /// Why this one, in words for the log.
    pub reason: String,
    /// Snapshot to compare with; a Full has one too, to know what was deleted and to keep ids.
    pub base: Option<Known>,
}

/// The newest good snapshot of a series; with `Some(level)` the newest good one of that level.
#[must_use]
pub fn newest_good(series: &[Known], level: Option<Level>) -> Option<&Known> {
    series
        .iter()
        .filter(|k| k.good && level.is_none_or(|wanted| k.level == wanted))
        .max_by_key(|k| k.number)
}

/// Decides level and base of the next run of a series.
#[must_use]
pub fn plan(asked: Level, fileset: &str, series: &[Known]) -> Plan {
    let newest = newest_good(series, None);
    let full = newest_good(series, Some(Level::Full));
    let as_full = |reason: String| Plan {
        level: Level::Full,
        reason,
        base: newest.cloned(),
    };
    let Some(newest) = newest else {
        return as_full(match asked {
            Level::Full => "full was asked for".to_owned(),
            _ => format!("upgraded from {asked}: the series has no good snapshot yet"),
        });
    };
    if asked == Level::Full {
        return as_full("full was asked for".to_owned());
    }
    let Some(full) = full else {
        return as_full(format!(
            "upgraded from {asked}: the series has no good full"
        ));
    };
    if newest.fileset != fileset {
        return as_full(format!(
            "upgraded from {asked}: the FileSet changed since run {}",
            newest.job_id
        ));
    }
    let base = if asked == Level::Differential {
        full
    } else {
        newest
    };
    if base.fileset != fileset {
        return as_full(format!(
            "upgraded from {asked}: the FileSet changed since the full of run {}",
            base.job_id
        ));
    }
    Plan {
        level: asked,
        reason: format!("{asked} since run {}", base.job_id),
        base: Some(base.clone()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(number: u64, level: Level, good: bool, fileset: &str) -> Known {
        Known {
            snapshot: SnapshotId::of(&number.to_le_bytes()),
            root: PageId::of(&number.to_le_bytes()),
            number,
            job_id: JobId(100 + number),
            level,
            fileset: fileset.to_owned(),
            good,
        }
    }

    #[test]
    fn level_and_base_follow_the_table() {
        use Level::{Differential as D, Full as F, Incremental as I};
        const GOOD: bool = true;
        const BAD: bool = false;
        type Row = (
            Level,
            &'static [(Level, bool, &'static str)],
            Level,
            Option<u64>,
            &'static str,
        );
        // Asked, series as (level, good, FileSet), level, number of the base, word of the reason.
        const TABLE: &[Row] = &[
            (I, &[], F, None, "no good snapshot"),
            (F, &[], F, None, "asked for"),
            (D, &[], F, None, "upgraded from differential"),
            (I, &[(F, BAD, "a")], F, None, "no good snapshot"),
            (I, &[(F, GOOD, "a")], I, Some(1), "since run 101"),
            (
                I,
                &[(F, GOOD, "a"), (I, GOOD, "a")],
                I,
                Some(2),
                "since run 102",
            ),
            (
                I,
                &[(F, GOOD, "a"), (I, BAD, "a")],
                I,
                Some(1),
                "since run 101",
            ),
            (
                I,
                &[(F, GOOD, "a"), (D, GOOD, "a"), (I, BAD, "a")],
                I,
                Some(2),
                "since run 102",
            ),
            (
                D,
                &[(F, GOOD, "a"), (I, GOOD, "a")],
                D,
                Some(1),
                "since run 101",
            ),
            (
                D,
                &[(F, GOOD, "a"), (F, GOOD, "a"), (I, GOOD, "a")],
                D,
                Some(2),
                "since run 102",
            ),
            (
                D,
                &[(F, GOOD, "a"), (F, BAD, "a")],
                D,
                Some(1),
                "since run 101",
            ),
            (
                F,
                &[(F, GOOD, "a"), (I, GOOD, "a")],
                F,
                Some(2),
                "asked for",
            ),
            (I, &[(F, GOOD, "b")], F, Some(1), "FileSet changed"),
            (
                D,
                &[(F, GOOD, "b"), (I, GOOD, "a")],
                F,
                Some(2),
                "FileSet changed since the full",
            ),
            (
                I,
                &[(F, BAD, "a"), (I, GOOD, "a")],
                F,
                Some(2),
                "no good full",
            ),
        ];
        for (asked, series, level, base, reason) in TABLE {
            let series: Vec<Known> = series
                .iter()
                .zip(1..)
                .map(|((level, good, fileset), n)| known(n, *level, *good, fileset))
                .collect();
            let plan = plan(*asked, "a", &series);
            assert_eq!(plan.level, *level, "{asked} {series:?}");
            assert_eq!(plan.base.map(|b| b.number), *base, "{asked} {series:?}");
            assert!(
                plan.reason.contains(reason),
                "{} has no {reason}",
                plan.reason
            );
        }
    }

    proptest! {
        #[test]
        fn a_base_is_always_good_and_of_the_same_fileset_unless_full(
            series in proptest::collection::vec((0..3u8, any::<bool>(), any::<bool>()), 0..12),
            asked in 0..3u8,
        ) {
            let level = |n| [Level::Full, Level::Differential, Level::Incremental][usize::from(n)];
            let series: Vec<Known> = series.iter().zip(1..)
                .map(|((l, good, same), n)| known(n, level(*l), *good, if *same { "a" } else { "b" }))
                .collect();
            let plan = plan(level(asked), "a", &series);
            prop_assert!(plan.level == level(asked) || plan.level == Level::Full);
            prop_assert!(!plan.reason.is_empty());
            match &plan.base {
                None => prop_assert!(plan.level == Level::Full && series.iter().all(|k| !k.good)),
                Some(base) => {
                    prop_assert!(base.good);
                    prop_assert!(plan.level == Level::Full || base.fileset == "a");
                    prop_assert!(plan.level != Level::Differential || base.level == Level::Full);
                }
            }
        }
    }
}
