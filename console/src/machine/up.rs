//! `up`: folders, configurations, certificates, processes, in the order in which each needs the one before.
//!
//! Invariant: on any error what this call started is stopped again, last first; what ran before is left alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::api::access::Access;
use common::api::status::Status;
use common::durable;
use nix::unistd::User;
use serde::Serialize;

use super::defaults::{self, Addresses, Labels, is_there, write_once};
use super::process::{self, Started, running};
use super::{Daemon, Layout, MachineError, Programs, enrol, file, layout, listen, ports, programs};
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

struct Up<'a> {
    layout: Layout,
    programs: Programs,
    arguments: &'a UpArgs,
    screen: &'a Screen,
    started: Vec<Started>,
    fresh: bool,
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

/// Refuses before anything is written: no PostgreSQL, or a folder its user cannot reach.
fn check_postgres(layout: &Layout) -> Result<(), MachineError> {
    let config = layout.config(Daemon::Director);
    let external = is_there(&config)? && listen::string(&config, "catalog", "url")?.is_some();
    if external {
        return Ok(());
    }
    let missing = || MachineError::NoPostgres {
        config: config.clone(),
    };
    if !programs::has_postgres() {
        return Err(missing());
    }
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let user = User::from_name("postgres")
        .ok()
        .flatten()
        .ok_or_else(missing)?;
    match layout::closed_to(layout.root(), &user) {
        Some(folder) => Err(MachineError::NotEnterable { folder }),
        None => Ok(()),
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

    /// Writes what is missing; `--listen` changes what is there unless it runs.
    fn write_configurations(&mut self, wanted: &[Daemon]) -> Result<(), MachineError> {
        let addresses = listen::addresses(self.arguments.listen, self.arguments.port_base);
        for daemon in wanted {
            let path = self.layout.config(*daemon);
            if is_there(&path)? {
                self.listen_elsewhere(*daemon, &addresses)?;
                continue;
            }
            let text = self.configuration(*daemon, &addresses)?;
            write_once(&self.layout, *daemon, &text)?;
            self.fresh |= *daemon == Daemon::Director;
        }
        Ok(())
    }

    fn configuration(&self, daemon: Daemon, addresses: &Addresses) -> Result<String, MachineError> {
        let labels = Labels {
            storage: "local".into(),
            client: defaults::host_label(),
        };
        let brought = self
            .arguments
            .token
            .as_deref()
            .map(|t| enrol::brought(t, daemon))
            .transpose()?;
        let director = self.director_addresses(addresses)?;
        Ok(match (daemon, brought) {
            (Daemon::Director, _) => defaults::director(addresses, &labels),
            (Daemon::Storage, None) => defaults::storage(
                &Addresses {
                    director,
                    ..addresses.clone()
                },
                &labels.storage,
            ),
            (Daemon::Storage, Some(token)) => {
                let there = Addresses {
                    director: token.addresses,
                    ..addresses.clone()
                };
                defaults::storage(&there, &token.name)
            }
            (Daemon::Client, None) => defaults::client(&director, &labels.client),
            (Daemon::Client, Some(token)) => defaults::client(&token.addresses, &token.name),
        })
    }

    /// How daemons of this machine reach the Director: by what it listens on, loopback first.
    fn director_addresses(&self, addresses: &Addresses) -> Result<Vec<String>, MachineError> {
        let config = self.layout.config(Daemon::Director);
        if !is_there(&config)? {
            return Ok(dialled(&addresses.director_listen));
        }
        let listen = listen::strings(&config, "director", "listen")?;
        Ok(dialled(if listen.is_empty() {
            &addresses.director_listen
        } else {
            &listen
        }))
    }

    fn listen_elsewhere(&self, daemon: Daemon, addresses: &Addresses) -> Result<(), MachineError> {
        let (listens, told) = match daemon {
            Daemon::Director => (&addresses.director_listen, &addresses.director),
            Daemon::Storage => (&addresses.storage_listen, &addresses.storage),
            Daemon::Client => return Ok(()),
        };
        let path = self.layout.config(daemon);
        let now = listen::strings(&path, daemon.word(), "listen")?;
        if self.arguments.listen.is_none() || now == *listens {
            return Ok(());
        }
        if running(&self.layout, daemon).is_some() {
            return Err(MachineError::Refused(format!(
                "the {} runs and listens on {}\n  `holdfast down` first, then `holdfast up` with the same options",
                daemon.title(),
                now.join(", ")
            )));
        }
        listen::set(
            &path,
            daemon.word(),
            &[("listen", listens), ("addresses", told)],
        )
    }

    /// All ports are looked at before anything is started.
    fn check_ports(&self, wanted: &[Daemon]) -> Result<(), MachineError> {
        for daemon in wanted {
            if *daemon == Daemon::Client || running(&self.layout, *daemon).is_some() {
                continue;
            }
            for address in listen::configured(&self.layout, *daemon)? {
                ports::try_listen(address).map_err(|refused| match refused {
                    ports::Refused::Taken => MachineError::PortTaken {
                        address: address.to_string(),
                        holder: ports::holder(address.port()),
                        command: "up".into(),
                        free: ports::free_base(self.arguments.port_base),
                        config: self.layout.config(*daemon),
                    },
                    ports::Refused::Other(source) => MachineError::Address {
                        address: address.to_string(),
                        source,
                    },
                })?;
            }
        }
        Ok(())
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
        let access = load(&self.layout.admin_file(), None)?;
        Ok(Director::open(&access).await?)
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
        if !self.layout.is_enrolled(daemon) {
            let token = match (&self.arguments.token, local) {
                (Some(token), _) => token.clone(),
                (None, true) => enrol::token(&self.connection().await?, daemon, &name).await?,
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
            enrol::enrol(&self.layout, &self.programs, daemon, &token).await?;
        }
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

/// Listen addresses as this machine dials them: a wildcard is reached by loopback, and loopback comes first.
fn dialled(listen: &[String]) -> Vec<String> {
    let mut addresses: Vec<String> = listen
        .iter()
        .map(|a| {
            a.replace("0.0.0.0:", "127.0.0.1:")
                .replace("[::]:", "127.0.0.1:")
        })
        .collect();
    addresses.sort_by_key(|a| !(a.starts_with("127.") || a.starts_with("[::1]")));
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_dials_loopback_first() {
        let listen = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            dialled(&listen(&["192.0.2.1:9311", "127.0.0.1:9311"])),
            ["127.0.0.1:9311", "192.0.2.1:9311"]
        );
        assert_eq!(dialled(&listen(&["0.0.0.0:9311"])), ["127.0.0.1:9311"]);
    }
}
