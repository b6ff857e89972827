//! Control conversations: requests, unknown messages, silence, reconnects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{LIMIT, Listening};
use crate::ids::Role;
use crate::net::acceptor::Purpose;
use crate::net::connect::{Connection, connect};
use crate::net::control::{ControlClient, ControlHandler};
use crate::net::conversation::{Answer, ControlError, ControlSender, Conversation, Receiver};
use crate::net::framed::FrameError;
use crate::net::pki::CredentialStore;
use crate::net::testing::Installation;
use crate::protocol::control::{Body, Done, Envelope, Hello, Revoked, SessionQuery, Welcome};
use crate::protocol::fault::{Fault, code};
use crate::protocol::frame::{FrameType, alpn};
use crate::shutdown::StopToken;

const BEAT: Duration = Duration::from_millis(200);

/// Answers queries late, everything else at once.
struct Echo;

impl Receiver for Echo {
    async fn receive(&self, envelope: Envelope) -> Answer {
        match envelope.body {
            Some(Body::SessionQuery(q)) if q.job_id == 0 => Answer::later(std::future::pending()),
            Some(Body::SessionQuery(q)) => Answer::later(async move { Body::SessionQuery(q) }),
            _ => Answer::done(),
        }
    }
}

struct Daemon {
    welcomes: AtomicU32,
}

impl ControlHandler for Daemon {
    fn hello(&self) -> Hello {
        Hello {
            running: vec![17],
            ..Hello::default()
        }
    }
    async fn welcome(&self, welcome: &Welcome) {
        assert_eq!(welcome.term, 5);
        self.welcomes.fetch_add(1, Ordering::SeqCst);
    }
    async fn receive(&self, envelope: Envelope) -> Answer {
        Echo.receive(envelope).await
    }
}

struct Rig {
    listening: Listening,
    director: Arc<CredentialStore>,
    client: Arc<CredentialStore>,
    installation: Installation,
}

impl Rig {
    async fn new() -> Self {
        let installation = Installation::new().unwrap();
        let director = installation.director_store().unwrap();
        let client = installation.daemon(Role::File).unwrap();
        let listening = Listening::on(&director, &[Purpose::Control]).await;
        Self {
            listening,
            director,
            client,
            installation,
        }
    }

    /// The Director's side up to Welcome.
    async fn greet(&mut self) -> (Connection, Hello) {
        let mut connection = self.listening.next().await.into_connection().unwrap();
        let hello = connection
            .reader
            .expect::<Envelope>(FrameType::Control, "Hello")
            .await
            .unwrap();
        let Some(Body::Hello(hello)) = hello.body else {
            panic!("no Hello")
        };
        let welcome = Welcome {
            major: 1,
            term: 5,
            heartbeat_ms: 200,
            ..Welcome::default()
        };
        let envelope = Envelope {
            body: Some(Body::Welcome(welcome)),
            ..Envelope::default()
        };
        connection
            .writer
            .send_message(FrameType::Control, &envelope)
            .await
            .unwrap();
        (connection, hello)
    }

    fn start(&self) -> (ControlSender, StopToken, Arc<Daemon>) {
        let to = vec![self.listening.address.clone()];
        let (sender, client) = ControlClient::new(self.client.clone(), to);
        let (stop, handler) = (
            StopToken::new(),
            Arc::new(Daemon {
                welcomes: AtomicU32::new(0),
            }),
        );
        let (stopped, running) = (stop.clone(), handler.clone());
        tokio::spawn(async move { client.run(&*running, &stopped).await });
        (sender, stop, handler)
    }
}

fn query(job_id: u64) -> Body {
    Body::SessionQuery(SessionQuery { job_id })
}

#[tokio::test]
async fn both_sides_ask_and_answer_and_reconnect() {
    let mut rig = Rig::new().await;
    let (to_director, stop, daemon) = rig.start();
    // Asked before there is a connection: waits.
    let early = to_director.clone();
    let early = tokio::spawn(async move { early.request(query(1), LIMIT).await });
    let (mut connection, hello) = rig.greet().await;
    assert_eq!(
        (hello.running, hello.name.as_str()),
        (vec![17], "test-file")
    );
    let (to_daemon, mut conversation) = Conversation::new();
    let talk = async {
        let halves = (&mut connection.reader, &mut connection.writer);
        conversation.run(halves, BEAT, &Echo).await
    };
    let script = async {
        assert_eq!(early.await.unwrap().unwrap(), query(1));
        assert_eq!(to_daemon.request(query(2), LIMIT).await.unwrap(), query(2));
        // A slow answer does not hold up the next one, and gives up in time.
        let slow = to_daemon.request(query(0), Duration::from_millis(300));
        let quick = to_daemon.request(query(3), LIMIT);
        let (slow, quick) = tokio::join!(slow, quick);
        assert!(matches!(slow, Err(ControlError::Timeout(_))));
        assert_eq!(quick.unwrap(), query(3));
        let revoked = Revoked {
            serials: vec![vec![9, 9]],
        };
        to_daemon
            .request(Body::Revoked(revoked), LIMIT)
            .await
            .unwrap();
        assert!(rig.client.revoked().contains(&[9, 9]));
        // Nothing is said for longer than three heartbeats: pings keep it alive.
        tokio::time::sleep(BEAT * 5).await;
        assert_eq!(to_daemon.request(query(4), LIMIT).await.unwrap(), query(4));
    };
    tokio::select! {
        ended = talk => panic!("{ended:?}"),
        () = script => {}
    }
    // The Director vanishes with a request unanswered: it is asked again over the next connection.
    drop(connection);
    let lost = tokio::spawn(async move { to_director.request(query(7), LIMIT).await });
    let (mut first, _) = rig.greet().await;
    let asked: Envelope = loop {
        let frame = first.reader.read().await.unwrap().unwrap();
        if frame.frame_type() == Some(FrameType::Control) {
            break frame.message().unwrap();
        }
    };
    assert_eq!(asked.body, Some(query(7)));
    drop(first);
    let (mut second, _) = rig.greet().await;
    let (_sender, mut conversation) = Conversation::new();
    tokio::select! {
        ended = conversation.run((&mut second.reader, &mut second.writer), BEAT, &Echo) => panic!("{ended:?}"),
        answer = lost => assert_eq!(answer.unwrap().unwrap(), query(7)),
    }
    assert_eq!(daemon.welcomes.load(Ordering::SeqCst), 3);
    // A daemon that stops says so: the end is clean.
    stop.cancel();
    while second.reader.read().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_silent_director_is_given_up_and_dialled_again() {
    let mut rig = Rig::new().await;
    let (_sender, _stop, daemon) = rig.start();
    let (_open_but_silent, _) = rig.greet().await;
    let (_again, _) = tokio::time::timeout(LIMIT, rig.greet()).await.unwrap();
    assert!(daemon.welcomes.load(Ordering::SeqCst) >= 1);
}

#[tokio::test]
async fn unknown_messages_and_frames_are_answered() {
    let mut rig = Rig::new().await;
    let to = [rig.listening.address.clone()];
    let mut client = connect(&to, rig.installation.director, alpn::CONTROL, &rig.client)
        .await
        .unwrap();
    let mut server = rig.listening.next().await.into_connection().unwrap();
    let serve = tokio::spawn(async move {
        let (_sender, mut conversation) = Conversation::new();
        let halves = (&mut server.reader, &mut server.writer);
        conversation
            .run(halves, Duration::from_secs(30), &Echo)
            .await
    });
    let w = &mut client.writer;
    // A body of a later version: request 1, field 99.
    w.write(FrameType::Control, 0, &[&[0x08, 1, 0x9a, 0x06, 0]])
        .await
        .unwrap();
    // What an older peer says when it did not understand a frame: no end.
    let fault = Fault::new(code::UNKNOWN, "frame type 99");
    w.send_message(FrameType::Fault, &fault).await.unwrap();
    // A frame that has no place here.
    w.write(FrameType::Segment, 0, &[b"x"]).await.unwrap();
    let done = Envelope {
        request: 2,
        reply_to: 0,
        body: Some(Body::Done(Done {})),
    };
    w.send_message(FrameType::Control, &done).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let frame = client.reader.read().await.unwrap().unwrap();
        match frame.frame_type() {
            Some(FrameType::Control) => {
                let e: Envelope = frame.message().unwrap();
                let fault = matches!(&e.body, Some(Body::Fault(f)) if f.code == code::UNKNOWN);
                seen.push((e.reply_to, fault));
            }
            Some(FrameType::Fault) => seen.push((0, true)),
            _ => {}
        }
    }
    assert_eq!(seen, [(1, true), (0, true), (2, false)]);
    // Bytes that are no message end the conversation.
    client
        .writer
        .write(FrameType::Control, 0, &[&[0xff; 5]])
        .await
        .unwrap();
    client.writer.flush().await.unwrap();
    let ended = serve.await.unwrap();
    assert!(matches!(ended, Err(FrameError::Malformed(_))), "{ended:?}");
    drop(rig.director);
}
