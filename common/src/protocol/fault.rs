//! Fault: how one daemon tells another that something cannot be done. A stable code, words for people, and whether
//! trying again can help.

use prost::Message;

/// Stable codes. Texts may change, these never do.
pub mod code {
    /// Message type or order not known to this version.
    pub const UNKNOWN: &str = "unknown-message";
    /// Bytes that are not a valid message.
    pub const MALFORMED: &str = "malformed";
    /// A message that makes no sense in this state.
    pub const OUT_OF_ORDER: &str = "out-of-order";
    /// Not allowed for this certificate or ticket.
    pub const REFUSED: &str = "refused";
    /// Ticket expired, wrongly signed, of a lower term, or for someone else.
    pub const TICKET: &str = "ticket";
    /// Content does not match its name.
    pub const CORRUPT: &str = "corrupt";
    /// A page names something that is not present.
    pub const MISSING: &str = "missing";
    /// No space, or another limit of the storage.
    pub const FULL: &str = "storage-full";
    /// Storage failed: I/O error.
    pub const STORAGE: &str = "storage-error";
    /// A command of a FileSet failed.
    pub const COMMAND: &str = "command-failed";
    /// The run was canceled.
    pub const CANCELED: &str = "canceled";
    /// Protocol major too far apart.
    pub const VERSION: &str = "version";
    /// Too many of something; later.
    pub const BUSY: &str = "busy";
    /// The thing asked for does not exist.
    pub const NOT_FOUND: &str = "not-found";
    /// A defect or an unexpected state.
    pub const INTERNAL: &str = "internal";
}

/// Something could not be done.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Fault {
    /// One of [`code`].
    #[prost(string, tag = "1")]
    pub code: String,
    /// Object, operation and remedy, in words.
    #[prost(string, tag = "2")]
    pub text: String,
    /// Whether the same request may succeed later.
    #[prost(bool, tag = "3")]
    pub retry: bool,
}

impl Fault {
    /// A fault that trying again does not mend.
    #[must_use]
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            text: text.into(),
            retry: false,
        }
    }

    /// A fault that may pass.
    #[must_use]
    pub fn passing(code: &str, text: impl Into<String>) -> Self {
        Self {
            retry: true,
            ..Self::new(code, text)
        }
    }
}

impl std::fmt::Display for FaultText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.0.text, self.0.code)
    }
}

/// Shows a fault as `text (code)`.
pub struct FaultText<'a>(pub &'a Fault);
