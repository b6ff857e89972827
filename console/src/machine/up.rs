//! `up`: folders, configurations, certificates, processes, in the order in which each needs the one before.
//!
//! Invariant: on any error what this call started is stopped again, last first; what ran before is left alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::api::access::Access;
use common::api::status::Status;
use common::durable;
use serde::Serialize;

use super::configure::{check_postgres, dialled};
use super::defaults::is_there;
use super::process::{self, Started, running};
use super::{Daemon, Layout, MachineError, Programs, enrol, file, listen};
use crate::arguments::{Only, UpArgs};
use crate::director::{Director, load};
use crate::show::Screen;

/// Longest wait for the Director: the first time it makes a database.
const DIRECTOR_READY: Duration = Duration::from_secs(120);
/// Longest wait for a daemon to connect.
const CONNECTED: Duration = Duration::from_secs(60);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(150);

/// What `up` tells of one daemon.
#[derive(Debug, Serialize)]
pub struct Running {
    /// Which.
    pub daemon: &'static str,
    /// Its name in the installation.
    pub name: String,
    /// Process.
    pub pid: u32,
    /// Addresses it listens on.
    pub listen: Vec<String>,
    /// Its log.
    pub log: PathBuf,
    /// Whether this call started it.
    pub started: bool,
}

/// What runs after `up`.
#[derive(Debug, Serialize)]
pub struct Installation {
    /// Its folder.
    pub root: PathBuf,
    /// Its daemons on this machine.
    pub daemons: Vec<Running>,
    /// `console.toml`, when the Director is here.
    pub console: Option<PathBuf>,
    /// Whether other machines can reach the Director.
    pub loopback_only: bool,
    /// Whether the installation was made now.
    pub fresh: bool,
}

/// One call of `up`.
pub(super) struct Up<'a> {
    pub layout: Layout,
    pub arguments: &'a UpArgs,
    pub fresh: bool,
    programs: Programs,
    screen: &'a Screen,
    started: Vec<Started>,
}

/// Starts what is not running.
///
/// # Errors
/// When a daemon cannot be started; what this call started is stopped again.
pub async fn up(
    layout: Layout,
    arguments: &UpArgs,
    screen: &Screen,
) -> Result<Installation, MachineError> {
    let wanted = Daemon::chosen(arguments.only);
    if let (Some(token), [daemon]) = (&arguments.token, wanted.as_slice()) {
        enrol::brought(token, *daemon)?;
    }
    let programs = Programs::locate()?;
    for daemon in &wanted {
        programs.of(*daemon)?;
    }
    if wanted.contains(&Daemon::Director) {
        check_postgres(&layout)?;
    }
    let (layout, _lock) = layout.prepare(&wanted)?;
    let mut up = Up {
        layout,
        programs,
        arguments,
        screen,
        started: Vec::new(),
        fresh: false,
    };
    match up.all(&wanted).await {
        Ok(installation) => Ok(installation),
        Err(e) => {
            up.take_back().await;
            Err(e)
        }
    }
}

impl Up<'_> {
    async fn all(&mut self, wanted: &[Daemon]) -> Result<Installation, MachineError> {
        self.write_configurations(wanted)?;
        self.check_ports(wanted)?;
        if wanted.contains(&Daemon::Director) {
            self.director().await?;
        }
        for daemon in [Daemon::Storage, Daemon::Client] {
            if wanted.contains(&daemon) {
                self.joined(daemon).await?;
            }
        }
        self.report(wanted)
    }

    async fn director(&mut self) -> Result<(), MachineError> {
        let log_from = self.start_unless_running(Daemon::Director)?;
        let limit = Instant::now() + DIRECTOR_READY;
        loop {
            if self.director_answers().await {
                break;
            }
            self.check_alive(Daemon::Director, log_from, limit)?;
            tokio::time::sleep(LOOK).await;
        }
        self.write_console_file()
    }

    async fn director_answers(&self) -> bool {
        match self.connection().await {
            Ok(director) => director.status().await.is_ok(),
            Err(_) => false,
        }
    }

    async fn connection(&self) -> Result<Director, MachineError> {
        let addresses = self.loopback_first()?;
        let access = load(
            &self.layout.admin_file(),
            addresses.first().map(String::as_str),
        )?;
        Ok(Director::open(&access).await?)
    }

    /// How this machine dials its own Director: what others are told may be a name that is not known here.
    fn loopback_first(&self) -> Result<Vec<String>, MachineError> {
        let config = self.layout.config(Daemon::Director);
        Ok(dialled(&listen::strings(&config, "director", "listen")?))
    }

    /// `console.toml` = what the Director wrote for us, with the root certificate's place made absolute.
    fn write_console_file(&self) -> Result<(), MachineError> {
        let admin = self.layout.admin_file();
        let bad = |reason: String| MachineError::Content {
            path: admin.clone(),
            reason,
        };
        let text = std::fs::read_to_string(&admin).map_err(file("read", &admin))?;
        let mut access: Access = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let root = self.layout.folder(Daemon::Director).join(&access.root);
        let here = self.loopback_first()?;
        access.addresses.retain(|told| !here.contains(told));
        access.addresses.splice(0..0, here);
        access.root = root
            .to_str()
            .ok_or_else(|| bad("the folder's name is not UTF-8".into()))?
            .to_owned();
        access.token_file = access.token_file.map(|f| {
            self.layout
                .folder(Daemon::Director)
                .join(f)
                .display()
                .to_string()
        });
        let text = toml::to_string(&access).map_err(|e| bad(e.to_string()))?;
        let path = self.layout.console_file();
        durable::write_atomic(&path, text.as_bytes(), durable::SECRET).map_err(file("write", &path))
    }

    /// Enrols a Storage or File Daemon if needed, starts it, waits until the Director sees it.
    async fn joined(&mut self, daemon: Daemon) -> Result<(), MachineError> {
        let name = self.name(daemon)?;
        let local = is_there(&self.layout.admin_file())?;
        self.enrolled(daemon, &name, local).await?;
        let log_from = self.start_unless_running(daemon)?;
        let limit = Instant::now()
            + if local {
                CONNECTED
            } else {
                Duration::from_secs(3)
            };
        loop {
            if local && self.is_connected(daemon, &name).await {
                return Ok(());
            }
            // A Director elsewhere is not ours to ask: a daemon that stays up is all that can be seen here.
            if !local && Instant::now() > limit {
                return Ok(());
            }
            self.check_alive(daemon, log_from, limit)?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives the daemon its certificate: when it has none, or a token was brought for a new one.
    async fn enrolled(&self, daemon: Daemon, name: &str, local: bool) -> Result<(), MachineError> {
        let has = self.layout.is_enrolled(daemon);
        let token = match (&self.arguments.token, has) {
            (None, true) => return Ok(()),
            (Some(_), true) if running(&self.layout, daemon).is_some() => {
                self.screen.note(&format!(
                    "{}: runs with its certificate, the token was not used; to take a new one: `holdfast down --only {}` first",
                    daemon.title(),
                    daemon.word()
                ));
                return Ok(());
            }
            (Some(token), _) => {
                enrol::brought(token, daemon)?;
                token.clone()
            }
            (None, false) if local => enrol::token(&self.connection().await?, daemon, name).await?,
            (None, false) => {
                return Err(MachineError::Refused(format!(
                    "the {} has no certificate yet and its Director is on another machine\n  there: `holdfast {} add {name}` prints the command with the token",
                    daemon.title(),
                    daemon.word()
                )));
            }
        };
        self.screen.note(&format!(
            "{}: makes its key and takes its certificate",
            daemon.title()
        ));
        enrol::enrol(&self.layout, &self.programs, daemon, &token).await
    }

    async fn is_connected(&self, daemon: Daemon, name: &str) -> bool {
        let Ok(director) = self.connection().await else {
            return false;
        };
        let connected = |status: &Status| {
            status
                .daemons
                .iter()
                .any(|d| d.role == daemon.role() && d.name == name && d.connected)
        };
        director
            .status()
            .await
            .is_ok_and(|status| connected(&status))
    }

    fn name(&self, daemon: Daemon) -> Result<String, MachineError> {
        let path = self.layout.config(daemon);
        listen::string(&path, daemon.word(), "name")?.ok_or_else(|| MachineError::Content {
            path,
            reason: format!("[{}] has no `name`", daemon.word()),
        })
    }

    /// Starts a daemon unless it runs; the length of its log before.
    fn start_unless_running(&mut self, daemon: Daemon) -> Result<u64, MachineError> {
        let log_from = std::fs::metadata(self.layout.log(daemon)).map_or(0, |m| m.len());
        if running(&self.layout, daemon).is_none() {
            self.screen.note(&format!("{}: starts", daemon.title()));
            let started = process::start(&self.layout, &self.programs, daemon)?;
            self.started.push(started);
        }
        Ok(log_from)
    }

    /// Fails when the daemon has ended or its time is over.
    fn check_alive(
        &mut self,
        daemon: Daemon,
        log_from: u64,
        limit: Instant,
    ) -> Result<(), MachineError> {
        let mine = self.started.iter_mut().find(|s| s.daemon == daemon);
        let ended = match mine {
            Some(started) => started
                .child
                .try_wait()
                .ok()
                .flatten()
                .map(|status| format!("ended ({status})")),
            None if running(&self.layout, daemon).is_none() => Some("is gone".to_owned()),
            None => None,
        };
        let how = match ended {
            Some(how) => how,
            None if Instant::now() > limit => "runs, but is not ready in time".to_owned(),
            None => return Ok(()),
        };
        let log = self.layout.log(daemon);
        Err(MachineError::NotReady {
            what: daemon.title(),
            how,
            tail: process::tail(&log, log_from),
            log,
        })
    }

    async fn take_back(&mut self) {
        while let Some(mut started) = self.started.pop() {
            let pid = started.child.id();
            // Whoever ended by itself is reaped here; its pid file goes with it.
            let _ = started.child.try_wait();
            self.screen
                .note(&format!("{}: is stopped again", started.daemon.title()));
            if let Err(e) = process::stop(&self.layout, started.daemon, pid).await {
                self.screen.note(&e.to_string());
            }
            let _ = started.child.try_wait();
        }
    }

    fn report(&self, wanted: &[Daemon]) -> Result<Installation, MachineError> {
        let mut daemons = Vec::new();
        for daemon in wanted {
            let Some(pid) = running(&self.layout, *daemon) else {
                continue;
            };
            let listen = match daemon {
                Daemon::Client => Vec::new(),
                other => listen::configured(&self.layout, *other)?
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            };
            daemons.push(Running {
                daemon: daemon.title(),
                name: if *daemon == Daemon::Director {
                    String::new()
                } else {
                    self.name(*daemon)?
                },
                pid,
                listen,
                log: self.layout.log(*daemon),
                started: self.started.iter().any(|s| s.daemon == *daemon),
            });
        }
        let console = Some(self.layout.console_file()).filter(|p| p.is_file());
        let loopback_only = matches!(self.arguments.only, None | Some(Only::Director))
            && listen::configured(&self.layout, Daemon::Director)?
                .iter()
                .all(|a| a.ip().is_loopback());
        Ok(Installation {
            root: self.layout.root().to_owned(),
            daemons,
            console,
            loopback_only,
            fresh: self.fresh,
        })
    }
}
