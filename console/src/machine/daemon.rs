//! The three daemons: names, programs, order.

use common::ids::Role;

use crate::arguments::Only;

/// A daemon of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// Director with the catalog.
    Director,
    /// Storage Daemon.
    Storage,
    /// File Daemon.
    Client,
}

impl Daemon {
    /// In the order of starting.
    pub const ALL: [Self; 3] = [Self::Director, Self::Storage, Self::Client];

    /// Those that `--only` leaves.
    #[must_use]
    pub fn chosen(only: Option<Only>) -> Vec<Self> {
        match only {
            None => Self::ALL.to_vec(),
            Some(Only::Director) => vec![Self::Director],
            Some(Only::Storage) => vec![Self::Storage],
            Some(Only::Client) => vec![Self::Client],
        }
    }

    /// As the glossary says.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Director => "Director",
            Self::Storage => "Storage Daemon",
            Self::Client => "File Daemon",
        }
    }

    /// Name of its folder, log and pid file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Storage => "storage",
            Self::Client => "client",
        }
    }

    /// Its program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Director => "holdfast-director",
            Self::Storage => "holdfast-storaged",
            Self::Client => "holdfast-filed",
        }
    }

    /// Its role in certificates and tokens.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Director => Role::Director,
            Self::Storage => Role::Storage,
            Self::Client => Role::File,
        }
    }
}
