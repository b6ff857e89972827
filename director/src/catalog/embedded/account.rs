//! Who PostgreSQL runs as: the Director's own user, or `postgres` when the Director is root.
//!
//! PostgreSQL refuses to run as root, so its folders then belong to `postgres`, and every folder above
//! them must let that user through.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User};

use super::error::EmbeddedError;

/// The user a root Director runs PostgreSQL as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// `None` = the Director is not root; PostgreSQL runs as the same user.
    pub fn needed() -> Result<Option<Self>, EmbeddedError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let user = User::from_name("postgres").ok().flatten();
        let user = user.ok_or(EmbeddedError::NoUser)?;
        Ok(Some(Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }))
    }

    /// Gives a folder to this user.
    pub fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        nix::unistd::chown(path, Some(uid), Some(gid)).map_err(|e| EmbeddedError::File {
            what: "give to user postgres",
            path: path.to_path_buf(),
            source: e.into(),
        })
    }

    /// Refuses a folder that this user cannot reach, naming the first one that is closed. The state
    /// folder itself is the Director's own and is opened for passing through (not for listing).
    pub fn check_reach(&self, state: &Path) -> Result<(), EmbeddedError> {
        let failed = |path: &Path, source| EmbeddedError::File {
            what: "look at",
            path: path.to_path_buf(),
            source,
        };
        let whole = std::fs::canonicalize(state).map_err(|e| failed(state, e))?;
        for folder in whole.ancestors() {
            let meta = std::fs::metadata(folder).map_err(|e| failed(folder, e))?;
            if self.may_enter(&meta) {
                continue;
            }
            if folder != whole {
                return Err(EmbeddedError::NotEnterable {
                    user: self.name.clone(),
                    folder: PathBuf::from(folder),
                    data: state.join("pg"),
                });
            }
            let open = std::fs::Permissions::from_mode((meta.mode() & 0o7777) | 0o001);
            std::fs::set_permissions(folder, open).map_err(|e| failed(folder, e))?;
        }
        Ok(())
    }

    fn may_enter(&self, meta: &std::fs::Metadata) -> bool {
        let bit = if meta.uid() == self.uid {
            0o100
        } else if meta.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        meta.mode() & bit != 0
    }
}
