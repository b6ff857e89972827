//! Why a daemon of this machine could not be started or stopped; each with the way out.

use std::io;
use std::path::PathBuf;

/// Why a daemon of this machine could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file or folder of the installation.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was done.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the installation does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A program is not installed.
    #[error("{program} is not installed: it is neither beside {} nor in PATH\n  build it with `cargo build --release`, or install the whole of Holdfast in one folder", beside.display())]
    Program {
        /// Its name.
        program: String,
        /// Where it was looked for first.
        beside: PathBuf,
    },
    /// PostgreSQL is not installed.
    #[error(
        "PostgreSQL is not installed, and the catalog needs it\n  apt install postgresql\n  (or set `url` in [catalog] of {} to a PostgreSQL you have)", config.display()
    )]
    NoPostgres {
        /// `director.toml`
        config: PathBuf,
    },
    /// The private PostgreSQL runs as user `postgres`, who cannot come here.
    #[error(
        "the private PostgreSQL runs as user postgres, who may not enter {}\n  take another folder: --root /var/lib/holdfast", folder.display()
    )]
    NotEnterable {
        /// The first folder on the way that is closed.
        folder: PathBuf,
    },
    /// Another program listens there.
    #[error("{address} is taken by {holder}\n  `holdfast {command} --port-base {free}` takes other ports; `listen` in {} says it for ever", config.display())]
    PortTaken {
        /// `address:port`
        address: String,
        /// Who.
        holder: String,
        /// The command it is about, with the root if needed.
        command: String,
        /// A base that is free now.
        free: u16,
        /// The daemon's configuration.
        config: PathBuf,
    },
    /// This machine has no such address.
    #[error(
        "cannot listen on {address}: {source}\n  `ip address` shows the addresses of this machine"
    )]
    Address {
        /// `address:port`
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A daemon ended or did not get ready.
    #[error("{what} {how}\n  last lines of {}:\n{tail}", log.display())]
    NotReady {
        /// Which.
        what: &'static str,
        /// `ended with status 1`, `is not ready after 90 s`.
        how: String,
        /// Its log.
        log: PathBuf,
        /// Its end, each line indented.
        tail: String,
    },
    /// A daemon that was told to stop still runs.
    #[error("{what} (pid {pid}) still runs 15 s after it was told to stop\n  look into {}; `kill -9 {pid}` ends it, runs are resumed later", log.display())]
    StillRuns {
        /// Which.
        what: &'static str,
        /// Process.
        pid: u32,
        /// Its log.
        log: PathBuf,
    },
    /// Another `up` or `down` works here.
    #[error("another `holdfast up` or `holdfast down` works in {}\n  wait until it is done", root.display())]
    Busy {
        /// The installation's folder.
        root: PathBuf,
    },
    /// What was asked for does not fit what is there.
    #[error("{0}")]
    Refused(String),
    /// The Director refused something on the way.
    #[error(transparent)]
    Director(#[from] Box<crate::director::DirectorError>),
}

impl From<crate::director::DirectorError> for MachineError {
    fn from(e: crate::director::DirectorError) -> Self {
        Self::Director(Box::new(e))
    }
}

/// A closure that makes a [`MachineError::File`].
pub(super) fn file(
    operation: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> MachineError {
    let path = path.to_owned();
    move |source| MachineError::File {
        operation,
        path,
        source,
    }
}
