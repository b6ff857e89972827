//! The words of the catalog as enums: what a run is, where it stands, what became of a snapshot.
//!
//! Stored as lower-case text, so that a person with `psql` reads what the console shows.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
        #[serde(rename_all = "lowercase")]
        #[sqlx(type_name = "text", rename_all = "lowercase")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { what: stringify!($name), word: text.chars().take(40).collect() }),
                }
            }
        }
    };
}

/// A word this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {word:?}")]
pub struct UnknownWord {
    /// The kind of word.
    pub what: &'static str,
    /// As given, cut to 40 characters.
    pub word: String,
}

words! {
    /// What a run does.
    RunKind {
        /// Client to storage.
        Backup = "backup",
        /// Storage to client.
        Restore = "restore",
        /// Stored bytes against their names, or a snapshot against the client's disk.
        Verify = "verify",
        /// Storage to storage.
        Copy = "copy",
        /// Work of the Director itself: prune, reclaim, rebuild.
        Admin = "admin",
    }
}

words! {
    /// How much a backup reads.
    Level {
        /// Every file is read.
        Full = "full",
        /// What changed since the last Full.
        Differential = "differential",
        /// What changed since the last backup.
        Incremental = "incremental",
    }
}

words! {
    /// Where a run stands.
    RunState {
        /// Its time has not come or nobody has looked at it.
        Queued = "queued",
        /// Something holds it: the reason stands beside it.
        Waiting = "waiting",
        /// Daemons work on it.
        Running = "running",
        /// Storage has it; the catalog follows.
        Committing = "committing",
        /// Done, everything saved.
        Ok = "ok",
        /// Done, with files not saved.
        Warnings = "warnings",
        /// Failed.
        Error = "error",
        /// Stopped by somebody.
        Canceled = "canceled",
        /// Interrupted; can be resumed.
        Incomplete = "incomplete",
    }
}

impl RunState {
    /// Those that a run leaves again.
    pub const UNFINISHED: &'static [Self] =
        &[Self::Queued, Self::Waiting, Self::Running, Self::Committing];

    /// Whether the run is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        !Self::UNFINISHED.contains(&self)
    }

    /// Whether the run's snapshot can be restored and can be a base.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Ok | Self::Warnings)
    }
}

words! {
    /// Who asked for a run.
    Origin {
        /// A schedule; `origin_name` is its name.
        Schedule = "schedule",
        /// A person; `origin_name` is theirs.
        User = "user",
        /// The Director itself: rescheduled, or follows another run.
        Director = "director",
    }
}

words! {
    /// What a snapshot or a copy is good for.
    SnapshotState {
        /// Restores, and serves as base.
        Good = "good",
        /// Reaches damage: never a base, restores in part.
        Broken = "broken",
        /// Given up: its space may be reclaimed.
        Released = "released",
    }
}
