//! How a command ends: exit code 0 ok, 1 warnings, 2 error; and every reason for 2, with the remedy.
//!
//! Invariant: what a person reads says object, operation and what to do now.

use std::io;
use std::process::ExitCode;

use common::api::problem::Problem;
use common::api::runs::RunStatus;

use crate::director::DirectorError;
use crate::machine::MachineError;
use crate::typed::TypedError;

/// How well it went; the graver wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Outcome {
    /// Everything as asked.
    #[default]
    Ok,
    /// Done, with something a person should look at.
    Warnings,
    /// Not done.
    Error,
}

impl Outcome {
    /// What the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warnings => 1,
            Self::Error => 2,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

impl From<RunStatus> for Outcome {
    /// A run that is not over was not waited for: ok so far.
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Warnings => Self::Warnings,
            RunStatus::Error | RunStatus::Canceled | RunStatus::Incomplete => Self::Error,
            RunStatus::Queued
            | RunStatus::Waiting
            | RunStatus::Running
            | RunStatus::Committing
            | RunStatus::Ok => Self::Ok,
        }
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Something typed could not be understood.
    #[error(transparent)]
    Typed(#[from] TypedError),
    /// The Director could not be asked, or refused.
    #[error(transparent)]
    Director(#[from] DirectorError),
    /// A daemon of this machine.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The answer is known and is no.
    #[error("{0}")]
    Refused(String),
    /// Standard output is gone or full.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// The answer could not be shown as JSON.
    #[error("cannot write the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CommandError {
    /// Whether whoever read our output has just left (`holdfast runs | head`): no error for anybody.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }

    /// As `{"error": ...}` for `--json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        if let Self::Director(DirectorError::Refused(problem)) = self {
            return serde_json::json!({ "error": problem });
        }
        serde_json::json!({ "error": { "title": "not done", "detail": self.to_string(), "code": "console" } })
    }
}

/// A problem as a person reads it: title, detail, findings, remedy.
#[must_use]
pub fn problem_text(problem: &Problem) -> String {
    use std::fmt::Write;
    let mut text = problem.title.clone();
    if !problem.detail.is_empty() && problem.detail != problem.title {
        let _ = write!(text, ": {}", problem.detail);
    }
    for finding in &problem.errors {
        let _ = write!(text, "\n  {}: {}", finding.place, finding.message);
        if !finding.remedy.is_empty() {
            let _ = write!(text, "\n    {}", finding.remedy);
        }
    }
    if !problem.remedy.is_empty() {
        let _ = write!(text, "\n  {}", problem.remedy);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_status_of_a_run() {
        for (status, code) in [
            (RunStatus::Ok, 0),
            (RunStatus::Warnings, 1),
            (RunStatus::Error, 2),
            (RunStatus::Canceled, 2),
            (RunStatus::Incomplete, 2),
        ] {
            assert_eq!(Outcome::from(status).code(), code, "{status}");
        }
        assert_eq!(
            Outcome::Ok.max(Outcome::Error).max(Outcome::Warnings),
            Outcome::Error
        );
    }

    #[test]
    fn a_problem_ends_with_what_to_do() {
        let problem = Problem::new(
            404,
            "not-found",
            "no such job",
            "job nightli is not configured",
        )
        .remedy("`holdfast jobs` lists the jobs");
        assert_eq!(
            problem_text(&problem),
            "no such job: job nightli is not configured\n  `holdfast jobs` lists the jobs"
        );
    }
}
