//! What `up` checks and writes before anything is started: PostgreSQL, configurations, ports.
//!
//! Invariant: a configuration that is there keeps everything but the addresses that `--listen` names.

use nix::unistd::User;

use super::defaults::{self, Addresses, Labels, is_there, write_once};
use super::process::running;
use super::up::Up;
use super::{Daemon, Layout, MachineError, enrol, layout, listen, ports, programs};

/// Refuses before anything is written: no PostgreSQL, or a folder its user cannot reach.
pub(super) fn check_postgres(layout: &Layout) -> Result<(), MachineError> {
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
    /// Writes what is missing; `--listen` changes what is there unless it runs.
    pub(super) fn write_configurations(&mut self, wanted: &[Daemon]) -> Result<(), MachineError> {
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
    pub(super) fn check_ports(&self, wanted: &[Daemon]) -> Result<(), MachineError> {
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
}

/// Listen addresses as this machine dials them: a wildcard is reached by loopback, and loopback comes first.
pub(super) fn dialled(listen: &[String]) -> Vec<String> {
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
