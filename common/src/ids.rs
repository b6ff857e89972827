//! Identities as types: an object's name is a hash, a daemon's a UUID, a run's an integer operators know.
//!
//! Invariant: never a bare integer or byte array where one of these is meant; parsed at the edge, printed in one way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {text:?}")]
pub struct ParseIdError {
    /// What was expected, in glossary words.
    pub what: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
}

impl ParseIdError {
    fn new(what: &'static str, text: &str) -> Self {
        Self {
            what,
            text: text.chars().take(80).collect(),
        }
    }
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Length in bytes on wire and disk.
            pub const LEN: usize = 32;

            /// The name of these plain bytes: unkeyed BLAKE3.
            #[must_use]
            pub fn of(plain: &[u8]) -> Self {
                Self(*blake3::hash(plain).as_bytes())
            }

            /// From exactly 32 bytes of a peer or a file.
            ///
            /// # Errors
            /// When the slice has another length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, ParseIdError> {
                bytes.try_into().map(Self).map_err(|_| ParseIdError::new($what, &hex::encode(bytes)))
            }

            /// The raw bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// First 12 hex digits: enough for a log line.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..6])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = hex::decode(text).map_err(|_| ParseIdError::new($what, text))?;
                Self::from_slice(&bytes).map_err(|_| ParseIdError::new($what, text))
            }
        }
    };
}

hash_id!(
    /// Names a chunk: BLAKE3 of its plain bytes.
    ChunkId, "chunk id");
hash_id!(
    /// Names a page: BLAKE3 of its encoded bytes.
    PageId, "page id");
hash_id!(
    /// Names a snapshot: BLAKE3 of its encoded bytes.
    SnapshotId, "snapshot id");

impl From<PageId> for ChunkId {
    /// Chunks and pages live in one name space of the store: both are content named by its hash.
    fn from(page: PageId) -> Self {
        Self(page.0)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.parse().map(Self).map_err(|_| ParseIdError::new($what, text))
            }
        }
    };
}

number_id!(
    /// One execution of a job: counted up per installation, the number operators see everywhere.
    JobId, "JobId");
number_id!(
    /// A fencing number from the catalog: daemons refuse orders and tickets of a lower term.
    Term, "term");
number_id!(
    /// One backup session on a Storage Daemon: unique for ever within that daemon, counted up.
    SessionId, "session id");

/// What a certificate lets its holder be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Schedules, keeps the catalog, signs tickets.
    Director,
    /// Writes and reads volumes.
    Storage,
    /// Reads and restores files of one machine.
    File,
}

impl Role {
    /// The label in certificates' DNS names: `<uuid>.<label>.holdfast`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Storage => "storage",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Director => "Director",
            Self::Storage => "Storage Daemon",
            Self::File => "File Daemon",
        })
    }
}

impl FromStr for Role {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text {
            "director" => Ok(Self::Director),
            "storage" => Ok(Self::Storage),
            "file" => Ok(Self::File),
            _ => Err(ParseIdError::new("role", text)),
        }
    }
}

/// Who a daemon is, for ever: role and UUID from its certificate. Its name is only a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// What it may be.
    pub role: Role,
    /// Which one.
    pub id: Uuid,
}

impl Identity {
    /// The DNS name its certificate carries and its peers dial it by.
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("{}.{}.holdfast", self.id, self.role.label())
    }

    /// Reads [`Identity::dns_name`] back.
    ///
    /// # Errors
    /// When the text is not such a name.
    pub fn from_dns_name(text: &str) -> Result<Self, ParseIdError> {
        let err = || ParseIdError::new("daemon name in a certificate", text);
        let mut parts = text.split('.');
        let (Some(id), Some(role), Some("holdfast"), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(err());
        };
        Ok(Self {
            role: role.parse().map_err(|_| err())?,
            id: id.parse().map_err(|_| err())?,
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_round_trip_and_refuse_others() {
        let me = Identity {
            role: Role::Storage,
            id: Uuid::from_u128(7),
        };
        assert_eq!(Identity::from_dns_name(&me.dns_name()).unwrap(), me);
        for bad in [
            "",
            "x.storage.holdfast",
            "00000000-0000-0000-0000-000000000007.admin.holdfast",
            "a.b",
            "localhost",
        ] {
            assert!(Identity::from_dns_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hash_ids_print_and_parse() {
        let id = ChunkId::of(b"x");
        assert_eq!(id.to_string().parse::<ChunkId>().unwrap(), id);
        assert!("zz".parse::<ChunkId>().is_err());
        assert!(ChunkId::from_slice(&[0; 31]).is_err());
    }
}
