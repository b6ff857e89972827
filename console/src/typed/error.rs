//! Why something typed was not understood, with what can be typed instead.

/// Why a text was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// No point in time.
    #[error(
        "{text:?} is no point in time\n  type a JobId (17), a time (\"2026-11-20 10:00\", 2026-11-20T10:00+01:00, 10:00), a day (2026-11-20, yesterday) or an age (\"3h ago\")"
    )]
    Time {
        /// As typed.
        text: String,
    },
    /// A path that cannot be.
    #[error("{text:?} is no absolute path: {why}\n  type client:/path, or /path")]
    Path {
        /// As typed, escaped.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A zone the system does not know.
    #[error(
        "the time zone {zone:?} of the Director is not known on this machine\n  type the time with its offset, e.g. 2026-11-20T10:00+01:00"
    )]
    Zone {
        /// Its name.
        zone: String,
    },
}
