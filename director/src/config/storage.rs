//! `[storage.NAME]`: a Storage Daemon by its label. Its devices are defined on its own machine.

use serde::Deserialize;

use super::context::Context;

/// A Storage Daemon that jobs may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StorageTable {}

impl StorageTable {
    pub fn check(self, _context: &mut Context<'_>) -> Storage {
        Storage {}
    }
}
