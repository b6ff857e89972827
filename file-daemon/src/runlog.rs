//! The log of one run on this side: lines wait here until they are sent to the Director.
//!
//! Bounded: after [`MOST_WARNINGS`] warnings (and as many notices) only a count goes on, told at the end. What is counted
//! as unsaved is counted elsewhere and never bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use common::clock::now_ms;
use common::protocol::orders::{LogLine, Severity};
use parking_lot::Mutex;

/// Warning lines of one run.
pub const MOST_WARNINGS: u64 = 10_000;
/// Notices of one run.
const MOST_NOTICES: u64 = 10_000;
/// A longer line loses its middle: the path is at its beginning, the reason at its end.
const LINE_BYTES: usize = 4096;

/// Lines on their way to the Director.
#[derive(Debug, Default)]
pub struct RunLog {
    lines: Mutex<VecDeque<LogLine>>,
    notices: AtomicU64,
    warnings: AtomicU64,
}

impl RunLog {
    /// For the record, or worth knowing.
    pub fn notice(&self, text: impl AsRef<str>) {
        if self.notices.fetch_add(1, Ordering::Relaxed) < MOST_NOTICES {
            self.push(Severity::Notice, text.as_ref());
        }
    }

    /// Something was not saved or not restored.
    pub fn warning(&self, text: impl AsRef<str>) {
        if self.warnings.fetch_add(1, Ordering::Relaxed) < MOST_WARNINGS {
            self.push(Severity::Warning, text.as_ref());
        }
    }

    /// The run failed.
    pub fn error(&self, text: impl AsRef<str>) {
        self.push(Severity::Error, text.as_ref());
    }

    /// Warnings so far, told or only counted.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    /// Takes up to `most` lines in order.
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<LogLine> {
        let mut lines = self.lines.lock();
        let count = most.min(lines.len());
        lines.drain(..count).collect()
    }

    /// Says what was left out. Once, at the end of the run.
    pub fn close(&self) {
        let beyond = |count: &AtomicU64, most| count.load(Ordering::Relaxed).saturating_sub(most);
        for (left_out, what) in [
            (beyond(&self.warnings, MOST_WARNINGS), "warnings"),
            (beyond(&self.notices, MOST_NOTICES), "notices"),
        ] {
            if left_out > 0 {
                self.push(Severity::Notice, &format!("and {left_out} more {what}"));
            }
        }
    }

    fn push(&self, severity: Severity, text: &str) {
        self.lines.lock().push_back(LogLine {
            at_ms: now_ms(),
            severity: severity as i32,
            text: shortened(text),
        });
    }
}

/// At most [`LINE_BYTES`] of a line, without its middle when it is longer.
fn shortened(text: &str) -> String {
    const GAP: &str = " ... ";
    if text.len() <= LINE_BYTES {
        return text.to_owned();
    }
    let half = (LINE_BYTES - GAP.len()) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    [&text[..head], GAP, &text[tail..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_keeps_its_beginning_and_its_reason() {
        let log = RunLog::default();
        let path = "\u{e9}".repeat(LINE_BYTES);
        log.error(format!("/{path} was not restored: File name too long"));
        let line = log.take(1).remove(0).text;
        assert!(line.len() <= LINE_BYTES && line.starts_with("/\u{e9}"));
        assert!(
            line.ends_with("\u{e9} was not restored: File name too long"),
            "{line}"
        );
    }

    #[test]
    fn warnings_beyond_the_limit_are_only_counted() {
        let log = RunLog::default();
        for n in 0..MOST_WARNINGS + 5 {
            log.warning(format!("file {n}"));
        }
        log.close();
        let lines = log.take(usize::MAX);
        assert_eq!(lines.len() as u64, MOST_WARNINGS + 1);
        assert_eq!(
            lines.last().map(|l| l.text.as_str()),
            Some("and 5 more warnings")
        );
        assert_eq!(log.warnings(), MOST_WARNINGS + 5);
    }
}
