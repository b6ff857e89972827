//! The configurations of a fresh installation, with the comments that let a person go on by hand.
//!
//! Invariant: a file that is there is never overwritten.

use std::path::Path;

use common::durable;

use super::{Daemon, Layout, MachineError, file};

/// Where the daemons of an installation listen, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Director: `host:port` to listen on.
    pub director_listen: Vec<String>,
    /// Director: how others reach it.
    pub director: Vec<String>,
    /// Storage Daemon: `host:port` to listen on.
    pub storage_listen: Vec<String>,
    /// Storage Daemon: how File Daemons reach it.
    pub storage: Vec<String>,
}

/// Labels of a fresh installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The Storage Daemon.
    pub storage: String,
    /// The client: this machine.
    pub client: String,
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts
        .iter()
        .map(|t| toml::Value::from(t.as_str()).to_string())
        .collect();
    format!("[{}]", quoted.join(", "))
}

fn key(text: &str) -> String {
    let bare = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare {
        text.to_owned()
    } else {
        toml::Value::from(text).to_string()
    }
}

/// `director.toml`
#[must_use]
pub fn director(addresses: &Addresses, labels: &Labels) -> String {
    format!(
        "\
# The Director of this installation. `holdfast check-config` checks changes, `holdfast reload` takes them into use.
# What the console creates (jobs, clients, ...) is written to conf.d beside this file.
[director]
listen = {}
addresses = {}   # how other machines reach it; goes into the tokens of new clients

[catalog]
# url = \"postgres://holdfast@db.example/holdfast\"   # without it: a private PostgreSQL in pg/

[storage.{storage}]

[pool.main]
storage = {}
# keep = \"30d\"   # how long snapshots are kept; without it for ever

[client.{}]
",
        list(&addresses.director_listen),
        list(&addresses.director),
        toml::Value::from(labels.storage.as_str()),
        key(&labels.client),
        storage = key(&labels.storage),
    )
}

/// `storage.toml`
#[must_use]
pub fn storage(addresses: &Addresses, name: &str) -> String {
    format!(
        "\
# The Storage Daemon of this machine. `holdfast down` and `holdfast up` take changes into use.
[storage]
name = {}
listen = {}
addresses = {}   # how File Daemons reach it
director = {}

[device.disk]
path = \"volumes\"       # below the folder of this file, or absolute
max_volume = \"2GiB\"
",
        toml::Value::from(name),
        list(&addresses.storage_listen),
        list(&addresses.storage),
        list(&addresses.director),
    )
}

/// `client.toml`
#[must_use]
pub fn client(director: &[String], name: &str) -> String {
    format!(
        "\
# The File Daemon of this machine. `holdfast down --only client` and `holdfast up` take changes into use.
[client]
name = {}
director = {}
permit_backup = [\"/\"]    # what a Director may read here
permit_restore = [\"/\"]   # where it may write
",
        toml::Value::from(name),
        list(director),
    )
}

/// Writes a configuration unless there is one.
pub(super) fn write_once(
    layout: &Layout,
    daemon: Daemon,
    text: &str,
) -> Result<Wrote, MachineError> {
    let path = layout.config(daemon);
    if is_there(&path)? {
        return Ok(Wrote::Kept);
    }
    durable::write_atomic(&path, text.as_bytes(), 0o640).map_err(file("write", &path))?;
    Ok(Wrote::New)
}

/// Whether a file was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// Made now.
    New,
    /// It was there.
    Kept,
}

pub(super) fn is_there(path: &Path) -> Result<bool, MachineError> {
    path.try_exists().map_err(file("look at", path))
}

/// This machine's name as a client's label.
#[must_use]
pub fn host_label() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    label(&host)
}

fn label(host: &str) -> String {
    let first = host.trim().split('.').next().unwrap_or_default();
    let clean: String = first
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    let clean = clean.trim_start_matches(['-', '_']);
    if clean.is_empty() {
        "client".to_owned()
    } else {
        clean.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_whole_toml() {
        let one = |text: &str| vec![text.to_owned()];
        let addresses = Addresses {
            director_listen: one("127.0.0.1:9311"),
            director: one("127.0.0.1:9311"),
            storage_listen: one("127.0.0.1:9313"),
            storage: one("127.0.0.1:9313"),
        };
        let labels = Labels {
            storage: "local".into(),
            client: "web.01".into(),
        };
        let parsed: toml::Table = director(&addresses, &labels).parse().unwrap();
        assert!(parsed["client"].as_table().unwrap().contains_key("web.01"));
        assert_eq!(parsed["pool"]["main"]["storage"].as_str(), Some("local"));
        let parsed: toml::Table = storage(&addresses, "local").parse().unwrap();
        assert_eq!(
            parsed["storage"]["listen"][0].as_str(),
            Some("127.0.0.1:9313")
        );
        let parsed: toml::Table = client(&addresses.director, "w\"x").parse().unwrap();
        assert_eq!(parsed["client"]["name"].as_str(), Some("w\"x"));
    }

    #[test]
    fn labels_come_from_host_names() {
        for (host, name) in [
            ("web01.example.org\n", "web01"),
            ("", "client"),
            ("_a b", "a-b"),
            ("-", "client"),
        ] {
            assert_eq!(label(host), name);
        }
    }
}
