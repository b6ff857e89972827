//! Whose tickets count: the Director's ticket key and the lowest term, kept in the state folder, so that a session opens
//! while the Director is away. Invariant: a term never falls.

use std::io;
use std::path::{Path, PathBuf};

use common::clock::now_ms;
use common::durable::{SECRET, write_atomic};
use common::ids::{Identity, Term};
use common::net::ticket::{Holders, TicketVerifier};
use common::protocol::fault::{Fault, code};
use common::protocol::ticket::Ticket;
use parking_lot::RwLock;

use super::backup::chain;

const KEY_BYTES: usize = 32;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    term: u64,
    key: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Authority {
    path: PathBuf,
    me: Identity,
    known: RwLock<Known>,
}

impl Authority {
    /// Reads what is known; nothing before the first conversation with the Director.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(state: &Path, me: Identity) -> io::Result<Self> {
        let path = state.join("authority");
        let known = match std::fs::read(&path) {
            Ok(bytes) => decode(&bytes).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Known::default(),
            Err(e) => return Err(e),
        };
        Ok(Self {
            path,
            me,
            known: RwLock::new(known),
        })
    }

    /// This Storage Daemon.
    #[must_use]
    pub fn me(&self) -> Identity {
        self.me
    }

    /// The lowest term that counts.
    #[must_use]
    pub fn term(&self) -> Term {
        Term(self.known.read().term)
    }

    /// Takes what the Director says: a higher or equal term, and its key.
    ///
    /// # Errors
    /// A lower term is refused; or the file cannot be written.
    pub fn learn(&self, term: Term, key: &[u8]) -> io::Result<()> {
        let mut known = self.known.write();
        if term.0 < known.term || key.len() != KEY_BYTES {
            let text = format!(
                "term {term} or its key is refused: the current term is {}",
                known.term
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let new = Known {
            term: term.0,
            key: key.to_vec(),
        };
        if *known != new {
            write_atomic(&self.path, &encode(&new), SECRET)?;
            *known = new;
        }
        Ok(())
    }

    /// Whether an order of this term counts.
    ///
    /// # Errors
    /// Of a lower term.
    pub fn check_term(&self, term: Term) -> Result<(), Fault> {
        let current = self.term();
        if term >= current {
            return Ok(());
        }
        let text = format!("order of term {term}, the current term is {current}");
        Err(Fault::new(code::REFUSED, text))
    }

    /// Checks a ticket that a client with this certificate presents.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn check(&self, signed: &[u8], client: Identity, what: &str) -> Result<Ticket, Fault> {
        let (key, floor) = {
            let known = self.known.read();
            (known.key.clone(), Term(known.term))
        };
        if key.is_empty() {
            let text = "this Storage Daemon has not met its Director yet";
            return Err(Fault::passing(code::TICKET, text));
        }
        let holders = Holders {
            client,
            storage: self.me,
        };
        let ticket = TicketVerifier::new(key)
            .check(signed, now_ms(), holders, floor)
            .map_err(|e| Fault::new(code::TICKET, chain(&e)))?;
        if ticket.what == what {
            Ok(ticket)
        } else {
            let text = format!("the ticket allows {:?}, not {what}", ticket.what);
            Err(Fault::new(code::REFUSED, text))
        }
    }
}

fn encode(known: &Known) -> Vec<u8> {
    let mut out = known.term.to_le_bytes().to_vec();
    out.extend_from_slice(&known.key);
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Known> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let (term, key) = body.split_first_chunk::<8>()?;
    let whole = crc32fast::hash(body) == u32::from_le_bytes(*crc) && key.len() == KEY_BYTES;
    whole.then(|| Known {
        term: u64::from_le_bytes(*term),
        key: key.to_vec(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use common::ids::Role;
    use uuid::Uuid;

    #[test]
    fn a_term_never_falls_and_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let me = Identity {
            role: Role::Storage,
            id: Uuid::nil(),
        };
        let authority = Authority::open(dir.path(), me).unwrap();
        assert!(
            authority
                .check(b"x", me, "backup")
                .unwrap_err()
                .text
                .contains("not met its Director")
        );
        authority.learn(Term(5), &[7; 32]).unwrap();
        assert!(authority.learn(Term(4), &[7; 32]).is_err());
        assert!(authority.learn(Term(6), &[7; 3]).is_err());
        drop(authority);
        let authority = Authority::open(dir.path(), me).unwrap();
        assert_eq!(authority.term(), Term(5));
        assert!(authority.check_term(Term(4)).is_err());
        assert_eq!(
            authority.check(b"x", me, "backup").unwrap_err().code,
            code::TICKET
        );
    }
}
