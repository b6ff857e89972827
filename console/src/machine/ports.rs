//! Whether an address can be listened on, and who holds it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// Why an address cannot be used.
#[derive(Debug)]
pub(super) enum Refused {
    /// Somebody listens there.
    Taken,
    /// Anything else: no such address, not permitted.
    Other(std::io::Error),
}

/// Tries to listen on an address.
pub(super) fn try_listen(address: SocketAddr) -> Result<(), Refused> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Err(Refused::Taken),
        Err(e) => Err(Refused::Other(e)),
    }
}

/// A base above `from` whose two ports are free on loopback.
pub(super) fn free_base(from: u16) -> u16 {
    let free = |port: u16| try_listen(SocketAddr::from(([127, 0, 0, 1], port))).is_ok();
    (1..=50u16)
        .filter_map(|step| from.checked_add(step * 100))
        .find(|base| {
            base.checked_add(2)
                .is_some_and(|second| free(*base) && free(second))
        })
        .unwrap_or(from.wrapping_add(100))
}

/// Who listens on a port: `nginx (pid 123)`; a word when it cannot be told.
pub(super) fn holder(port: u16) -> String {
    let found = listening_inodes(port)
        .into_iter()
        .find_map(|inode| process_with(&inode));
    found.unwrap_or_else(|| "another program (as root, `ss -ltnp` names it)".to_owned())
}

fn listening_inodes(port: u16) -> Vec<String> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        inodes.extend(text.lines().filter_map(|line| listening_inode(line, port)));
    }
    inodes
}

/// The socket's inode when this line of `/proc/net/tcp` is a listener on `port`.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (_, hex) = local.rsplit_once(':')?;
    let matches = *state == "0A" && u16::from_str_radix(hex, 16).ok()? == port;
    matches.then(|| (*inode).to_owned())
}

fn process_with(inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    for pid in super::process::all_pids() {
        let folder = format!("/proc/{pid}/fd");
        let Ok(open) = std::fs::read_dir(Path::new(&folder)) else {
            continue;
        };
        let holds = open.flatten().any(|fd| {
            std::fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        });
        if holds {
            let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            let name = common::name::Shown(name.trim_ascii()).to_string();
            return Some(format!("{name} (pid {pid})"));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named() {
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = here.local_addr().unwrap();
        assert!(matches!(try_listen(address), Err(Refused::Taken)));
        assert!(holder(address.port()).contains(&format!("pid {}", std::process::id())));
    }

    #[test]
    fn only_listeners_on_the_port_count() {
        let line = "   0: 0100007F:2461 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0";
        assert_eq!(listening_inode(line, 9313).as_deref(), Some("4242"));
        assert_eq!(listening_inode(line, 9311), None);
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 9313), None);
    }
}
