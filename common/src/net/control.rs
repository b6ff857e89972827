//! The daemon's side of the control connection: dial the Director, say Hello, talk, and do so again for ever.
//!
//! What is said while the Director is away waits (bounded) and is said when it is back; unanswered requests are asked
//! again. The certificate is renewed at two thirds of its life, and when it has expired.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::connect::{Connection, connect};
use super::conversation::{Answer, ControlSender, Conversation, Receiver};
use super::enrol;
use super::framed::FrameError;
use super::pki::CredentialStore;
use crate::clock::now_ms;
use crate::protocol::control::{Body, Envelope, Hello, Welcome};
use crate::protocol::frame::{FrameType, MAJOR, MINOR, alpn};
use crate::shutdown::StopToken;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The Director answers Hello within this: it may first have to see that an older connection of ours is dead.
const HELLO_LIMIT: Duration = Duration::from_secs(60);
/// A farewell is taken within this.
const PART_LIMIT: Duration = Duration::from_secs(1);

/// What a daemon does with its Director.
pub trait ControlHandler: Send + Sync + 'static {
    /// Facts of the moment; protocol version, software version, name, host and clock are filled in by the caller.
    fn hello(&self) -> Hello;

    /// The Director answered: term, ticket key, own folders. Called before anything else of this connection.
    fn welcome(&self, welcome: &Welcome) -> impl Future<Output = ()> + Send;

    /// As [`Receiver::receive`]. The revoked list is already taken in when it comes by here.
    fn receive(&self, envelope: Envelope) -> impl Future<Output = Answer> + Send;
}

/// A daemon's standing connection to its Director.
#[derive(Debug)]
pub struct ControlClient {
    store: Arc<CredentialStore>,
    addresses: Vec<String>,
    conversation: Conversation,
}

impl ControlClient {
    /// A client and the handle to speak to the Director, connected or not.
    #[must_use]
    pub fn new(store: Arc<CredentialStore>, addresses: Vec<String>) -> (ControlSender, Self) {
        let (sender, conversation) = Conversation::new();
        let client = Self {
            store,
            addresses,
            conversation,
        };
        (sender, client)
    }

    /// Connects, talks, connects again, until `stop`.
    pub async fn run(mut self, handler: &impl ControlHandler, stop: &StopToken) {
        let renewal = keep_renewed(self.store.clone(), self.addresses.clone());
        tokio::select! {
            () = self.talk_until(handler, stop) => {}
            () = renewal => {}
        }
    }

    async fn talk_until(&mut self, handler: &impl ControlHandler, stop: &StopToken) {
        let mut pause = FIRST_PAUSE;
        while !stop.is_cancelled() {
            match self.talk_once((handler, stop), &mut pause).await {
                Ok(Over::Stop) => return,
                Ok(Over::Ended) => tracing::info!("the Director ended the connection"),
                Err(e) => tracing::warn!("no connection to the Director: {}", chain(&e)),
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = stop.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn talk_once(
        &mut self,
        (handler, stop): (&impl ControlHandler, &StopToken),
        pause: &mut Duration,
    ) -> Result<Over, TalkError> {
        let begun = tokio::select! {
            begun = self.begin(handler) => begun,
            () = stop.cancelled() => return Ok(Over::Stop),
        };
        let (mut connection, welcome) = begun?;
        tracing::info!(director = %connection.remote, version = %welcome.version, "connected to the Director");
        take_revoked(&self.store, welcome.revoked.clone()).await;
        handler.welcome(&welcome).await;
        *pause = FIRST_PAUSE;
        let heartbeat = heartbeat(&welcome);
        let Connection {
            reader,
            writer,
            serial,
            ..
        } = &mut connection;
        let receiver = Incoming {
            store: &self.store,
            handler,
        };
        tokio::select! {
            ended = self.conversation.run((reader, writer), heartbeat, &receiver) => {
                ended?;
                return Ok(Over::Ended);
            }
            () = self.store.revoked().revoked(serial) => return Err(TalkError::Revoked),
            () = stop.cancelled() => {}
        }
        connection.writer.part(None, PART_LIMIT).await;
        Ok(Over::Stop)
    }

    async fn begin(
        &self,
        handler: &impl ControlHandler,
    ) -> Result<(Connection, Welcome), TalkError> {
        let director = self.store.current().director;
        let mut connection = connect(&self.addresses, director, alpn::CONTROL, &self.store).await?;
        let welcome = self.introduce(&mut connection, handler.hello()).await?;
        Ok((connection, welcome))
    }

    async fn introduce(
        &self,
        connection: &mut Connection,
        facts: Hello,
    ) -> Result<Welcome, TalkError> {
        let hello = Hello {
            major: MAJOR,
            minor: MINOR,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.store.current().name.clone(),
            host: enrol::host_name(),
            system: std::env::consts::OS.to_owned(),
            now_ms: now_ms(),
            ..facts
        };
        let envelope = Envelope {
            request: 0,
            reply_to: 0,
            body: Some(Body::Hello(hello)),
        };
        let writer = &mut connection.writer;
        writer.send_message(FrameType::Control, &envelope).await?;
        connection.reader.set_idle(HELLO_LIMIT);
        let answer: Envelope = connection
            .reader
            .expect(FrameType::Control, "Welcome")
            .await?;
        match answer.body {
            Some(Body::Welcome(welcome)) if welcome.major.abs_diff(MAJOR) <= 1 => Ok(welcome),
            Some(Body::Welcome(welcome)) => Err(TalkError::Version(welcome.major)),
            Some(Body::Fault(fault)) => Err(FrameError::Fault(fault).into()),
            _ => Err(TalkError::NoWelcome),
        }
    }
}

/// How a connection came to a good end.
enum Over {
    Ended,
    Stop,
}

/// Holds at once; kept for the next start on a blocking thread.
async fn take_revoked(store: &Arc<CredentialStore>, serials: Vec<Vec<u8>>) {
    let store = store.clone();
    let kept = tokio::task::spawn_blocking(move || store.set_revoked(serials)).await;
    match kept {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!(
            "cannot keep the list of revoked certificates: {}",
            chain(&e)
        ),
        Err(e) => tracing::warn!("cannot keep the list of revoked certificates: {e}"),
    }
}

/// Why a connection to the Director ended or was not made.
#[derive(Debug, thiserror::Error)]
enum TalkError {
    #[error(transparent)]
    Connect(#[from] super::connect::ConnectError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the Director speaks protocol major {0}, this daemon {MAJOR}; update the older one")]
    Version(u32),
    #[error("the Director did not answer Hello with Welcome")]
    NoWelcome,
    #[error("the Director's certificate was revoked")]
    Revoked,
}

/// Takes in the revoked list, hands everything to the daemon.
struct Incoming<'a, H> {
    store: &'a Arc<CredentialStore>,
    handler: &'a H,
}

impl<H: ControlHandler> Receiver for Incoming<'_, H> {
    async fn receive(&self, envelope: Envelope) -> Answer {
        if let Some(Body::Revoked(list)) = &envelope.body {
            take_revoked(self.store, list.serials.clone()).await;
        }
        self.handler.receive(envelope).await
    }
}

/// Renews at two thirds of the certificate's life; looks every so often, because clocks jump and machines sleep.
async fn keep_renewed(store: Arc<CredentialStore>, addresses: Vec<String>) {
    let mut pause = Duration::from_secs(1);
    loop {
        let current = store.current();
        if now_ms() < current.renew_at_ms() {
            pause = Duration::from_secs(60);
        } else {
            match enrol::renew(&store, &addresses).await {
                Ok(()) => tracing::info!("certificate renewed"),
                Err(e) => {
                    tracing::warn!("cannot renew the certificate: {}", chain(&e));
                    pause = (pause * 2).min(Duration::from_secs(600));
                }
            }
        }
        tokio::time::sleep(jittered(pause)).await;
    }
}

fn heartbeat(welcome: &Welcome) -> Duration {
    Duration::from_millis(u64::from(welcome.heartbeat_ms.clamp(100, 60_000)))
}

/// Between half and the whole of `pause`: a hundred daemons do not come back in the same moment.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [128u8];
    // Without random bytes the pause is just not spread.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    pause / 2 + pause / 2 * u32::from(byte[0]) / 255
}

/// An error with all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
