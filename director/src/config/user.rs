//! `[user.NAME]`: people and programs that use the API. Their tokens are in the catalog.

use serde::Deserialize;

use super::context::Context;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiRole {
    /// Look.
    Viewer,
    /// Look, start and cancel runs, restore.
    Operator,
    /// Everything.
    Admin,
}

impl ApiRole {
    /// The word in configuration and catalog.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads [`ApiRole::word`]; an unknown word is the least power.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "admin" => Self::Admin,
            "operator" => Self::Operator,
            _ => Self::Viewer,
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they may do.
    pub role: ApiRole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UserTable {
    role: Option<ApiRole>,
}

impl UserTable {
    pub fn check(self, _context: &mut Context<'_>) -> User {
        User {
            role: self.role.unwrap_or(ApiRole::Admin),
        }
    }
}
