//! One control conversation, the same on both sides: requests and answers by number, heartbeats, bounded queues.
//!
//! Reading and writing never wait for each other. Incoming bodies are received in order of arrival; what takes long is
//! answered later. Never a queue without a bound: a peer that asks too much is read no further.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::framed::{Frame, FrameError, FrameReader, FrameWriter};
use crate::protocol::control::{Body, Envelope};
use crate::protocol::fault::{Fault, code};
use crate::protocol::frame::FrameType;

/// Bodies that wait to be sent.
pub const QUEUE: usize = 1024;
/// Requests of the peer answered at once.
const AT_ONCE: usize = 64;
/// A full queue is waited for this long.
const SEND_LIMIT: Duration = Duration::from_secs(60);

/// What became of something said.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The conversation is over.
    #[error("not connected")]
    Gone,
    /// The queue stayed full.
    #[error("too much waits to be sent")]
    Full,
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The peer could not do it.
    #[error("{} ({})", .0.text, .0.code)]
    Fault(Fault),
}

/// What a receiver does with a body.
#[allow(clippy::large_enum_variant)] // lives for one call, never stored in numbers
pub enum Answer {
    /// Nothing to say.
    None,
    /// Say this.
    Now(Body),
    /// Say this when it is ready; meanwhile the next body is received. Dropped when the connection ends: what must be
    /// finished is a task of its own.
    Later(Pin<Box<dyn Future<Output = Body> + Send>>),
}

impl Answer {
    /// `Body::Done`.
    #[must_use]
    pub fn done() -> Self {
        Self::Now(Body::Done(crate::protocol::control::Done {}))
    }

    /// A fault.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self::Now(Body::Fault(fault))
    }

    /// An answer that takes a while.
    pub fn later(answer: impl Future<Output = Body> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }
}

/// Receives what the peer says.
pub trait Receiver: Send + Sync {
    /// Called in order of arrival; the next body waits until it returns. An answer is sent only when `request` is not 0.
    fn receive(&self, envelope: Envelope) -> impl Future<Output = Answer> + Send;
}

/// The handle by which a side says things. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlSender {
    queue: mpsc::Sender<Envelope>,
    waiting: Arc<Waiting>,
}

/// Requests without an answer yet.
#[derive(Debug, Default)]
struct Waiting {
    last: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    body: Body,
    /// Written to a connection at least once.
    sent: bool,
    answer: oneshot::Sender<Body>,
}

impl ControlSender {
    /// Says something that wants no answer.
    ///
    /// # Errors
    /// The queue stayed full for a minute, or the conversation is over.
    pub async fn send(&self, body: Body) -> Result<(), ControlError> {
        self.push(Envelope {
            body: Some(body),
            ..Envelope::default()
        })
        .await
    }

    /// Says something only if there is room: progress and the like. Whether there was.
    #[must_use]
    pub fn offer(&self, body: Body) -> bool {
        let envelope = Envelope {
            body: Some(body),
            ..Envelope::default()
        };
        self.queue.try_send(envelope).is_ok()
    }

    /// Asks and waits for the answer; a fault is an error.
    ///
    /// # Errors
    /// No answer in time, a fault, or the conversation is over.
    pub async fn request(&self, body: Body, limit: Duration) -> Result<Body, ControlError> {
        let number = self.waiting.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (answer, got) = oneshot::channel();
        let open = Open {
            body: body.clone(),
            sent: false,
            answer,
        };
        self.waiting.open.lock().insert(number, open);
        let _forget = Forget(&self.waiting, number);
        let ask = async {
            self.push(Envelope {
                request: number,
                reply_to: 0,
                body: Some(body),
            })
            .await?;
            got.await.map_err(|_| ControlError::Gone)
        };
        match timeout(limit, ask).await {
            Err(_) => Err(ControlError::Timeout(limit)),
            Ok(Ok(Body::Fault(fault))) => Err(ControlError::Fault(fault)),
            Ok(other) => other,
        }
    }

    async fn push(&self, envelope: Envelope) -> Result<(), ControlError> {
        use mpsc::error::SendTimeoutError as E;
        let sent = self.queue.send_timeout(envelope, SEND_LIMIT).await;
        sent.map_err(|e| match e {
            E::Timeout(_) => ControlError::Full,
            E::Closed(_) => ControlError::Gone,
        })
    }
}

/// Takes a request off the list when its asker is no longer interested.
struct Forget<'a>(&'a Waiting, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.open.lock().remove(&self.1);
    }
}

/// The other end of a [`ControlSender`]: what waits to be said, carried over one connection after another.
#[derive(Debug)]
pub struct Conversation {
    queue: mpsc::Receiver<Envelope>,
    waiting: Arc<Waiting>,
    /// Requests that may have been lost with the last connection.
    again: VecDeque<Envelope>,
}

impl Conversation {
    /// A conversation and the handle to speak in it.
    #[must_use]
    pub fn new() -> (ControlSender, Self) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting::default());
        let sender = ControlSender {
            queue: sender,
            waiting: waiting.clone(),
        };
        let again = VecDeque::new();
        let conversation = Self {
            queue,
            waiting,
            again,
        };
        (sender, conversation)
    }

    /// Talks over one connection until it ends. `Ok` = the peer ended it cleanly. Requests without an answer are
    /// asked again over the next connection, first of all.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn run(
        &mut self,
        (reader, writer): (&mut FrameReader, &mut FrameWriter),
        heartbeat: Duration,
        receiver: &impl Receiver,
    ) -> Result<(), FrameError> {
        reader.set_idle(heartbeat * 3);
        writer.set_idle(heartbeat * 3);
        let (replies, mut to_reply) = mpsc::channel(AT_ONCE);
        let waiting = self.waiting.clone();
        self.ask_again();
        tokio::select! {
            ended = hear(reader, &waiting, replies, receiver) => ended,
            ended = speak(writer, self, &mut to_reply, heartbeat) => ended,
        }
    }

    fn ask_again(&mut self) {
        let open = self.waiting.open.lock();
        let lost = open.iter().filter(|(_, open)| open.sent);
        self.again = lost
            .map(|(&request, open)| Envelope {
                request,
                reply_to: 0,
                body: Some(open.body.clone()),
            })
            .collect();
    }

    /// What to say next; never a request whose asker gave up.
    async fn next(&mut self) -> Option<Envelope> {
        loop {
            let envelope = match self.again.pop_front() {
                Some(envelope) => envelope,
                None => self.queue.recv().await?,
            };
            if envelope.request == 0 {
                return Some(envelope);
            }
            if let Some(open) = self.waiting.open.lock().get_mut(&envelope.request) {
                open.sent = true;
                return Some(envelope);
            }
        }
    }
}

impl Drop for Conversation {
    /// Whoever waits for an answer learns that none will come.
    fn drop(&mut self) {
        self.queue.close();
        self.waiting.open.lock().clear();
    }
}

/// Reads until the end.
async fn hear(
    reader: &mut FrameReader,
    waiting: &Waiting,
    replies: mpsc::Sender<Reply>,
    receiver: &impl Receiver,
) -> Result<(), FrameError> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut later = JoinSet::new();
    while let Some(frame) = reader.read().await? {
        while later.try_join_next().is_some() {}
        let envelope = match frame.frame_type() {
            Some(FrameType::Ping) => continue,
            Some(FrameType::Control) => frame.message::<Envelope>()?,
            Some(FrameType::Fault) => {
                let fault: Fault = frame.message()?;
                if fault.code != code::UNKNOWN {
                    return Err(FrameError::Fault(fault));
                }
                // An older peer; what it did not understand was no request.
                tracing::warn!("peer did not understand a frame: {}", fault.text);
                continue;
            }
            _ => {
                say(&replies, Reply::Fault(unknown_frame(&frame))).await;
                continue;
            }
        };
        let request = envelope.request;
        match answer_to(waiting, envelope, receiver).await {
            Answer::None => {}
            Answer::Now(body) => say(&replies, Reply::to(request, body)).await,
            Answer::Later(answer) => {
                let Ok(slot) = slots.clone().acquire_owned().await else {
                    return Ok(());
                };
                let replies = replies.clone();
                later.spawn(async move {
                    let reply = Reply::to(request, answer.await);
                    drop(slot);
                    say(&replies, reply).await;
                });
            }
        }
    }
    Ok(())
}

async fn answer_to(waiting: &Waiting, envelope: Envelope, receiver: &impl Receiver) -> Answer {
    let request = envelope.request;
    if envelope.reply_to != 0 {
        if let (Some(open), Some(body)) = (
            waiting.open.lock().remove(&envelope.reply_to),
            envelope.body,
        ) {
            // The asker may have given up meanwhile.
            let _ = open.answer.send(body);
        }
        return Answer::None;
    }
    let answer = if envelope.body.is_none() {
        let text = "this version does not know the message; update this daemon";
        Answer::fault(Fault::new(code::UNKNOWN, text))
    } else {
        receiver.receive(envelope).await
    };
    if request == 0 { Answer::None } else { answer }
}

fn unknown_frame(frame: &Frame) -> Fault {
    let text = format!(
        "frame type {} has no place in a control conversation",
        frame.kind
    );
    Fault::new(code::UNKNOWN, text)
}

/// Something to write that is no request of this side.
#[allow(clippy::large_enum_variant)] // at most 64 wait
enum Reply {
    Envelope(Envelope),
    Fault(Fault),
}

impl Reply {
    fn to(request: u64, body: Body) -> Self {
        Self::Envelope(Envelope {
            request: 0,
            reply_to: request,
            body: Some(body),
        })
    }
}

async fn say(replies: &mpsc::Sender<Reply>, reply: Reply) {
    // Fails only when the conversation ends.
    let _ = replies.send(reply).await;
}

/// Writes until the connection fails.
async fn speak(
    writer: &mut FrameWriter,
    conversation: &mut Conversation,
    replies: &mut mpsc::Receiver<Reply>,
    heartbeat: Duration,
) -> Result<(), FrameError> {
    let mut beat = tokio::time::interval(heartbeat);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(reply) = replies.recv() => match reply {
                Reply::Envelope(envelope) => write(writer, &envelope).await?,
                Reply::Fault(fault) => writer.send_message(FrameType::Fault, &fault).await?,
            },
            Some(envelope) = conversation.next() => write(writer, &envelope).await?,
            _ = beat.tick() => {
                writer.write(FrameType::Ping, 0, &[]).await?;
                writer.flush().await?;
            }
        }
    }
}

async fn write(writer: &mut FrameWriter, envelope: &Envelope) -> Result<(), FrameError> {
    writer
        .write(FrameType::Control, 0, &[&envelope.encode_to_vec()])
        .await?;
    writer.flush().await
}
