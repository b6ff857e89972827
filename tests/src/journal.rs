//! The daemons' own logs: nothing unexpected, no panic, no secret.
//!
//! A test that provokes a warning names its text; every other WARN or ERROR fails it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Words that no healthy program says.
const NEVER: [&str; 5] = [
    "panicked at",
    "RUST_BACKTRACE",
    "overflow",
    "BEGIN PRIVATE KEY",
    "BEGIN EC PRIVATE",
];
/// What stands before each line of a level.
const LEVELS: [&str; 2] = [" WARN ", " ERROR "];

/// Reads the logs of one installation on and on.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    read: HashMap<PathBuf, usize>,
}

impl Journal {
    /// Of the installation in `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            folder: root.join("log"),
            read: HashMap::new(),
        }
    }

    /// All lines since the last call, each with the name of its log.
    pub fn news(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return lines;
        };
        for path in entries.flatten().map(|e| e.path()) {
            let text =
                String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            let read = self.read.entry(path.clone()).or_default();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let fresh = text.get(*read..).unwrap_or_default();
            lines.extend(fresh.lines().map(|line| format!("{name}: {line}")));
            *read = text.len();
        }
        lines
    }

    /// Reads what is new and ends the test when something in it was not expected.
    ///
    /// # Panics
    /// With all lines that were not.
    #[track_caller]
    pub fn check(&mut self, expected: &[&str], secrets: &[String]) {
        let wrong = unexpected(&self.news(), expected, secrets);
        assert!(
            wrong.is_empty(),
            "unexpected in the logs:\n  {}",
            wrong.join("\n  ")
        );
    }
}

fn unexpected(lines: &[String], expected: &[&str], secrets: &[String]) -> Vec<String> {
    let wrong = |line: &&String| {
        let is_listed = expected.iter().any(|text| line.contains(text));
        let is_loud = LEVELS.iter().any(|level| line.contains(level));
        // PostgreSQL's log has its own levels and speaks of overflow in words of its own.
        let is_postgres = line.starts_with("postgres");
        let is_never = !is_postgres && NEVER.iter().any(|word| line.contains(word));
        (is_loud && !is_listed)
            || is_never
            || secrets.iter().any(|secret| line.contains(secret.as_str()))
    };
    lines.iter().filter(wrong).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_lines_panics_and_secrets_are_unexpected() {
        let lines = [
            "director.log: 2026-01-01T00:00:00Z  INFO ready",
            "director.log: 2026-01-01T00:00:00Z  WARN known trouble",
            "director.log: 2026-01-01T00:00:00Z  WARN other trouble",
            "storage.log: thread 'main' panicked at src/main.rs:1",
            "client.log: 2026-01-01T00:00:00Z  INFO token hf1-abc",
        ]
        .map(String::from);
        let found = unexpected(&lines, &["known trouble"], &["hf1-abc".to_owned()]);
        assert_eq!(found, lines[2..]);
    }
}
