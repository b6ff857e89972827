//! The credentials of a running daemon, shared by all its connections: replaced on renewal, with the serials it must
//! refuse.
//!
//! Each new connection takes what is current. The revoked list outlives a restart: a daemon that starts while its
//! Director is away lets nobody in that was shut out before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::pki::{Credentials, PkiError, file, present, read};
use super::tls::RevokedSerials;
use crate::durable;

const REVOKED: &str = "revoked";

/// See the module.
#[derive(Debug)]
pub struct CredentialStore {
    folder: Option<PathBuf>,
    current: ArcSwap<Credentials>,
    revoked: RevokedSerials,
}

impl CredentialStore {
    /// Loads a pki folder.
    ///
    /// # Errors
    /// As [`Credentials::load`].
    pub fn open(folder: &Path) -> Result<Arc<Self>, PkiError> {
        let credentials = Credentials::load(folder)?;
        let revoked = RevokedSerials::default();
        revoked.replace(load_revoked(&folder.join(REVOKED))?);
        Ok(Arc::new(Self {
            folder: Some(folder.to_owned()),
            current: ArcSwap::from_pointee(credentials),
            revoked,
        }))
    }

    /// Credentials that are in memory only.
    #[must_use]
    pub fn in_memory(credentials: Credentials) -> Arc<Self> {
        Arc::new(Self {
            folder: None,
            current: ArcSwap::from_pointee(credentials),
            revoked: RevokedSerials::default(),
        })
    }

    /// What is current.
    #[must_use]
    pub fn current(&self) -> Arc<Credentials> {
        self.current.load_full()
    }

    /// Serials no connection may use.
    #[must_use]
    pub fn revoked(&self) -> &RevokedSerials {
        &self.revoked
    }

    /// Takes in the Director's whole list, at once, and keeps it for the next start. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be kept; it holds nevertheless.
    pub fn set_revoked(&self, serials: Vec<Vec<u8>>) -> Result<(), PkiError> {
        let mut before = self.revoked.all();
        self.revoked.replace(serials);
        let mut after = self.revoked.all();
        before.sort_unstable();
        after.sort_unstable();
        let Some(folder) = self.folder.as_ref().filter(|_| before != after) else {
            return Ok(());
        };
        let path = folder.join(REVOKED);
        let text: String = after.iter().map(|s| hex::encode(s) + "\n").collect();
        durable::write_atomic(&path, text.as_bytes(), durable::PUBLIC)
            .map_err(|e| file("write", &path, e))
    }

    /// Saves and switches to renewed credentials. Blocks on the disk.
    ///
    /// # Errors
    /// When they cannot be saved; the old ones then stay.
    pub fn replace(&self, credentials: Credentials) -> Result<(), PkiError> {
        if let Some(folder) = &self.folder {
            credentials.save(folder)?;
        }
        self.current.store(Arc::new(credentials));
        Ok(())
    }
}

fn load_revoked(path: &Path) -> Result<Vec<Vec<u8>>, PkiError> {
    if !present(path)? {
        return Ok(Vec::new());
    }
    let bytes = read(path)?;
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let serials: Result<Vec<_>, _> = lines.map(hex::decode).collect();
    serials.map_err(|_| PkiError::Content {
        path: path.to_owned(),
        what: "serial numbers",
    })
}
