//! One folder per installation: what lies where.
//!
//! Invariant: a root folder is made enterable by user `postgres` or refused before anything is written into it.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::durable;
use nix::unistd::User;

use super::{Daemon, MachineError, file};

/// Folders others on this machine may pass through, but not list: the database below belongs to `postgres`.
const PASSABLE: u32 = 0o711;

/// The root folder when none is named.
#[must_use]
pub fn default_root() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/holdfast");
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into()));
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .unwrap_or_else(|| home().join(".local/share"))
        .join("holdfast")
}

/// An installation's folder.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`; nothing is touched. A relative root is below the current folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        // An absolute path is what the daemons' command lines are recognised by.
        let root = root
            .canonicalize()
            .or_else(|_| std::path::absolute(root))
            .unwrap_or_else(|_| root.to_owned());
        Self { root }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A daemon's folder.
    #[must_use]
    pub fn folder(&self, daemon: Daemon) -> PathBuf {
        self.root.join(daemon.word())
    }

    /// A daemon's configuration.
    #[must_use]
    pub fn config(&self, daemon: Daemon) -> PathBuf {
        self.folder(daemon).join(format!("{}.toml", daemon.word()))
    }

    /// A daemon's log.
    #[must_use]
    pub fn log(&self, daemon: Daemon) -> PathBuf {
        self.root.join("log").join(format!("{}.log", daemon.word()))
    }

    /// A daemon's pid file.
    #[must_use]
    pub fn pid_file(&self, daemon: Daemon) -> PathBuf {
        self.root.join("run").join(format!("{}.pid", daemon.word()))
    }

    /// What the console reads.
    #[must_use]
    pub fn console_file(&self) -> PathBuf {
        self.root.join("console.toml")
    }

    /// What the Director writes for the console.
    #[must_use]
    pub fn admin_file(&self) -> PathBuf {
        self.folder(Daemon::Director).join("admin.toml")
    }

    /// Whether a daemon has its certificate: the file that enrolment writes last is there.
    #[must_use]
    pub fn is_enrolled(&self, daemon: Daemon) -> bool {
        self.folder(daemon).join("pki/daemon.toml").is_file()
    }

    /// Makes the folders for these daemons and takes the lock that keeps a second `up` or `down` out.
    ///
    /// # Errors
    /// When a folder cannot be made or somebody else works here.
    pub fn prepare(self, daemons: &[Daemon]) -> Result<(Self, File), MachineError> {
        let make =
            |path: &Path, mode| durable::create_folder(path, mode).map_err(file("make", path));
        make(&self.root, PASSABLE)?;
        let layout = Self::at(&self.root);
        make(&layout.root.join("run"), 0o755)?;
        make(&layout.root.join("log"), 0o750)?;
        for daemon in daemons {
            let mode = if *daemon == Daemon::Director {
                PASSABLE
            } else {
                0o700
            };
            make(&layout.folder(*daemon), mode)?;
        }
        let lock = layout.lock()?;
        Ok((layout, lock))
    }

    /// Keeps a second `up` or `down` out until dropped.
    ///
    /// # Errors
    /// When somebody else works here.
    pub fn lock(&self) -> Result<File, MachineError> {
        let path = self.root.join("run/up.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(MachineError::Busy {
                root: self.root.clone(),
            }),
            Err(TryLockError::Error(e)) => Err(file("lock", &path)(e)),
        }
    }
}

/// The first folder on the way to `root` that `user` cannot pass; folders that are not there yet are made passable.
pub(super) fn closed_to(root: &Path, user: &User) -> Option<PathBuf> {
    let mut ancestors: Vec<&Path> = root.ancestors().collect();
    ancestors.reverse();
    ancestors
        .into_iter()
        .find(|folder| !passes(folder, user))
        .map(Path::to_owned)
}

fn passes(folder: &Path, user: &User) -> bool {
    let Ok(meta) = folder.metadata() else {
        return true;
    };
    let bit = if meta.uid() == user.uid.as_raw() {
        0o100
    } else if meta.gid() == user.gid.as_raw() {
        0o010
    } else {
        0o001
    };
    meta.mode() & bit != 0
}
