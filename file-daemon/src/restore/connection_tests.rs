//! The stream over TLS on loopback: windows are answered, faults and lost connections are told as what they are.

use std::sync::Arc;
use std::time::Duration;

use common::ids::Role;
use common::net::acceptor::{Acceptor, Purpose};
use common::net::connect::Connection as Peer;
use common::net::testing::Installation;
use common::protocol::data::Opened;
use common::protocol::fault::{Fault, code};
use common::protocol::frame::FrameType;
use common::protocol::orders::{RestoreOrder, StorageTarget};
use common::protocol::restore::{OpenRestore, Window};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::test_server::{Node, Server};
use super::tests::{context, order};
use super::*;

/// A message as a frame.
fn frame(message: Message) -> (FrameType, Vec<u8>) {
    match message {
        Message::Items(m) => (FrameType::Items, m.encode()),
        Message::AttributeValue(m) => (FrameType::AttributeValue, m.encode()),
        Message::ChunkNames(m) => (FrameType::ChunkNames, m.encode()),
        Message::Delivery(m) => (
            FrameType::Delivery,
            [m.encode_head(), m.segment.payload.to_vec()].concat(),
        ),
        Message::Lost(m) => (FrameType::Lost, m.encode_to_vec()),
        Message::WindowEnd(m) => (FrameType::WindowEnd, m.encode_to_vec()),
        Message::End(m) => (FrameType::RestoreEnd, m.encode_to_vec()),
    }
}

/// What the server of a test does after the request.
#[derive(Clone)]
enum Play {
    /// Streams, never more than two windows ahead of the answers.
    Stream(Vec<Node>),
    /// Refuses the ticket.
    Refuse,
    /// Ends in the middle.
    Vanish(Vec<Node>),
    /// Opens, then says nothing.
    Silent,
}

async fn serve(mut peer: Peer, play: Play) -> OpenRestore {
    let asked: OpenRestore = peer
        .reader
        .expect(FrameType::OpenRestore, "OpenRestore")
        .await
        .unwrap();
    if matches!(play, Play::Refuse) {
        let fault = Fault::new(code::TICKET, "the ticket expired");
        peer.writer
            .send_message(FrameType::Fault, &fault)
            .await
            .unwrap();
        return asked;
    }
    peer.writer
        .send_message(FrameType::Opened, &Opened::default())
        .await
        .unwrap();
    let (nodes, most) = match play {
        Play::Stream(nodes) => (nodes, usize::MAX),
        Play::Vanish(nodes) => (nodes, 3),
        _ => {
            while let Ok(Some(_)) = peer.reader.read().await {}
            return asked;
        }
    };
    let server = Server {
        window_entries: 5,
        ..Server::default()
    };
    let (mut sent, mut answered) = (0, 0);
    for message in server.stream(&nodes).messages.into_iter().take(most) {
        sent += u64::from(matches!(message, Message::WindowEnd(_)));
        let (kind, body) = frame(message);
        peer.writer.write(kind, 0, &[&body]).await.unwrap();
        while sent - answered >= 2 && kind == FrameType::WindowEnd {
            peer.writer.flush().await.unwrap();
            let done: Window = peer
                .reader
                .expect(FrameType::WindowDone, "WindowDone")
                .await
                .unwrap();
            answered += 1;
            assert_eq!(done.number, answered);
        }
    }
    peer.writer.flush().await.unwrap();
    if most == usize::MAX {
        peer.writer.close().await.unwrap();
        while let Ok(Some(_)) = peer.reader.read().await {}
    }
    asked
}

/// Restores to `order` from a server that plays `play`; also what the server was asked.
async fn restore(
    order: RestoreOrder,
    play: Play,
    stop: CancellationToken,
) -> (Result<RestoreOutcome, StreamError>, Option<OpenRestore>) {
    let installation = Installation::new().unwrap();
    let storage = installation.daemon(Role::Storage).unwrap();
    let id = storage.current().identity.id.as_bytes().to_vec();
    let acceptor = Acceptor::bind(&["127.0.0.1:0".to_owned()], &[Purpose::Data], storage)
        .await
        .unwrap();
    let addresses = vec![acceptor.addresses()[0].to_string()];
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let over = CancellationToken::new();
    let until = over.clone();
    let listening = tokio::spawn(async move {
        let each = move |accepted: common::net::acceptor::Accepted, _| {
            let (play, asked) = (play.clone(), asked.clone());
            tokio::spawn(async move {
                let _ = asked.send(serve(accepted.into_connection().unwrap(), play).await);
            });
            std::future::ready(())
        };
        acceptor.run(&until, each).await;
    });
    let client = installation.daemon(Role::File).unwrap();
    let storage = Some(StorageTarget {
        id,
        name: "vault1".into(),
        addresses,
    });
    let order = RestoreOrder {
        storage,
        ticket: b"signed".to_vec(),
        ..order
    };
    let opened = Connection::open(&order, &client, stop.clone()).await;
    let outcome = match opened {
        Ok(mut connection) => {
            let run = move || {
                let (mut context, _) = context();
                context.stop = stop;
                run(&order, &mut connection, &context)
            };
            Ok(tokio::task::spawn_blocking(run).await.unwrap())
        }
        Err(e) => Err(e),
    };
    let asked = tokio::time::timeout(Duration::from_secs(20), was_asked.recv()).await;
    over.cancel();
    listening.await.unwrap();
    (outcome, asked.ok().flatten())
}

fn nodes() -> Vec<Node> {
    (0..40)
        .map(|n| Node::file(&format!("f{n}"), &vec![n; 100_000]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_over_the_network() {
    let target = tempfile::tempdir().unwrap();
    let (outcome, asked) = restore(
        order(target.path()),
        Play::Stream(nodes()),
        CancellationToken::new(),
    )
    .await;
    assert_eq!(outcome.unwrap().status, Status::Ok);
    assert_eq!(
        std::fs::read(target.path().join("f39")).unwrap(),
        vec![39; 100_000]
    );
    let asked = asked.unwrap();
    assert_eq!(
        (asked.ticket.as_slice(), asked.mode.as_str()),
        (&b"signed"[..], "content")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_ticket_is_told_in_the_storage_s_words() {
    let target = tempfile::tempdir().unwrap();
    let (outcome, _) = restore(order(target.path()), Play::Refuse, CancellationToken::new()).await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, StreamError::Fault(f) if f.code == code::TICKET),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_can_be_tried_again() {
    let target = tempfile::tempdir().unwrap();
    let (outcome, _) = restore(
        order(target.path()),
        Play::Vanish(nodes()),
        CancellationToken::new(),
    )
    .await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.status, Status::Error);
    assert!(outcome.fault.unwrap().retry);
    super::tests::no_temporaries(target.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_restore_does_not_wait_for_a_silent_storage() {
    let target = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let later = stop.clone();
    let folder = Arc::new(target.path().join("made"));
    let (seen, to) = (Arc::clone(&folder), order(&folder));
    let canceler = tokio::spawn(async move {
        // The folder is made once the connection is open.
        let began = std::time::Instant::now();
        while !seen.exists() && began.elapsed() < Duration::from_secs(20) {
            tokio::task::yield_now().await;
        }
        later.cancel();
    });
    let began = std::time::Instant::now();
    let (outcome, _) = restore(to, Play::Silent, stop).await;
    canceler.await.unwrap();
    assert_eq!(outcome.unwrap().status, Status::Canceled);
    assert!(began.elapsed() < Duration::from_secs(20));
}
