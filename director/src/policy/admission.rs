//! Which waiting runs may start: limits per Director, client, series and storage.
//!
//! Restores stand outside the limits: they never queue behind backups. A run that cannot start holds nobody else up:
//! the queue is looked at in order, and each run that fits goes. A run that waits is told which limit holds it.

use std::collections::HashMap;
use std::fmt;

use common::ids::JobId;

/// How many backups may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In the whole installation.
    pub director: usize,
    /// On one client.
    pub client: usize,
    /// To one Storage Daemon.
    pub storage: usize,
}

/// What a run does, as far as the limits care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts everywhere.
    Backup,
    /// Counts nowhere.
    Restore,
}

/// A run as the limits see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub job_id: JobId,
    /// What it does.
    pub kind: Kind,
    /// On which client.
    pub client: String,
    /// To which Storage Daemon.
    pub storage: String,
    /// In which series (job and client); one run at a time has the series.
    pub series: String,
}

/// The limit that holds a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The Director's.
    Director(usize),
    /// The client's.
    Client(String, usize),
    /// The Storage Daemon's.
    Storage(String, usize),
    /// Another run of the same series.
    Series(JobId),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Director(n) => write!(f, "the Director's limit of {n} runs is reached"),
            Self::Client(name, n) => write!(f, "client {name} is at its limit of {n} runs"),
            Self::Storage(name, n) => write!(f, "storage {name} is at its limit of {n} runs"),
            Self::Series(job_id) => {
                write!(f, "run {job_id} of the same job and client is not over")
            }
        }
    }
}

/// Runs that hold places, counted as each limit counts.
#[derive(Default)]
struct Used {
    total: usize,
    client: HashMap<String, usize>,
    storage: HashMap<String, usize>,
    series: HashMap<String, JobId>,
}

impl Used {
    fn take(&mut self, run: &Candidate) {
        if run.kind == Kind::Restore {
            return;
        }
        self.total += 1;
        *self.client.entry(run.client.clone()).or_default() += 1;
        *self.storage.entry(run.storage.clone()).or_default() += 1;
        self.series.insert(run.series.clone(), run.job_id);
    }

    fn held(&self, run: &Candidate, limits: &Limits) -> Option<Held> {
        let count = |map: &HashMap<String, usize>, name: &str| map.get(name).copied().unwrap_or(0);
        if run.kind == Kind::Restore {
            None
        } else if let Some(other) = self.series.get(&run.series) {
            Some(Held::Series(*other))
        } else if count(&self.client, &run.client) >= limits.client {
            Some(Held::Client(run.client.clone(), limits.client))
        } else if count(&self.storage, &run.storage) >= limits.storage {
            Some(Held::Storage(run.storage.clone(), limits.storage))
        } else if self.total >= limits.director {
            Some(Held::Director(limits.director))
        } else {
            None
        }
    }
}

/// For each waiting run, in order: `None` = start it, else what holds it.
#[must_use]
pub fn admit(
    waiting: &[Candidate],
    running: &[Candidate],
    limits: &Limits,
) -> Vec<(JobId, Option<Held>)> {
    let mut used = Used::default();
    running.iter().for_each(|run| used.take(run));
    waiting
        .iter()
        .map(|run| {
            let held = used.held(run, limits);
            if held.is_none() {
                used.take(run);
            }
            (run.job_id, held)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(job_id: u64, client: &str, storage: &str, series: u128) -> Candidate {
        Candidate {
            job_id: JobId(job_id),
            kind: Kind::Backup,
            client: client.to_owned(),
            storage: storage.to_owned(),
            series: series.to_string(),
        }
    }

    const TIGHT: Limits = Limits {
        director: 3,
        client: 2,
        storage: 2,
    };

    #[test]
    fn each_limit_is_named_and_nobody_waits_behind_a_held_run() {
        let running = [run(1, "a", "s", 1)];
        let waiting = [
            run(2, "a", "s", 1), // the series is busy
            run(3, "a", "s", 2), // fits
            run(4, "a", "t", 3), // client a has two
            run(5, "b", "s", 4), // storage s has two
            run(6, "b", "t", 5), // fits: the third in all
            run(7, "c", "t", 6), // the Director has three
        ];
        let held: Vec<Option<Held>> = admit(&waiting, &running, &TIGHT)
            .into_iter()
            .map(|d| d.1)
            .collect();
        assert_eq!(
            held,
            [
                Some(Held::Series(JobId(1))),
                None,
                Some(Held::Client("a".into(), 2)),
                Some(Held::Storage("s".into(), 2)),
                None,
                Some(Held::Director(3)),
            ]
        );
        assert_eq!(
            Held::Client("a".into(), 2).to_string(),
            "client a is at its limit of 2 runs"
        );
    }

    #[test]
    fn restores_go_at_once_and_take_no_place() {
        let restore = Candidate {
            kind: Kind::Restore,
            ..run(9, "a", "s", 1)
        };
        let full = [
            run(1, "a", "s", 1),
            run(2, "a", "s", 2),
            run(3, "b", "t", 3),
        ];
        assert_eq!(
            admit(std::slice::from_ref(&restore), &full, &TIGHT),
            [(JobId(9), None)]
        );
        let decision = admit(&[run(4, "c", "u", 9)], &[restore.clone(), restore], &TIGHT);
        assert_eq!(decision, [(JobId(4), None)]);
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_exceeded_and_a_free_place_never_idle(
            runs in proptest::collection::vec((0..3u8, 0..3u8, 0..6u128), 0..20),
        ) {
            let waiting: Vec<Candidate> = runs.iter().zip(1..)
                .map(|((c, s, series), id)| run(id, &c.to_string(), &s.to_string(), *series))
                .collect();
            let decided = admit(&waiting, &[], &TIGHT);
            let started: Vec<&Candidate> = waiting.iter().zip(&decided)
                .filter(|(_, d)| d.1.is_none()).map(|(w, _)| w).collect();
            prop_assert!(started.len() <= TIGHT.director);
            for run in &started {
                prop_assert!(started.iter().filter(|o| o.client == run.client).count() <= TIGHT.client);
                prop_assert!(started.iter().filter(|o| o.storage == run.storage).count() <= TIGHT.storage);
                prop_assert_eq!(started.iter().filter(|o| o.series == run.series).count(), 1);
            }
            prop_assert_eq!(waiting.is_empty(), started.is_empty());
        }
    }
}
