//! Signing tickets in the Director and checking them in the Storage Daemon.
//!
//! A ticket is good for one client certificate, one Storage Daemon, one term or later, until it expires. Nothing in it
//! is looked at before its signature is checked.

use std::io;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use prost::Message;

use crate::durable;
use crate::ids::{Identity, Role, Term};
use crate::protocol::ticket::{SignedTicket, Ticket};

/// Why a ticket is not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TicketError {
    /// Not a ticket.
    #[error("ticket cannot be read")]
    Malformed,
    /// Not signed by this installation's Director.
    #[error("ticket is not signed by this installation's Director")]
    Signature,
    /// For another client.
    #[error("ticket is for another client than the one whose certificate came")]
    Client,
    /// For another Storage Daemon.
    #[error("ticket is for another Storage Daemon")]
    Storage,
    /// Of a Director that was replaced.
    #[error("ticket is of term {ticket}, the current term is {current}")]
    Term {
        /// The ticket's.
        ticket: u64,
        /// What this daemon has seen.
        current: u64,
    },
    /// Too late.
    #[error(
        "ticket expired {late_ms} ms ago by this daemon's clock; check the clocks if the run has just begun"
    )]
    Expired {
        /// By this daemon's clock.
        late_ms: i64,
    },
}

/// Why the signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TicketKeyError {
    /// Its file.
    #[error("cannot read or write the ticket key")]
    Io(#[from] io::Error),
    /// Its content, or the provider.
    #[error("ticket key is no Ed25519 key")]
    Key,
}

/// The Director's signing key.
#[derive(Debug)]
pub struct TicketKey {
    pair: Ed25519KeyPair,
}

impl TicketKey {
    /// Makes a fresh key.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn generate() -> Result<Self, TicketKeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| TicketKeyError::Key)?;
        Ok(Self { pair })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// Unreadable or not a key.
    pub fn load(path: &Path) -> Result<Self, TicketKeyError> {
        let der = std::fs::read(path)?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| TicketKeyError::Key)?;
        Ok(Self { pair })
    }

    /// Writes the key file (0600, PKCS#8 DER).
    ///
    /// # Errors
    /// What the file system said.
    pub fn save(&self, path: &Path) -> Result<(), TicketKeyError> {
        let der: Pkcs8V1Der<'static> =
            AsDer::as_der(&self.pair).map_err(|_| TicketKeyError::Key)?;
        Ok(durable::write_atomic(path, der.as_ref(), durable::SECRET)?)
    }

    /// The public half, as Welcome carries it.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// Signs; the bytes go into an order and from there into Open.
    #[must_use]
    pub fn sign(&self, ticket: &Ticket) -> Vec<u8> {
        let ticket = ticket.encode_to_vec();
        let signature = self.pair.sign(&SignedTicket::signed_bytes(&ticket));
        SignedTicket {
            signature: signature.as_ref().to_vec(),
            ticket,
        }
        .encode_to_vec()
    }
}

/// What a Storage Daemon checks tickets with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketVerifier {
    public_key: Vec<u8>,
}

impl TicketVerifier {
    /// From Welcome's `ticket_key`.
    #[must_use]
    pub fn new(public_key: Vec<u8>) -> Self {
        Self { public_key }
    }

    /// Checks signature, holder, target, term and expiry. `storage` is the daemon that asks, `floor` the highest term
    /// it has seen.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn check(
        &self,
        bytes: &[u8],
        now_ms: i64,
        holders: Holders,
        floor: Term,
    ) -> Result<Ticket, TicketError> {
        let signed = SignedTicket::from_bytes(bytes).map_err(|_| TicketError::Malformed)?;
        let key = UnparsedPublicKey::new(&ED25519, &self.public_key);
        key.verify(
            &SignedTicket::signed_bytes(&signed.ticket),
            &signed.signature,
        )
        .map_err(|_| TicketError::Signature)?;
        let ticket =
            Ticket::decode(signed.ticket.as_slice()).map_err(|_| TicketError::Malformed)?;
        let Holders { client, storage } = holders;
        if client.role != Role::File || ticket.client_id != client.id.as_bytes() {
            return Err(TicketError::Client);
        }
        if storage.role != Role::Storage || ticket.storage_id != storage.id.as_bytes() {
            return Err(TicketError::Storage);
        }
        if ticket.term < floor.0 {
            return Err(TicketError::Term {
                ticket: ticket.term,
                current: floor.0,
            });
        }
        if now_ms > ticket.expires_ms {
            return Err(TicketError::Expired {
                late_ms: now_ms.saturating_sub(ticket.expires_ms),
            });
        }
        Ok(ticket)
    }
}

/// Who presents a ticket, by certificate, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders {
    /// The File Daemon at the other end.
    pub client: Identity,
    /// This Storage Daemon.
    pub storage: Identity,
}
