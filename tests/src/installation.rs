//! A whole installation of real daemons in a temporary folder, started as a person starts it: `holdfast up`.
//!
//! Daemons are killed as a crash kills them, and started again by `up`. When the value is dropped, also by a panic or by
//! the end of the test program, a [`Reaper`] ends every process and removes the folder. `HOLDFAST_KEEP=1` keeps it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::binaries::Program;
use crate::console::{Console, Reply};
use crate::journal::Journal;
use crate::reaper::{Afterwards, Reaper};
use crate::{args, postgres, wait};

/// Longest wait for a process to be gone after its signal.
const GONE: Duration = Duration::from_secs(15);
/// Longest wait for a run of a test's small tree.
pub const RUN: Duration = Duration::from_secs(90);

/// A daemon of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// The Director.
    Director,
    /// The Storage Daemon.
    Storage,
    /// The File Daemon.
    Client,
    /// The Director's private PostgreSQL.
    Postgres,
}

impl Daemon {
    /// Name of its folder, log, pid file and `--only`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Storage => "storage",
            Self::Client => "client",
            Self::Postgres => "postgres",
        }
    }
}

/// An installation.
#[derive(Debug)]
pub struct Installation {
    base: PathBuf,
    folder: PathBuf,
    console: Console,
    ports: u16,
    journal: Mutex<Journal>,
    // Dropped last.
    _reaper: Reaper,
}

impl Installation {
    /// Makes and starts one.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let installation = Self::folder_only();
        installation.up();
        installation
    }

    /// Only the folder and the ports: for tests that write a configuration before `up`.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    pub fn folder_only() -> Self {
        let base = tempfile::Builder::new()
            .prefix("holdfast-test-")
            .tempdir_in(postgres::base())
            .expect("a temporary folder")
            .keep();
        // The database inside belongs to the user postgres.
        std::fs::set_permissions(&base, PermissionsExt::from_mode(0o755))
            .expect("a folder of our own");
        let folder = base.join("holdfast");
        std::fs::create_dir(&folder).expect("a folder of our own");
        let afterwards = match std::env::var_os("HOLDFAST_KEEP") {
            None => Afterwards::Remove,
            Some(_) => {
                eprintln!("kept: {}", base.display());
                Afterwards::Keep
            }
        };
        Self {
            console: Console::new(&folder),
            ports: free_ports(),
            journal: Mutex::new(Journal::new(&folder)),
            _reaper: Reaper::watch(&base, afterwards),
            folder,
            base,
        }
    }

    /// `holdfast up`: starts what does not run.
    ///
    /// # Panics
    /// When something does not start.
    #[track_caller]
    pub fn up(&self) {
        let _ = self.try_up().expect_code(0);
    }

    /// `holdfast up`, however it ends.
    #[must_use]
    pub fn try_up(&self) -> Reply {
        self.console
            .up(&self.base, ["--port-base", &self.ports.to_string()])
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.folder
    }

    /// A new folder for the test's own files, beside the installation.
    ///
    /// # Panics
    /// When it is there already.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.base.join("scratch").join(name);
        std::fs::create_dir_all(path.parent().expect("below scratch"))
            .expect("a folder of our own");
        std::fs::create_dir(&path).expect("each test has folders of its own");
        path
    }

    /// A path for something that is not there yet, beside the installation.
    #[must_use]
    pub fn absent(&self, name: &str) -> PathBuf {
        self.base.join("absent").join(name)
    }

    /// Another client of this installation, with a folder of its own; it runs when this returns.
    ///
    /// # Panics
    /// When it does not join.
    #[track_caller]
    #[must_use]
    pub fn client(&self, name: &str) -> Machine {
        let added = self
            .console
            .json(["client", "add", name, "--local", "--no-wait"]);
        let token = added["token"]
            .as_str()
            .unwrap_or_else(|| panic!("a token expected: {added}"));
        let machine = self.machine(name);
        let _ = machine.join(token).expect_code(0);
        machine
    }

    /// The folder of another machine, empty.
    #[must_use]
    pub fn machine(&self, name: &str) -> Machine {
        let root = self.base.join(name);
        Machine {
            base: self.base.clone(),
            console: Console::new(&root),
            root,
        }
    }

    /// The console for it.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Address of the Director.
    #[must_use]
    pub fn director_address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.ports).into()
    }

    /// Address of the Storage Daemon.
    #[must_use]
    pub fn storage_address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.ports + 2).into()
    }

    /// Folder of the volumes.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.folder.join("storage/volumes")
    }

    /// Writes a file of the Director's `conf.d` and takes it into use.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn configure(&self, name: &str, text: &str) {
        self.write_configuration(name, text);
        let _ = self.console.ok(["reload"]);
    }

    /// Writes a file of the Director's `conf.d`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_configuration(&self, name: &str, text: &str) {
        let folder = self.folder.join("director/conf.d");
        std::fs::create_dir_all(&folder).expect("the Director's folder is there");
        // Never half a file for the reload of another test.
        let draft = self.base.join(format!("{name}.draft"));
        std::fs::write(&draft, text).expect("a configuration can be written");
        std::fs::rename(draft, folder.join(name)).expect("a configuration can be written");
    }

    /// A job over `fileset` (the lines of its table) on the installation's own client.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn job(&self, name: &str, fileset: &str) {
        let client = self.client_name();
        let text = format!(
            "[fileset.{name}]\n{fileset}\n[job.{name}]\nclients = [\"{client}\"]\nfileset = \"{name}\"\npool = \"main\"\n"
        );
        self.configure(&format!("test-{name}.toml"), &text);
    }

    /// A job over everything below `path`.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn job_over(&self, name: &str, path: &Path) {
        self.job(name, &format!("include = [{}]", quoted(path)));
    }

    /// Name of the client that `up` made.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn client_name(&self) -> String {
        let path = self.folder.join("client/client.toml");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
        let line = text.lines().find_map(|line| line.strip_prefix("name = "));
        line.expect("client.toml names the client")
            .trim()
            .trim_matches('"')
            .to_owned()
    }

    /// Runs a job to its end; the exit code must be this one. Gives the run.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn backup(&self, job: &str, code: i32) -> Value {
        self.backup_with(job, &[], code)
    }

    /// Runs a job with more arguments.
    ///
    /// # Panics
    /// When the exit code is not this one.
    #[track_caller]
    pub fn backup_with(&self, job: &str, more: &[&str], code: i32) -> Value {
        let words = [&["run", job, "--wait", "--json"], more].concat();
        let reply = self.console.run(words);
        let run = last_run(&reply);
        if reply.code != code {
            let log = self.log_of(&run);
            panic!("exit code {code} expected of {reply}\nlog of the run:\n{log}");
        }
        run
    }

    /// Starts a job and does not wait; gives its JobId.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn start_run(&self, job: &str) -> u64 {
        let started = self.console.json(["run", job]);
        job_id(last_of(&started))
    }

    /// Waits until a run is over; gives it.
    ///
    /// # Panics
    /// When it is not over in time.
    #[track_caller]
    pub fn finished(&self, id: u64) -> Value {
        wait::until(&format!("run {id} is over"), RUN, || {
            let run = self.run(id)?;
            let status = run["status"].as_str()?;
            (!matches!(status, "queued" | "waiting" | "running" | "committing"))
                .then_some(run.clone())
        })
    }

    /// A run, when the Director answers.
    #[must_use]
    pub fn run(&self, id: u64) -> Option<Value> {
        let reply = self.console.run(["show", &id.to_string(), "--json"]);
        serde_json::from_str(&reply.out)
            .ok()
            .filter(|run: &Value| run["job_id"].is_number())
    }

    /// The log of a run, as a person reads it.
    #[must_use]
    pub fn log_of(&self, run: &Value) -> String {
        let id = run["job_id"].as_u64().unwrap_or(0).to_string();
        let reply = self.console.run(["log", &id]);
        reply.out + &reply.err
    }

    /// Restores a whole job's newest snapshot into `to`; must end with 0.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn restore(&self, job: &str, to: &Path) -> Value {
        self.restore_with(args!["--job", job, "--to", to], 0)
    }

    /// Restores with these arguments; the exit code must be this one. Gives the run.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn restore_with(&self, arguments: Vec<crate::console::Word>, code: i32) -> Value {
        let words = args!["restore", "--json"].into_iter().chain(arguments);
        let reply = self.console.run(words);
        let run = last_run(&reply);
        if reply.code != code {
            let log = self.log_of(&run);
            panic!("exit code {code} expected of {reply}\nlog of the run:\n{log}");
        }
        run
    }

    /// Process of a daemon.
    #[must_use]
    pub fn pid(&self, daemon: Daemon) -> Option<Pid> {
        let file = match daemon {
            Daemon::Postgres => self.folder.join("director/pg/postmaster.pid"),
            _ => self
                .folder
                .join("run")
                .join(format!("{}.pid", daemon.word())),
        };
        let text = std::fs::read_to_string(file).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    /// Ends a daemon as a crash does: kill -9.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn kill(&self, daemon: Daemon) {
        let pid = self
            .pid(daemon)
            .unwrap_or_else(|| panic!("{daemon:?} does not run"));
        kill_process(pid, Signal::KILL).unwrap_or_else(|e| panic!("kill {daemon:?}: {e}"));
        wait::until_true(&format!("{daemon:?} is gone"), GONE, || !is_alive(pid));
    }

    /// Ends a daemon as a person does: `holdfast down --only`.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn stop(&self, daemon: Daemon) {
        let _ = self.console.ok(["down", "--only", daemon.word()]);
    }

    /// Waits until storage and client are connected.
    ///
    /// # Panics
    /// When they are not in time.
    #[track_caller]
    pub fn connected(&self) {
        wait::until_true("all daemons are connected", Duration::from_secs(40), || {
            let reply = self.console.run(["status", "--json"]);
            let Ok(status) = serde_json::from_str::<Value>(&reply.out) else {
                return false;
            };
            let Some(daemons) = status["daemons"].as_array() else {
                return false;
            };
            daemons.len() >= 2 && daemons.iter().all(|d| d["connected"] == true)
        });
    }

    /// Changes a row of the catalog: for what no command can make, such as a token whose time is over.
    ///
    /// # Panics
    /// When it changes nothing.
    #[track_caller]
    pub fn age(&self, statement: &str) {
        let socket = self.folder.join("director/pg.run");
        let mut psql = std::process::Command::new("psql");
        psql.args([
            "-X", "-p", "5432", "-U", "holdfast", "-d", "holdfast", "-c", statement,
        ]);
        let done = psql
            .arg("-h")
            .arg(socket)
            .output()
            .expect("psql is installed");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let changed = said.starts_with("UPDATE ") && !said.starts_with("UPDATE 0");
        assert!(
            changed,
            "{statement}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Reads the daemons' logs since the last call: every WARN or ERROR without one of these texts ends the test, and
    /// so does a panic or a secret.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    pub fn check_logs(&self, expected: &[&str]) {
        let secrets = self.secrets();
        self.journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .check(expected, &secrets);
    }

    /// New lines of the daemons' logs.
    #[must_use]
    pub fn news(&self) -> Vec<String> {
        self.journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .news()
    }

    /// The API token, and lines of private keys.
    fn secrets(&self) -> Vec<String> {
        let text = |path: &str| std::fs::read_to_string(self.folder.join(path)).unwrap_or_default();
        let mut secrets: Vec<String> = [text("director/admin.toml"), text("console.toml")]
            .iter()
            .flat_map(|toml| toml.lines())
            .filter_map(|line| line.strip_prefix("token = "))
            .map(|token| token.trim().trim_matches('"').to_owned())
            .collect();
        for (path, _) in crate::corrupter::files(&self.folder.join("client/pki")) {
            let pem = std::fs::read_to_string(path).unwrap_or_default();
            if pem.contains("PRIVATE KEY") {
                secrets.extend(
                    pem.lines()
                        .filter(|line| line.len() == 64)
                        .map(str::to_owned),
                );
            }
        }
        secrets
    }
}

/// Another machine of an installation.
#[derive(Debug)]
pub struct Machine {
    /// Its folder.
    pub root: PathBuf,
    /// The console there.
    pub console: Console,
    base: PathBuf,
}

impl Machine {
    /// `holdfast up --only client` with a token.
    #[must_use]
    pub fn join(&self, token: &str) -> Reply {
        self.console
            .up(&self.base, ["--only", "client", "--token", token])
    }
}

/// Where the file or folder `original` stands after a restore into the folder `to`.
#[must_use]
pub fn restored(to: &Path, original: &Path) -> PathBuf {
    to.join(
        original
            .strip_prefix("/")
            .expect("originals have absolute paths"),
    )
}

/// A path as a TOML string.
#[must_use]
pub fn quoted(path: &Path) -> String {
    format!(
        "{:?}",
        path.to_str().expect("folders of tests have plain names")
    )
}

/// Starts a daemon directly, as a service manager does; gives how it ended, when it ends within the limit.
///
/// # Panics
/// When it does not end in time.
#[must_use]
pub fn run_daemon(program: Program, arguments: &[&str], limit: Duration) -> Reply {
    use std::process::{Command, Stdio};
    let mut command = Command::new(program.path());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("a daemon can be started");
    let pid = Pid::from_child(&child);
    let killer = std::thread::spawn({
        let name = program.name();
        move || {
            let ended = !wait::never(limit, || !is_alive(pid));
            if !ended {
                let _ = kill_process(pid, Signal::KILL);
            }
            assert!(ended, "{name} did not end within {limit:?}");
        }
    });
    let done = child.wait_with_output().expect("a child can be waited for");
    killer.join().expect("it ended in time");
    Reply {
        command: format!("{} {}", program.name(), arguments.join(" ")),
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Whether a process runs; one that ended and was not waited for does not.
#[must_use]
pub fn is_alive(pid: Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// The JobId of a run.
///
/// # Panics
/// When there is none.
#[track_caller]
#[must_use]
pub fn job_id(run: &Value) -> u64 {
    run["job_id"]
        .as_u64()
        .unwrap_or_else(|| panic!("a run expected: {run}"))
}

/// The last run that a command printed: one JSON value, or one a line.
#[must_use]
pub fn last_run(reply: &Reply) -> Value {
    if let Ok(value) = serde_json::from_str::<Value>(&reply.out) {
        return last_of(&value).clone();
    }
    let mut lines = reply
        .out
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .next_back()
        .map_or(Value::Null, |value| last_of(&value).clone())
}

fn last_of(value: &Value) -> &Value {
    let list = value
        .as_array()
        .or_else(|| value["runs"].as_array())
        .or_else(|| value["items"].as_array());
    match list.and_then(|list| list.last()) {
        Some(run) => run,
        None if value["run"].is_object() => &value["run"],
        None => value,
    }
}

/// Two ports, the second two above the first, that nobody has now; never given twice by this process.
fn free_ports() -> u16 {
    // Below the range the system takes for outgoing connections.
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 4_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::SeqCst);
        let offset = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below COUNT");
        let port = FIRST + (offset.wrapping_mul(7).wrapping_add(step)) % COUNT * 4;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 2) {
            return port;
        }
    }
    panic!("no free ports");
}

/// A port that nobody has now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    free_ports() + 1
}
