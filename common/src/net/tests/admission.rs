//! Who gets in: role, installation, age, revocation; and what strangers can hold open.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::{LIMIT, Listening};
use crate::clock::now_ms;
use crate::ids::{Identity, Role};
use crate::net::acceptor::{MAX_UNKNOWN_PER_ADDRESS, Purpose};
use crate::net::connect::connect;
use crate::net::issuer::{DAY_MS, Validity};
use crate::net::pki::CredentialStore;
use crate::net::testing::Installation;
use crate::protocol::frame::{FrameType, alpn};

const DIRECTOR: &[Purpose] = &[
    Purpose::Control,
    Purpose::Enrol,
    Purpose::Renew,
    Purpose::Http,
];

fn file() -> Identity {
    Identity {
        role: Role::File,
        id: Uuid::new_v4(),
    }
}

/// Dials the Director; the server's verdict on the client's certificate arrives with the first read.
async fn verdict(
    listening: &Listening,
    installation: &Installation,
    alpn: &'static [u8],
    who: &CredentialStore,
) -> Result<(), String> {
    let to = [listening.address.clone()];
    let mut connection = connect(&to, installation.director, alpn, who)
        .await
        .map_err(|e| e.to_string())?;
    connection.reader.set_idle(Duration::from_millis(500));
    match connection.reader.read().await {
        Err(crate::net::framed::FrameError::Silent(_)) => Ok(()),
        Err(e) => Err(crate::net::control::chain(&e)),
        Ok(_) => Err("ended".into()),
    }
}

#[tokio::test]
async fn a_certificate_of_another_installation_is_refused_both_ways() {
    let (ours, theirs) = (Installation::new().unwrap(), Installation::new().unwrap());
    let listening = Listening::on(&ours.director_store().unwrap(), DIRECTOR).await;
    let stranger = theirs.daemon(Role::File).unwrap();
    // The stranger does not trust our Director.
    let error = verdict(&listening, &ours, alpn::CONTROL, &stranger)
        .await
        .unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    // One that trusts our root but was signed elsewhere: our Director does not trust it.
    let genuine = ours.daemon(Role::File).unwrap().current();
    let signed = theirs
        .credentials(genuine.identity, Validity::of(now_ms(), DAY_MS))
        .unwrap();
    let forged = CredentialStore::in_memory(crate::net::pki::Credentials {
        root: genuine.root.clone(),
        ..signed
    });
    let error = verdict(&listening, &ours, alpn::CONTROL, &forged)
        .await
        .unwrap_err();
    assert!(error.contains("connection lost"), "{error}");
}

#[tokio::test]
async fn a_peer_of_another_identity_is_not_who_was_dialled() {
    let installation = Installation::new().unwrap();
    let storage = installation.daemon(Role::Storage).unwrap();
    let listening = Listening::on(&storage, &[Purpose::Data]).await;
    let client = installation.daemon(Role::File).unwrap();
    let to = ["127.0.0.1:1".to_owned(), listening.address.clone()];
    let wanted = Identity {
        role: Role::Storage,
        id: Uuid::new_v4(),
    };
    let error = connect(&to, wanted, alpn::DATA, &client).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.failures.len(), 2);
    assert!(
        text.contains("127.0.0.1:1: ") && text.contains(&listening.address),
        "{text}"
    );
}

#[tokio::test]
async fn an_expired_certificate_opens_renewal_and_nothing_else() {
    let installation = Installation::new().unwrap();
    let mut listening = Listening::on(&installation.director_store().unwrap(), DIRECTOR).await;
    let long_ago = Validity {
        from_ms: now_ms() - 90 * DAY_MS,
        until_ms: now_ms() - 30 * DAY_MS,
    };
    // The issuing certificate of the test installation is younger than that: the chain is judged at that time.
    let expired = Validity {
        from_ms: now_ms() - 9 * 60_000,
        until_ms: now_ms() - 60_000,
    };
    let me = CredentialStore::in_memory(installation.credentials(file(), expired).unwrap());
    let error = verdict(&listening, &installation, alpn::CONTROL, &me)
        .await
        .unwrap_err();
    assert!(error.to_lowercase().contains("expired"), "{error}");
    verdict(&listening, &installation, alpn::RENEW, &me)
        .await
        .unwrap();
    let accepted = listening.next().await;
    assert_eq!(accepted.peer.unwrap().identity, me.current().identity);
    let older = CredentialStore::in_memory(installation.credentials(file(), long_ago).unwrap());
    assert!(
        verdict(&listening, &installation, alpn::RENEW, &older)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_its_holder_can_be_watched() {
    let installation = Installation::new().unwrap();
    let director = installation.director_store().unwrap();
    let mut listening = Listening::on(&director, DIRECTOR).await;
    let me = installation.daemon(Role::File).unwrap();
    verdict(&listening, &installation, alpn::CONTROL, &me)
        .await
        .unwrap();
    let serial = listening.next().await.peer.unwrap().serial;
    assert_eq!(serial, me.current().own.serial);
    let watched = director.clone();
    let watch = tokio::spawn(async move { watched.revoked().revoked(&serial).await });
    director
        .revoked()
        .replace([vec![1], me.current().own.serial.clone()]);
    tokio::time::timeout(LIMIT, watch).await.unwrap().unwrap();
    for purpose in [alpn::CONTROL, alpn::RENEW] {
        assert!(
            verdict(&listening, &installation, purpose, &me)
                .await
                .is_err()
        );
    }
    // And the other way round: a client told of it does not talk to a revoked server.
    let other = installation.daemon(Role::File).unwrap();
    other
        .revoked()
        .replace([director.current().own.serial.clone()]);
    let error = verdict(&listening, &installation, alpn::CONTROL, &other)
        .await
        .unwrap_err();
    assert!(error.contains("revoked"), "{error}");
}

#[tokio::test]
async fn a_listener_speaks_only_its_own_protocols() {
    let installation = Installation::new().unwrap();
    let storage = installation.daemon(Role::Storage).unwrap();
    let listening = Listening::on(&storage, &[Purpose::Data]).await;
    let me = installation.daemon(Role::File).unwrap();
    let to = [listening.address.clone()];
    let peer = storage.current().identity;
    assert!(connect(&to, peer, alpn::CONTROL, &me).await.is_err());
    assert!(connect(&to, peer, alpn::DATA, &me).await.is_ok());
}

#[tokio::test]
async fn plain_text_and_random_bytes_end_at_once() {
    let installation = Installation::new().unwrap();
    let listening = Listening::on(&installation.director_store().unwrap(), DIRECTOR).await;
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xa5; 4096]] {
        let mut tcp = TcpStream::connect(&listening.address).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tcp.read_to_end(&mut answer);
        // An alert, or a reset, and soon.
        let _ = tokio::time::timeout(Duration::from_secs(5), read)
            .await
            .unwrap();
        assert!(answer.len() < 100);
    }
}

#[tokio::test]
async fn strangers_hold_only_so_many_connections_and_not_for_long() {
    let installation = Installation::new().unwrap();
    let mut listening = Listening::on(&installation.director_store().unwrap(), DIRECTOR).await;
    let begun = std::time::Instant::now();
    let mut silent = Vec::new();
    for _ in 0..MAX_UNKNOWN_PER_ADDRESS {
        silent.push(TcpStream::connect(&listening.address).await.unwrap());
    }
    // One too many is closed at once.
    let mut extra = TcpStream::connect(&listening.address).await.unwrap();
    assert!(matches!(extra.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    // The silent ones are closed after the limit, and then a daemon gets in.
    let mut first = silent.remove(0);
    let mut byte = [0; 1];
    let closed = first.read(&mut byte);
    let closed = tokio::time::timeout(LIMIT, closed).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert!(begun.elapsed() >= Duration::from_secs(9));
    let me = installation.daemon(Role::File).unwrap();
    let to = [listening.address.clone()];
    let mut connection = None;
    for _ in 0..50 {
        connection = connect(&to, installation.director, alpn::CONTROL, &me)
            .await
            .ok();
        if connection.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut connection = connection.unwrap();
    let accepted = listening.next().await;
    assert!(accepted.unknown.is_none());
    let mut server = accepted.into_connection().unwrap();
    connection
        .writer
        .write(FrameType::Ping, 0, &[])
        .await
        .unwrap();
    connection.writer.flush().await.unwrap();
    assert!(server.reader.read().await.unwrap().is_some());
}
