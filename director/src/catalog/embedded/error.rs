//! Why the private PostgreSQL does not run, each with what to do about it.

use std::path::PathBuf;

/// Why the private PostgreSQL does not run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No binaries.
    #[error(
        "no PostgreSQL found (looked at HOLDFAST_PG_BIN, PATH, /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin): apt install postgresql, or set [catalog] url in director.toml"
    )]
    NotFound,
    /// The cluster was made by another major version.
    #[error(
        "the catalog in {data} was made by PostgreSQL {cluster}, the binaries found are {binaries}: install postgresql-{cluster} or name its folder with HOLDFAST_PG_BIN (or move the catalog with pg_upgrade)"
    )]
    MajorVersion {
        /// Folder of the cluster.
        data: PathBuf,
        /// Its version.
        cluster: String,
        /// Version of the binaries.
        binaries: String,
    },
    /// As root there is no user to run it as.
    #[error(
        "PostgreSQL does not run as root and there is no user `postgres`: create it (apt install postgresql does), or run the Director as an ordinary user, or set [catalog] url"
    )]
    NoUser,
    /// The folder cannot be entered by the user it runs as.
    #[error(
        "user {user} cannot enter {folder}, which PostgreSQL needs for the catalog in {data}: chmod o+x {folder}, or choose another --root"
    )]
    NotEnterable {
        /// Who.
        user: String,
        /// Which folder.
        folder: PathBuf,
        /// Folder of the cluster.
        data: PathBuf,
    },
    /// A file or folder could not be handled.
    #[error("cannot {what} {path}")]
    File {
        /// What was done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be run, or said no.
    #[error("{program} failed: {output}")]
    Program {
        /// Which.
        program: PathBuf,
        /// What it said, or why it could not be run.
        output: String,
    },
    /// It did not come up.
    #[error("PostgreSQL did not accept connections within {seconds} s; its log is {log}")]
    NotReady {
        /// Waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// It ended instead of coming up.
    #[error("PostgreSQL ended while starting ({status}); last lines of {log}:\n{tail}")]
    Died {
        /// Exit status.
        status: String,
        /// Its log.
        log: PathBuf,
        /// Last lines of it.
        tail: String,
    },
    /// The database could not be made.
    #[error("cannot create the catalog's database")]
    Database(#[source] sqlx::Error),
}
