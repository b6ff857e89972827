//! Frames over real TLS: what is sent arrives, and only close_notify is an end.

use super::{LIMIT, Listening};
use crate::ids::Role;
use crate::net::acceptor::Purpose;
use crate::net::connect::{Connection, connect};
use crate::net::framed::FrameError;
use crate::net::testing::Installation;
use crate::protocol::frame::{FrameType, alpn};

async fn pair() -> (Connection, Connection, Listening) {
    let installation = Installation::new().unwrap();
    let storage = installation.daemon(Role::Storage).unwrap();
    let file = installation.daemon(Role::File).unwrap();
    let mut listening = Listening::on(&storage, &[Purpose::Data]).await;
    let to = [listening.address.clone()];
    let client = connect(&to, storage.current().identity, alpn::DATA, &file)
        .await
        .unwrap();
    let accepted = listening.next().await;
    let server = accepted.into_connection().unwrap();
    assert_eq!(server.peer, file.current().identity);
    assert_eq!(server.alpn, alpn::DATA);
    (client, server, listening)
}

#[tokio::test]
async fn small_and_big_bodies_arrive_whole_and_in_order() {
    let (mut client, mut server, _l) = pair().await;
    let big: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    let sent = big.clone();
    let sender = tokio::spawn(async move {
        let w = &mut client.writer;
        for n in 0..100u32 {
            w.write(FrameType::Ask, n, &[&n.to_le_bytes(), b"x"])
                .await
                .unwrap();
        }
        w.write(FrameType::Segment, 7, &[&sent[..100], &sent[100..]])
            .await
            .unwrap();
        w.write(FrameType::Ping, 0, &[]).await.unwrap();
        w.close().await.unwrap();
        client
    });
    for n in 0..100u32 {
        let frame = server.reader.read().await.unwrap().unwrap();
        assert_eq!(
            (frame.frame_type(), frame.stream),
            (Some(FrameType::Ask), n)
        );
        assert_eq!(frame.body[..4], n.to_le_bytes());
    }
    let frame = server.reader.read().await.unwrap().unwrap();
    assert!(frame.stream == 7 && frame.body == big);
    assert_eq!(server.reader.read().await.unwrap().unwrap().body.len(), 0);
    assert!(server.reader.read().await.unwrap().is_none());
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error() {
    let (mut client, mut server, _l) = pair().await;
    client
        .writer
        .write(FrameType::Ask, 0, &[b"whole"])
        .await
        .unwrap();
    client.writer.flush().await.unwrap();
    drop(client);
    assert!(server.reader.read().await.unwrap().is_some());
    assert!(matches!(server.reader.read().await, Err(FrameError::Io(_))));
}

#[tokio::test]
async fn silence_ends_after_the_limit_and_a_dropped_read_loses_nothing() {
    let (mut client, mut server, _l) = pair().await;
    server.reader.set_idle(std::time::Duration::from_millis(50));
    assert!(matches!(
        server.reader.read().await,
        Err(FrameError::Silent(_))
    ));
    server.reader.set_idle(LIMIT);
    {
        let read = server.reader.read();
        tokio::pin!(read);
        assert!(futures_poll_once(read.as_mut()).await.is_none());
    }
    client
        .writer
        .send_message(FrameType::Control, &crate::protocol::control::Done {})
        .await
        .unwrap();
    assert!(server.reader.read().await.unwrap().is_some());
}

async fn futures_poll_once<F: std::future::Future>(f: std::pin::Pin<&mut F>) -> Option<F::Output> {
    tokio::select! {
        biased;
        out = f => Some(out),
        () = std::future::ready(()) => None,
    }
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_on_both_sides() {
    let (mut client, mut server, _l) = pair().await;
    let long = vec![0; FrameType::Fault.max_body() + 1];
    let refused = client.writer.write(FrameType::Fault, 0, &[&long]).await;
    assert!(matches!(refused, Err(FrameError::TooLong { .. })));
    server.reader.limit_body(10);
    client
        .writer
        .write(FrameType::Ask, 0, &[&[0; 11]])
        .await
        .unwrap();
    client.writer.flush().await.unwrap();
    assert!(matches!(
        server.reader.read().await,
        Err(FrameError::Malformed(_))
    ));
}

/// Run by hand: `cargo test -p common --release throughput -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout)]
async fn throughput() {
    let (mut client, mut server, _l) = pair().await;
    const FRAMES: usize = 4000;
    let body = vec![7u8; 1 << 20];
    let start = std::time::Instant::now();
    let sender = tokio::spawn(async move {
        for _ in 0..FRAMES {
            client
                .writer
                .write(FrameType::Segment, 0, &[&[1; 40], &body])
                .await
                .unwrap();
        }
        client.writer.close().await.unwrap();
        client
    });
    let mut bytes = 0;
    while let Some(frame) = server.reader.read().await.unwrap() {
        bytes += frame.body.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} MB/s", bytes as f64 / 1e6 / seconds);
    drop(sender.await.unwrap());
}
