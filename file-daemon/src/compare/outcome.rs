//! What a comparison found: counts by kind of difference and a bounded list of paths.

use std::collections::BTreeMap;

use common::name::Shown;
use common::object::snapshot::Counts;
use common::protocol::fault::Fault;

use super::difference::Difference;
use crate::restore::Status;

/// Most paths named.
pub const MOST_PATHS: usize = 1000;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Entries compared.
    pub compared: u64,
    /// Entries that differ in nothing.
    pub identical: u64,
    /// Files among those compared.
    pub files: u64,
    /// Directories among those compared.
    pub directories: u64,
    /// Content bytes read and hashed.
    pub read_bytes: u64,
    /// How often each difference was found.
    pub by_kind: BTreeMap<Difference, u64>,
    /// The first differing paths, below the compared folder.
    pub paths: Vec<(Vec<u8>, Vec<Difference>)>,
}

impl Findings {
    /// Notes the result for one entry.
    pub fn note(&mut self, path: impl FnOnce() -> Vec<u8>, differences: Vec<Difference>) {
        self.compared += 1;
        if differences.is_empty() {
            self.identical += 1;
            return;
        }
        for what in &differences {
            *self.by_kind.entry(*what).or_default() += 1;
        }
        if self.paths.len() < MOST_PATHS {
            self.paths.push((path(), differences));
        }
    }

    /// `N of M identical`, with what differs.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!("{} of {} identical", self.identical, self.compared);
        for (n, (what, count)) in self.by_kind.iter().enumerate() {
            let glue = if n == 0 { "; differences: " } else { ", " };
            text.push_str(&format!("{glue}{} {count}", what.word()));
        }
        text
    }

    /// One line per differing path.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |(path, what): &(Vec<u8>, Vec<Difference>)| {
            let words: Vec<&str> = what.iter().map(|d| d.word()).collect();
            format!("{} differs: {}", Shown(path), words.join(", "))
        };
        self.paths.iter().map(line).collect()
    }
}

/// How a comparison ended.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareOutcome {
    /// `Ok` = all identical, `Warnings` = something differs, `Error` = it could not be finished.
    pub status: Status,
    /// What was found.
    pub findings: Findings,
    /// Why, when it is an error.
    pub fault: Option<Fault>,
}

impl CompareOutcome {
    /// As the end of a run tells it: `unsaved` = differing entries.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            entries: self.findings.compared,
            files: self.findings.files,
            directories: self.findings.directories,
            read_bytes: self.findings.read_bytes,
            unsaved: self
                .findings
                .compared
                .saturating_sub(self.findings.identical),
            ..Counts::default()
        }
    }
}
