//! Why the Director could not be asked, or what it refused; each with the way out.

use std::path::PathBuf;

use common::api::problem::Problem;

/// Why the Director could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum DirectorError {
    /// There is no installation here.
    #[error(
        "{} does not exist: there is no installation here\n  `holdfast up` makes one; --root names the folder of another", path.display()
    )]
    NoAccess {
        /// `console.toml`
        path: PathBuf,
    },
    /// A file of the access cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Access {
        /// The file.
        path: PathBuf,
        /// Why, with the remedy where there is one.
        reason: String,
    },
    /// Nobody answers.
    #[error(
        "the Director at {address} does not answer: {reason}\n  `holdfast status` shows what runs on this machine, `holdfast up` starts it"
    )]
    Unreachable {
        /// Addresses tried.
        address: String,
        /// Why.
        reason: String,
    },
    /// It answered with a problem.
    #[error("{}", crate::outcome::problem_text(.0))]
    Refused(Box<Problem>),
    /// The answer is not of this API.
    #[error(
        "the answer of the Director to {request} is not understood: {reason}\n  are console and Director of one version? `holdfast --version`, `holdfast status`"
    )]
    Answer {
        /// Method and path.
        request: String,
        /// Why.
        reason: String,
    },
}

impl DirectorError {
    /// The stable code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.code),
            _ => None,
        }
    }
}
