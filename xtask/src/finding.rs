//! What a check has to say: place, what is wrong there, and what to do about it.
//! A finding without a remedy does not exist.

use std::fmt;
use std::path::{Path, PathBuf};

/// One deviation from the house rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: PathBuf,
    /// Counted from 1.
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    /// `path` relative to the root of the project, `line` counted from 1.
    pub fn new(
        path: &Path,
        line: usize,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A compared tree may hold names that would play with the terminal.
        let path: String = self.path.display().to_string().escape_debug().collect();
        write!(
            f,
            "{path}:{}: {}\n    -> {}",
            self.line, self.what, self.remedy
        )
    }
}

/// All findings of one command, and facts worth a line at the end.
#[derive(Debug, Default)]
pub struct Report {
    name: &'static str,
    findings: Vec<Finding>,
    facts: Vec<String>,
}

impl Report {
    /// An empty report of the command `name`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Adds what a check found.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Adds a fact to the last line: "12 promises shown".
    pub fn fact(&mut self, fact: String) {
        self.facts.push(fact);
    }

    /// True when nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// By path and line, each once.
    pub fn sorted(&self) -> Vec<Finding> {
        let mut all = self.findings.clone();
        all.sort();
        all.dedup();
        all
    }

    /// The last line of the command.
    pub fn summary(&self) -> String {
        let verdict = match self.sorted().len() {
            0 => "nothing to complain of".to_owned(),
            1 => "1 finding".to_owned(),
            n => format!("{n} findings"),
        };
        format!("{}: {verdict} ({})", self.name, self.facts.join(", "))
    }
}
