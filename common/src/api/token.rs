//! What an enrolment token says, for whoever sets a machine up with it. The secret in it stays in it.

use crate::ids::Role;
use crate::protocol::enrol::Token;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Role it is for.
    pub role: Role,
    /// Label it is for.
    pub name: String,
    /// `host:port` of the Director, in order.
    pub addresses: Vec<String>,
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a whole enrolment token")]
pub struct NotAToken;

impl TokenFacts {
    /// Reads the one line that starts with `hf1-`.
    ///
    /// # Errors
    /// When it is not a whole token.
    pub fn read(text: &str) -> Result<Self, NotAToken> {
        let token = Token::from_text(text).map_err(|_| NotAToken)?;
        Ok(Self {
            role: token.role.parse().map_err(|_| NotAToken)?,
            name: token.name,
            addresses: token.addresses,
        })
    }
}
