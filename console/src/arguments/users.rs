//! Arguments of `user`.

use clap::{Args, Subcommand};

/// `user`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an API token for a user of the configuration; it is shown once
    Token(UserToken),
    /// All tokens, without their secrets
    Tokens,
    /// Withdraw a token at once
    Revoke(UserRevoke),
}

/// `user token`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast user token eve                              [user.eve] must be in the configuration
  holdfast user token grafana --label dashboard --days 365")]
pub struct UserToken {
    /// Name of the user
    pub name: String,
    /// What the token is for
    #[arg(long, default_value = "")]
    pub label: String,
    /// Life in days; without it the token is good until it is revoked
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: Option<u32>,
}

/// `user revoke`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdfast user revoke 3f9a04c2d1e85b77      the id is in `holdfast user tokens`"
)]
pub struct UserRevoke {
    /// Id of the token
    pub id: String,
}
