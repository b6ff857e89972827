//! Why a run cannot go on: the storage side. A different type than [`crate::backup::source::SourceError`], so that "one
//! file unread" and "nothing can be stored" are never taken for each other.

use std::sync::Arc;

use common::protocol::fault::{Fault, code};

/// The storage cannot take or give what the run needs. Cheap to clone: every stage of the pipeline ends with it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SinkError {
    /// No address of the Storage Daemon could be reached, or the connection broke: the run can be resumed.
    #[error("storage {storage} lost: {reason}")]
    Lost {
        /// Its label.
        storage: String,
        /// What happened, with the whole chain.
        reason: String,
    },
    /// The Storage Daemon refused.
    #[error("storage refused: {} ({})", .0.text, .0.code)]
    Refused(Arc<Fault>),
    /// It said something that makes no sense here.
    #[error("storage answered {got} where {expected} belongs")]
    Protocol {
        /// What came.
        got: String,
        /// What should have come.
        expected: &'static str,
    },
    /// A page of the base that was there before is gone.
    #[error(
        "page {page} of the base is gone from state and storage; the next run will read its files again"
    )]
    BaseLost {
        /// Which page, shortened.
        page: String,
    },
    /// The order to stop came.
    #[error("canceled")]
    Canceled,
    /// A thread of the pipeline ended without saying why.
    #[error("a stage of the pipeline ended early: {0}")]
    Stage(&'static str),
}

impl SinkError {
    /// The outcome of a run that ended with this.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "incomplete",
            Self::Canceled => "canceled",
            Self::Refused(fault) if fault.code == code::CANCELED => "canceled",
            // Trying again at once changes nothing: somebody has to make room.
            Self::Refused(fault) if fault.code == code::FULL => "error",
            Self::Refused(fault) if fault.retry => "incomplete",
            _ => "error",
        }
    }

    /// As told to the Director.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(fault) => fault.as_ref().clone(),
            Self::Canceled => Fault::new(code::CANCELED, "canceled"),
            Self::Lost { .. } => Fault::passing(code::STORAGE, self.to_string()),
            Self::Protocol { .. } => Fault::new(code::MALFORMED, self.to_string()),
            Self::BaseLost { .. } => Fault::passing(code::MISSING, self.to_string()),
            Self::Stage(_) => Fault::new(code::INTERNAL, self.to_string()),
        }
    }
}
