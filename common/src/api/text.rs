//! Paths and names in JSON: text that is safe to show and reads back to the exact bytes.
//!
//! Invariant: what [`PathText::from_bytes`] makes holds no control byte, and [`PathText::to_bytes`] gives the bytes back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{Shown, unescape};

/// A path or name in the escaped form: UTF-8 as it is, `\\` for a backslash, `\xNN` for any other byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathText(pub String);

impl PathText {
    /// Shows bytes.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Self {
        Self(Shown(raw).to_string())
    }

    /// The bytes.
    ///
    /// # Errors
    /// Offset of a backslash that starts neither `\\` nor `\xNN`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, usize> {
        unescape(&self.0)
    }

    /// Hex of the bytes when the text is not literally them (so that scripts need no unescaping), else nothing.
    #[must_use]
    pub fn hex_of(raw: &[u8]) -> Option<String> {
        (Shown(raw).to_string().as_bytes() != raw).then(|| hex::encode(raw))
    }
}

impl fmt::Display for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
}

impl EntryKind {
    /// The letter of `ls -l`.
    #[must_use]
    pub fn letter(self) -> char {
        crate::object::entry::Kind::from(self).letter()
    }
}

impl From<crate::object::entry::Kind> for EntryKind {
    fn from(kind: crate::object::entry::Kind) -> Self {
        use crate::object::entry::Kind;
        match kind {
            Kind::File => Self::File,
            Kind::Directory => Self::Directory,
            Kind::Symlink => Self::Symlink,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
            Kind::CharDevice => Self::CharDevice,
            Kind::BlockDevice => Self::BlockDevice,
        }
    }
}

impl From<EntryKind> for crate::object::entry::Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::File,
            EntryKind::Directory => Self::Directory,
            EntryKind::Symlink => Self::Symlink,
            EntryKind::Fifo => Self::Fifo,
            EntryKind::Socket => Self::Socket,
            EntryKind::CharDevice => Self::CharDevice,
            EntryKind::BlockDevice => Self::BlockDevice,
        }
    }
}
