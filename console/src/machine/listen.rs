//! `--listen`: which addresses the daemons of this machine listen on, and which ones others are told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use common::durable;
use toml_edit::{Array, DocumentMut};

use super::defaults::Addresses;
use super::{Daemon, Layout, MachineError, file};

/// The Storage Daemon's port is so much above the Director's.
const STORAGE_OFFSET: u16 = 2;

/// Addresses for a listen address (loopback when none) and a base port.
#[must_use]
pub fn addresses(listen: Option<IpAddr>, base: u16) -> Addresses {
    let storage_port = base.saturating_add(STORAGE_OFFSET);
    let hosts = reached_by(listen);
    let at = |hosts: &[String], port: u16| {
        hosts
            .iter()
            .map(|h| format!("{h}:{port}"))
            .collect::<Vec<_>>()
    };
    let listens = listened(listen);
    Addresses {
        director_listen: at(&listens, base),
        director: at(&hosts, base),
        storage_listen: at(&listens, storage_port),
        storage: at(&hosts, storage_port),
    }
}

/// Loopback always, for the console and the client of this machine, and what was asked for.
fn listened(listen: Option<IpAddr>) -> Vec<String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match listen {
        None => vec![host(loopback)],
        Some(ip) if ip.is_loopback() || ip.is_unspecified() => vec![host(ip)],
        Some(ip) => vec![host(loopback), host(ip)],
    }
}

fn reached_by(listen: Option<IpAddr>) -> Vec<String> {
    match listen {
        None => vec![host(IpAddr::V4(Ipv4Addr::LOCALHOST))],
        Some(ip) if ip.is_unspecified() => {
            vec![host(outward().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))]
        }
        Some(ip) => vec![host(ip)],
    }
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// This machine's address on the way out: a datagram socket is connected, nothing is sent.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // 192.0.2.1 is kept for documentation: only the routing table is asked.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The addresses a daemon's configuration says it listens on.
pub(super) fn configured(layout: &Layout, daemon: Daemon) -> Result<Vec<SocketAddr>, MachineError> {
    let path = layout.config(daemon);
    let texts = strings(&path, daemon.word(), "listen")?;
    texts
        .iter()
        .map(|text| {
            text.parse().map_err(|_| MachineError::Content {
                path: path.clone(),
                reason: format!(
                    "`listen` in [{}] holds {text:?}, which is no address:port",
                    daemon.word()
                ),
            })
        })
        .collect()
}

/// A list of texts in a configuration; empty when it is not there.
pub(super) fn strings(path: &Path, table: &str, name: &str) -> Result<Vec<String>, MachineError> {
    let document = parse(path)?;
    let array = document
        .get(table)
        .and_then(|t| t.get(name))
        .and_then(|v| v.as_array());
    Ok(array
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str())
        .map(str::to_owned)
        .collect())
}

/// One text in a configuration.
pub(super) fn string(path: &Path, table: &str, name: &str) -> Result<Option<String>, MachineError> {
    let document = parse(path)?;
    let value = document
        .get(table)
        .and_then(|t| t.get(name))
        .and_then(|v| v.as_str());
    Ok(value.map(str::to_owned))
}

/// Writes other addresses into a configuration and keeps everything else of it, comments too.
pub(super) fn set(
    path: &Path,
    table: &str,
    values: &[(&str, &[String])],
) -> Result<(), MachineError> {
    let mut document = parse(path)?;
    for (name, texts) in values {
        let array: Array = texts.iter().map(String::as_str).collect();
        let Some(table) = document.get_mut(table).and_then(|t| t.as_table_mut()) else {
            return Err(MachineError::Content {
                path: path.to_owned(),
                reason: format!("has no table [{table}]"),
            });
        };
        match table.get_mut(name).and_then(|item| item.as_value_mut()) {
            Some(value) => {
                let decor = value.decor().clone();
                *value = array.into();
                *value.decor_mut() = decor;
            }
            None => {
                table.insert(name, toml_edit::value(array));
            }
        }
    }
    durable::write_atomic(path, document.to_string().as_bytes(), 0o640).map_err(file("write", path))
}

fn parse(path: &Path) -> Result<DocumentMut, MachineError> {
    let text = std::fs::read_to_string(path).map_err(file("read", path))?;
    text.parse()
        .map_err(|e: toml_edit::TomlError| MachineError::Content {
            path: path.to_owned(),
            reason: e.to_string(),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_always_listened_on() {
        let a = addresses(None, 9311);
        assert_eq!(
            (a.director_listen, a.storage),
            (
                vec!["127.0.0.1:9311".to_owned()],
                vec!["127.0.0.1:9313".to_owned()]
            )
        );
        let a = addresses(Some("192.0.2.10".parse().unwrap()), 9411);
        assert_eq!(a.director_listen, ["127.0.0.1:9411", "192.0.2.10:9411"]);
        assert_eq!(a.storage, ["192.0.2.10:9413"]);
        let a = addresses(Some("::".parse().unwrap()), 9311);
        assert_eq!(a.director_listen, ["[::]:9311"]);
        assert!(!a.director[0].starts_with("[::]"));
    }

    #[test]
    fn comments_stay_when_addresses_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("director.toml");
        std::fs::write(
            &path,
            "# top\n[director]\nlisten = [\"127.0.0.1:1\"] # why\n",
        )
        .unwrap();
        set(
            &path,
            "director",
            &[
                ("listen", &["h:2".to_owned()]),
                ("addresses", &["a:3".to_owned()]),
            ],
        )
        .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "# top\n[director]\nlisten = [\"h:2\"] # why\naddresses = [\"a:3\"]\n"
        );
        assert_eq!(strings(&path, "director", "listen").unwrap(), ["h:2"]);
    }
}
