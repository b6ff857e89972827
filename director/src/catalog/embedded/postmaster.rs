//! One server process: started by us, or found running on our folder.
//!
//! Recognised by its working directory: PostgreSQL stands in the folder of its cluster. So a stale
//! `postmaster.pid` whose number now belongs to something else is never waited for and never signalled.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Connection, Row};
use tokio::process::{Child, Command};

use super::account::Account;
use super::binaries::Binaries;
use super::cluster::{NAME, run_as};
use super::error::EmbeddedError;
use super::layout::{Layout, PORT};

/// Longest wait for a server that runs to accept connections: recovery after a power cut is in it.
const READY_TIMEOUT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);
/// A server that is not our child tells nobody when it ends.
const ADOPTED_POLL: Duration = Duration::from_millis(200);
/// A log larger than this is put aside when the server starts.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// The server.
#[derive(Debug)]
pub(super) enum Postmaster {
    /// Started by us.
    Own(Box<Child>, Pid),
    /// Started by a Director before us.
    Adopted(Pid, PathBuf),
}

impl Postmaster {
    /// The server that runs on this folder, if one does.
    pub fn running(layout: &Layout) -> Option<Self> {
        let text = std::fs::read_to_string(layout.data.join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
        stands_in(pid, &layout.data).then(|| Self::Adopted(pid, layout.data.clone()))
    }

    /// Starts it.
    pub fn spawn(
        layout: &Layout,
        binaries: &Binaries,
        account: Option<&Account>,
    ) -> Result<Self, EmbeddedError> {
        forget_stale(layout);
        let program = binaries.program("postgres");
        let failed = |e: std::io::Error| EmbeddedError::Program {
            program: program.clone(),
            output: e.to_string(),
        };
        let log = open_log(&layout.log).map_err(|source| EmbeddedError::File {
            what: "open",
            path: layout.log.clone(),
            source,
        })?;
        let mut command = std::process::Command::new(&program);
        command
            .arg("-D")
            .arg(&layout.data)
            .arg("-k")
            .arg(&layout.socket)
            .args(["-p", &PORT.to_string()])
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "unix_socket_permissions=0700",
            ])
            .args([
                "-c",
                "fsync=on",
                "-c",
                "full_page_writes=on",
                "-c",
                "logging_collector=off",
            ])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().map_err(failed)?))
            .stderr(Stdio::from(log));
        run_as(&mut command, account);
        let mut command = Command::from(command);
        // A group of its own: Ctrl-C is for the Director, which stops the server when it is done.
        let child = command.process_group(0).spawn().map_err(failed)?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        match pid {
            Some(pid) => Ok(Self::Own(Box::new(child), pid)),
            None => Err(failed(std::io::Error::other("it ended at once"))),
        }
    }

    pub fn pid(&self) -> Pid {
        match self {
            Self::Own(_, pid) | Self::Adopted(pid, _) => *pid,
        }
    }

    /// Whether it has ended, and how.
    fn ended(&mut self) -> Option<String> {
        match self {
            Self::Own(child, _) => match child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) => Some(status.to_string()),
                Err(e) => Some(e.to_string()),
            },
            Self::Adopted(pid, data) => (!stands_in(*pid, data)).then(|| "ended".to_owned()),
        }
    }

    /// Waits until it has ended; says how.
    pub async fn wait(&mut self) -> String {
        loop {
            match self {
                Self::Own(child, _) => {
                    return child
                        .wait()
                        .await
                        .map_or_else(|e| e.to_string(), |s| s.to_string());
                }
                Self::Adopted(..) => {
                    if let Some(status) = self.ended() {
                        return status;
                    }
                    tokio::time::sleep(ADOPTED_POLL).await;
                }
            }
        }
    }

    /// Sends a signal; a process that is gone already is no error.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Waits until it accepts connections, and sees that it serves our folder.
    pub async fn ready(&mut self, layout: &Layout) -> Result<(), EmbeddedError> {
        let start = tokio::time::Instant::now();
        loop {
            if answers(layout).await {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(EmbeddedError::Died {
                    status,
                    log: layout.log.clone(),
                    tail: tail(&layout.log),
                });
            }
            if start.elapsed() > READY_TIMEOUT {
                return Err(EmbeddedError::NotReady {
                    seconds: READY_TIMEOUT.as_secs(),
                    log: layout.log.clone(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// How to connect to a database of the server.
pub(super) fn options(layout: &Layout, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&layout.socket)
        .port(PORT)
        .username(NAME)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

async fn answers(layout: &Layout) -> bool {
    let ask = async {
        let mut connection = PgConnection::connect_with(&options(layout, "postgres"))
            .await
            .ok()?;
        let row = sqlx::query("SELECT current_setting('data_directory')")
            .fetch_one(&mut connection)
            .await
            .ok()?;
        let folder: String = row.try_get(0).ok()?;
        let _ = connection.close().await;
        Some(Path::new(&folder) == layout.data)
    };
    let asked = tokio::time::timeout(Duration::from_secs(10), ask).await;
    asked.ok().flatten().unwrap_or(false)
}

/// Whether a process is alive with this working directory.
fn stands_in(pid: Pid, folder: &Path) -> bool {
    let cwd = format!("/proc/{}/cwd", pid.as_raw_nonzero());
    std::fs::read_link(cwd).is_ok_and(|cwd| cwd == folder)
}

/// PostgreSQL itself removes the file of a process that is gone, but not one whose number lives on.
fn forget_stale(layout: &Layout) {
    if Postmaster::running(layout).is_none() {
        let _ = std::fs::remove_file(layout.data.join("postmaster.pid"));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an old log is put aside; nothing is lost when that fails or is undone"
)]
fn open_log(path: &Path) -> std::io::Result<std::fs::File> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(2000)))?;
        let mut bytes = Vec::new();
        file.take(2000).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
