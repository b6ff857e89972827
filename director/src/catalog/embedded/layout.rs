//! Where things are: the cluster and its log in the state folder, the socket in a folder with a short
//! path.
//!
//! Invariant: the path of the socket fits what the system takes (107 bytes), and its folder lets nobody
//! in but its owner: who can open the socket is the catalog's master.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::error::EmbeddedError;

/// Port in the socket's name; nothing listens on it.
pub(super) const PORT: u16 = 5432;
/// Longest path of a socket folder: `sun_path` less the socket's own name.
const MAX_SOCKET_FOLDER: usize = 107 - "/.s.PGSQL.5432".len();

/// Folders and files of a private PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Folder of the cluster.
    pub data: PathBuf,
    /// What the server says.
    pub log: PathBuf,
    /// Folder of the socket.
    pub socket: PathBuf,
}

impl Layout {
    /// In a state folder, which is made when missing.
    pub fn in_state(state: &Path, account: Option<&Account>) -> Result<Self, EmbeddedError> {
        make_folder(state, 0o711)?;
        let state = std::fs::canonicalize(state).map_err(|source| EmbeddedError::File {
            what: "look at",
            path: state.to_path_buf(),
            source,
        })?;
        let near = state.join("pg.run");
        let socket = if near.as_os_str().len() <= MAX_SOCKET_FOLDER {
            near
        } else {
            short_folder(&state)
        };
        make_folder(&socket, 0o700)?;
        if let Some(account) = account {
            account.own(&socket)?;
        }
        let owner = account.map_or(rustix::process::geteuid().as_raw(), |a| a.uid);
        check_private(&socket, owner)?;
        Ok(Self {
            data: state.join("pg"),
            log: state.join("pg.log"),
            socket,
        })
    }
}

/// A folder for this state folder only, the same each time, where paths are short.
fn short_folder(state: &Path) -> PathBuf {
    let name = blake3::hash(state.as_os_str().as_encoded_bytes()).to_hex();
    let base = match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        _ if rustix::process::geteuid().is_root() => PathBuf::from("/run"),
        Some(folder) if folder.is_absolute() => folder,
        _ => PathBuf::from("/tmp"),
    };
    base.join(format!("holdfast-{}", &name[..16]))
}

fn make_folder(path: &Path, mode: u32) -> Result<(), EmbeddedError> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path);
    made.map_err(|source| EmbeddedError::File {
        what: "make folder",
        path: path.to_path_buf(),
        source,
    })
}

/// In a folder everybody may write to, somebody else may have been there before us.
fn check_private(folder: &Path, owner: u32) -> Result<(), EmbeddedError> {
    let fail = |source| EmbeddedError::File {
        what: "use socket folder",
        path: folder.to_path_buf(),
        source,
    };
    let meta = std::fs::symlink_metadata(folder).map_err(fail)?;
    if !meta.is_dir() || meta.uid() != owner {
        let why = "it is not a folder of the user PostgreSQL runs as; remove it";
        return Err(fail(std::io::Error::other(why)));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(fail)?;
    }
    Ok(())
}
