//! `[client.NAME]`: a machine with a File Daemon, by its label.

use serde::Deserialize;

use super::context::Context;

/// A client that jobs may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientTable {}

impl ClientTable {
    pub fn check(self, _context: &mut Context<'_>) -> Client {
        Client {}
    }
}
