//! One daemon's connection from Hello to its end.
//!
//! Hello is checked against certificate and catalog; then bodies become events in order, and the connection lives until
//! it ends, falls silent, is revoked, or the Director stops.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::clock::now_ms;
use common::ids::Role;
use common::net::connect::Connection;
use common::net::conversation::{Answer, Conversation, Receiver};
use common::net::framed::FrameError;
use common::protocol::control::{Body, Envelope, Hello, Revoked, Welcome};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::{FrameType, MAJOR, MINOR};
use common::shutdown::StopToken;
use tokio::sync::oneshot;

use super::registry::{Daemon, Happening, Pulse, Registry, Shared};

/// Hello comes within this after the handshake.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// A farewell is taken within this.
const PART_LIMIT: Duration = Duration::from_millis(500);

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("refused: {}", .0.text)]
    Refused(Fault),
    #[error("its certificate was revoked")]
    Revoked,
    #[error("the Director stops")]
    Stop,
}

/// Talks to one daemon until its connection ends.
pub(super) async fn converse(registry: Registry, mut connection: Connection, stop: StopToken) {
    let peer = connection.peer;
    let shared = registry.shared;
    let ended = match greet(&shared, &mut connection).await {
        Ok((daemon, conversation)) => {
            tracing::info!(daemon = %peer, name = %daemon.name, remote = %connection.remote, "connected");
            let hello = (*daemon.hello).clone();
            shared.tell(peer, Happening::Connected(hello)).await;
            let ended = talk(&shared, &daemon, (connection, conversation), &stop).await;
            shared.leave(&daemon);
            daemon.pulse.ended.cancel();
            shared.tell(peer, Happening::Disconnected).await;
            ended
        }
        Err(e) => {
            if let Ended::Refused(fault) = &e {
                connection.writer.part(Some(fault), PART_LIMIT).await;
            }
            Err(e)
        }
    };
    match ended {
        Ok(()) | Err(Ended::Stop) => tracing::info!(daemon = %peer, "disconnected"),
        Err(e) => tracing::warn!(daemon = %peer, "connection ended: {e}"),
    }
}

/// Hello, checks, a place in the registry, Welcome.
async fn greet(
    shared: &Arc<Shared>,
    connection: &mut Connection,
) -> Result<(Daemon, Conversation), Ended> {
    let reader = &mut connection.reader;
    reader.set_idle(HELLO_LIMIT);
    let envelope: Envelope = reader.expect(FrameType::Control, "Hello").await?;
    let Some(Body::Hello(hello)) = envelope.body else {
        let text = "the first message of a daemon is Hello";
        return Err(Ended::Refused(Fault::new(code::OUT_OF_ORDER, text)));
    };
    let name = check(shared, connection, &hello).await?;
    let (sender, conversation) = Conversation::new();
    let now = now_ms();
    let daemon = Daemon {
        identity: connection.peer,
        name,
        clock_difference_ms: hello.now_ms.saturating_sub(now),
        hello: Arc::new(hello),
        connected_ms: now,
        connection: shared.next_connection(),
        pulse: Pulse {
            frames: connection.reader.heard(),
            ended: StopToken::new(),
            seen_ms: Arc::new(AtomicI64::new(now)),
        },
        sender,
    };
    take_place(shared, &daemon).await?;
    let welcome = Envelope {
        request: 0,
        reply_to: 0,
        body: Some(Body::Welcome(welcome(shared))),
    };
    let sent = connection
        .writer
        .send_message(FrameType::Control, &welcome)
        .await;
    if let Err(e) = sent {
        shared.leave(&daemon);
        return Err(e.into());
    }
    Ok((daemon, conversation))
}

/// Version, role, enrolment. Gives the daemon's label.
async fn check(shared: &Shared, connection: &Connection, hello: &Hello) -> Result<String, Ended> {
    let peer = connection.peer;
    let refuse = |code, text: String| Err(Ended::Refused(Fault::new(code, text)));
    if hello.major.abs_diff(MAJOR) > 1 {
        let text = format!("this Director speaks protocol major {MAJOR}; update the older side");
        return refuse(code::VERSION, text);
    }
    if peer.role == Role::Director {
        return refuse(
            code::REFUSED,
            "a Director does not connect to a Director".into(),
        );
    }
    let at = chrono::DateTime::from_timestamp_millis(now_ms()).unwrap_or_default();
    let known = async {
        if shared.catalog.record_hello(peer, hello, at).await? {
            shared.catalog.daemon(peer).await
        } else {
            Ok(None)
        }
    };
    match known.await {
        Ok(Some(daemon)) => Ok(daemon.name),
        Ok(None) => {
            let text = format!("{peer} is not enrolled; enrol it with a new token");
            refuse(code::REFUSED, text)
        }
        Err(e) => {
            tracing::error!(daemon = %peer, "cannot look up a daemon: {e}");
            let text = "the Director's catalog is not available";
            Err(Ended::Refused(Fault::passing(code::BUSY, text)))
        }
    }
}

/// Enters the registry. When another connection of this identity is there, waits until that one ends, and gives way
/// when it shows a sign of life: it pings each heartbeat, so three of them tell.
async fn take_place(shared: &Shared, daemon: &Daemon) -> Result<(), Ended> {
    let limit = shared.facts.heartbeat * 4;
    let deadline = tokio::time::Instant::now() + limit;
    while let Err(first) = shared.enter(daemon) {
        let heard = first.pulse.frames.load(Ordering::Relaxed);
        let step = tokio::time::Instant::now() + shared.facts.heartbeat / 4;
        tokio::select! {
            // It leaves the registry just before it says so.
            () = first.gone() => {}
            () = tokio::time::sleep_until(step) => {}
        }
        let lives = first.pulse.frames.load(Ordering::Relaxed) != heard;
        if lives && !first.pulse.ended.is_cancelled() || tokio::time::Instant::now() > deadline {
            let text = "another connection of this daemon is alive; stop the other process, or enrol this machine under a name of its own";
            return Err(Ended::Refused(Fault::passing(code::BUSY, text)));
        }
    }
    Ok(())
}

fn welcome(shared: &Shared) -> Welcome {
    let facts = &shared.facts;
    let folders = facts.own_folders.iter();
    Welcome {
        major: MAJOR,
        minor: MINOR,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        term: facts.term.0,
        heartbeat_ms: u32::try_from(facts.heartbeat.as_millis()).unwrap_or(u32::MAX),
        ticket_key: facts.ticket_key.clone(),
        now_ms: now_ms(),
        revoked: shared.store.revoked().all(),
        own_folders: folders.map(|f| f.as_os_str().as_bytes().to_vec()).collect(),
    }
}

async fn talk(
    shared: &Shared,
    daemon: &Daemon,
    (mut connection, mut conversation): (Connection, Conversation),
    stop: &StopToken,
) -> Result<(), Ended> {
    let receiver = Events { shared, daemon };
    let halves = (&mut connection.reader, &mut connection.writer);
    let ended = tokio::select! {
        ended = conversation.run(halves, shared.facts.heartbeat, &receiver) => Ok(ended?),
        () = shared.store.revoked().revoked(&connection.serial) => Err(Ended::Revoked),
        () = tell_revoked(shared, daemon) => Err(Ended::Stop),
        () = stop.cancelled() => Err(Ended::Stop),
    };
    match &ended {
        Err(Ended::Revoked) => {
            let fault = Fault::new(code::REFUSED, "this daemon's certificate was revoked");
            connection.writer.part(Some(&fault), PART_LIMIT).await;
        }
        _ => {
            connection.writer.part(None, PART_LIMIT).await;
            // A connection that is closed with bytes unread is reset, and the farewell may be lost with it.
            let rest = async { while let Ok(Some(_)) = connection.reader.read().await {} };
            let _ = tokio::time::timeout(PART_LIMIT, rest).await;
        }
    }
    ended
}

/// Tells the daemon each change of the revoked list.
async fn tell_revoked(shared: &Shared, daemon: &Daemon) {
    let mut list = shared.store.revoked().subscribe();
    while list.changed().await.is_ok() {
        let serials = list.borrow_and_update().iter().cloned().collect();
        // When the daemon is gone the conversation ends by itself.
        let _ = daemon.send(Body::Revoked(Revoked { serials })).await;
    }
}

/// Bodies become events.
struct Events<'a> {
    shared: &'a Shared,
    daemon: &'a Daemon,
}

impl Receiver for Events<'_> {
    async fn receive(&self, envelope: Envelope) -> Answer {
        let from = self.daemon.identity;
        self.daemon.pulse.seen_ms.store(now_ms(), Ordering::Relaxed);
        let Some(body) = envelope.body else {
            return Answer::None;
        };
        if envelope.request == 0 {
            self.shared.tell(from, Happening::Said(body)).await;
            return Answer::None;
        }
        let (answer, got) = oneshot::channel();
        self.shared.tell(from, Happening::Asked(body, answer)).await;
        Answer::later(async move {
            got.await.unwrap_or_else(|_| {
                let text = "the Director did not come to answer this; ask again";
                Body::Fault(Fault::passing(code::BUSY, text))
            })
        })
    }
}
