//! How a console reaches a Director: the content of `admin.toml` and `console.toml`.
//!
//! Invariant: the files are mode 0600; the token is never printed and never in an address.

use serde::{Deserialize, Serialize};

/// Where the Director is, whom it must prove to be, and who we are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// `https://<uuid>.director.holdfast:PORT`: the name its certificate carries.
    pub url: String,
    /// `host:port`, tried in order; the name in `url` is in no DNS.
    pub addresses: Vec<String>,
    /// API token. Either this or `token_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// File whose first line is the API token; relative to the file this stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// The installation's root certificate, PEM; relative to the file this stands in.
    pub root: String,
}
