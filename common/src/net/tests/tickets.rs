//! Tickets: what a client may not do with one.

use crate::ids::{Identity, Role, Term};
use crate::net::ticket::{Holders, TicketError, TicketKey, TicketVerifier};
use crate::protocol::ticket::{SignedTicket, Ticket};
use prost::Message;
use uuid::Uuid;

fn holders(client: u128, storage: u128) -> Holders {
    let identity = |role, id| Identity {
        role,
        id: Uuid::from_u128(id),
    };
    Holders {
        client: identity(Role::File, client),
        storage: identity(Role::Storage, storage),
    }
}

fn ticket() -> Ticket {
    Ticket {
        what: "backup".into(),
        job_id: 17,
        term: 3,
        client_id: Uuid::from_u128(1).as_bytes().to_vec(),
        storage_id: Uuid::from_u128(2).as_bytes().to_vec(),
        expires_ms: 1_000,
        ..Ticket::default()
    }
}

#[test]
fn a_ticket_is_good_for_its_holder_target_term_and_time_only() {
    let key = TicketKey::generate().unwrap();
    let verifier = TicketVerifier::new(key.public_key());
    let bytes = key.sign(&ticket());
    let check = |now, holders, floor| verifier.check(&bytes, now, holders, Term(floor));
    assert_eq!(check(1_000, holders(1, 2), 3).unwrap(), ticket());
    assert_eq!(check(0, holders(9, 2), 3), Err(TicketError::Client));
    assert_eq!(check(0, holders(1, 9), 3), Err(TicketError::Storage));
    let lower = TicketError::Term {
        ticket: 3,
        current: 4,
    };
    assert_eq!(check(0, holders(1, 2), 4), Err(lower));
    let late = TicketError::Expired { late_ms: 1 };
    assert_eq!(check(1_001, holders(1, 2), 3), Err(late));
    // A Storage Daemon's certificate is no client's, whatever its uuid.
    let mut as_client = holders(1, 2);
    as_client.client.role = Role::Storage;
    assert_eq!(check(0, as_client, 3), Err(TicketError::Client));
}

#[test]
fn a_forged_or_changed_ticket_is_refused() {
    let key = TicketKey::generate().unwrap();
    let verifier = TicketVerifier::new(key.public_key());
    let other = TicketKey::generate().unwrap().sign(&ticket());
    let check = |bytes: &[u8]| verifier.check(bytes, 0, holders(1, 2), Term(0));
    assert_eq!(check(&other), Err(TicketError::Signature));
    assert_eq!(check(b"\xff\xff"), Err(TicketError::Malformed));
    assert_eq!(check(b""), Err(TicketError::Signature));
    let bytes = key.sign(&ticket());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(check(&changed).is_err(), "byte {at}");
    }
    // Signed by the right key, but without the context: good for nothing.
    let mut signed = SignedTicket::from_bytes(&bytes).unwrap();
    signed.ticket = [crate::protocol::ticket::CONTEXT, &signed.ticket].concat();
    assert_eq!(check(&signed.encode_to_vec()), Err(TicketError::Signature));
}

#[test]
fn a_key_comes_back_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticket.key");
    let key = TicketKey::generate().unwrap();
    key.save(&path).unwrap();
    let back = TicketKey::load(&path).unwrap();
    assert_eq!(back.public_key(), key.public_key());
    assert_eq!(back.sign(&ticket()), key.sign(&ticket()));
    crate::durable::write_atomic(&path, b"no key", 0o600).unwrap();
    assert!(TicketKey::load(&path).is_err());
}
