//! A PostgreSQL server of the test's own, for `catalog.url`: made with `initdb`, on a free port of loopback.
//!
//! PostgreSQL refuses to run as root, so it runs as the user `postgres` then.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::installation::free_port;
use crate::wait;

/// Longest wait for it to answer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server; it ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Makes and starts one with an empty database `holdfast`.
    ///
    /// # Panics
    /// When PostgreSQL is not installed.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("holdfast-pg-")
            .tempdir_in(base())
            .expect("a temporary folder");
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown")
                .arg("postgres:postgres")
                .arg(folder.path()));
        }
        let data = folder.path().join("data");
        run(as_server_user(&program("initdb"))
            .args([
                "--no-sync",
                "-A",
                "trust",
                "-U",
                "holdfast",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data));
        let mut postgres = Self {
            folder,
            port: free_port(),
            server: None,
        };
        postgres.resume();
        run(Command::new(program("createdb"))
            .args(postgres.client_arguments())
            .arg("holdfast"));
        postgres
    }

    /// What `catalog.url` says.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://holdfast@127.0.0.1:{}/holdfast", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Ends it at once, as a crash does.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("it runs");
        // The immediate shutdown of PostgreSQL: nothing is written, recovery follows at the next start.
        let pid = rustix::process::Pid::from_child(&server);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        let _ = server.wait();
    }

    /// Starts it (again).
    ///
    /// # Panics
    /// When it does not answer in time.
    pub fn resume(&mut self) {
        let socket = format!("unix_socket_directories={}", self.folder.path().display());
        let server = as_server_user(&program("postgres"))
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args([
                "-p",
                &self.port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                &socket,
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres can be started");
        self.server = Some(server);
        wait::until_true("PostgreSQL answers", START_LIMIT, || {
            let mut ask = Command::new(program("pg_isready"));
            ask.args(self.client_arguments())
                .output()
                .is_ok_and(|done| done.status.success())
        });
    }

    fn client_arguments(&self) -> [String; 6] {
        [
            "-h",
            "127.0.0.1",
            "-U",
            "holdfast",
            "-p",
            &self.port.to_string(),
        ]
        .map(String::from)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.kill();
        }
    }
}

/// Where temporary folders of tests are: the user `postgres` must be able to enter it.
#[must_use]
pub fn base() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

/// A program of PostgreSQL: the newest version Debian has, else from PATH.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .flatten()
                .map(|e| e.path().join("bin").join(name))
                .filter(|p| p.is_file())
                .collect()
        })
        .unwrap_or_default();
    versions.sort();
    versions.pop().unwrap_or_else(|| PathBuf::from(name))
}

fn as_server_user(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--pdeathsig=KILL",
            "--",
        ])
        .arg(program);
    command.current_dir("/");
    command
}

#[track_caller]
fn run(command: &mut Command) {
    let done = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
