//! The reading side of a backup connection: loads go to the verifying threads and in order to the session's thread; Asks
//! are answered in order by the same threads, ahead of loads. It never blocks and holds a permit for all that waits.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use common::net::framed::{Frame, FrameReader};
use common::protocol::data::{Answer, Ask, Load};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::FrameType;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::backup::{Input, Link, chain};
use super::connection::{OPEN_LIMIT, Served, Writing};
use super::outbox::Outbox;
use super::registry::{Joined, Sessions, WINDOW_BYTES};
use crate::format::block::Kind;
use crate::store::verify::verify;

/// Asks of one connection that wait.
const ASKS: usize = 16;
/// Loads of one connection that wait, however short.
const LOADS: usize = 240;

/// The reading side of a backup connection.
pub(super) struct Incoming {
    link: Link,
    joined: Joined,
    sessions: Arc<Sessions>,
    loads: Arc<Semaphore>,
    own_loads: Arc<Semaphore>,
    load_places: Arc<Semaphore>,
    asks: Arc<Semaphore>,
    asked: Arc<Asked>,
    sequence: u64,
}

/// Asks of a connection that wait: answered in order, by one thread at a time.
#[derive(Default)]
struct Asked {
    line: Mutex<(VecDeque<(Ask, OwnedSemaphorePermit)>, bool)>,
}

impl Asked {
    /// Puts an Ask in line; whether a thread must be called.
    fn put(&self, ask: Ask, permit: OwnedSemaphorePermit) -> bool {
        let mut line = self.line.lock();
        line.0.push_back((ask, permit));
        !std::mem::replace(&mut line.1, true)
    }

    /// The next Ask; with `None` the thread leaves the line.
    fn take(&self) -> Option<(Ask, OwnedSemaphorePermit)> {
        let mut line = self.line.lock();
        let next = line.0.pop_front();
        line.1 = next.is_some();
        next
    }
}

/// Tells the session that a connection is gone, however it went.
struct Farewell {
    inputs: tokio::sync::mpsc::Sender<Input>,
    generation: u64,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let (inputs, gone) = (self.inputs.clone(), Input::Detach(self.generation));
        tokio::spawn(async move {
            // A session that is over needs no farewell.
            let _ = inputs.send(gone).await;
        });
    }
}

/// Why reading stops.
enum Stop {
    /// The peer broke the rules.
    Fault(Fault),
    /// The session is over.
    Over,
}

impl Incoming {
    /// A connection that has joined a session.
    pub(super) fn new(
        link: Link,
        joined: Joined,
        sessions: Arc<Sessions>,
        loads: Arc<Semaphore>,
    ) -> Self {
        Self {
            link,
            joined,
            sessions,
            loads,
            own_loads: Arc::new(Semaphore::new(WINDOW_BYTES)),
            load_places: Arc::new(Semaphore::new(LOADS)),
            asks: Arc::new(Semaphore::new(ASKS)),
            asked: Arc::default(),
            sequence: 0,
        }
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self, mut reader: FrameReader, mut writing: Writing) -> Served {
        let _farewell = Farewell {
            inputs: self.joined.inputs.clone(),
            generation: self.link.generation,
        };
        let attached = self
            .joined
            .inputs
            .send(Input::Attach(self.link.clone()))
            .await;
        if attached.is_err() {
            let fault = Fault::passing(code::BUSY, "the session has just ended; open it again");
            self.link.outbox.fault(&fault);
        }
        let read = tokio::select! {
            read = self.read(&mut reader) => read,
            written = &mut writing => {
                drain(&mut reader).await;
                return written.unwrap_or(Ok(()));
            }
        };
        // The last words are sent before the connection ends.
        self.link.outbox.end();
        let _ = timeout(OPEN_LIMIT, &mut writing).await;
        read
    }

    async fn read(&mut self, reader: &mut FrameReader) -> Served {
        while let Some(frame) = reader.read().await? {
            match self.take(frame).await {
                Ok(()) => {}
                Err(Stop::Over) => std::future::pending().await,
                Err(Stop::Fault(fault)) => {
                    tracing::warn!(
                        code = fault.code,
                        reason = fault.text,
                        "data connection refused"
                    );
                    let _ = self.link.outbox.offer_message(FrameType::Fault, &fault);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Stop> {
        match frame.frame_type() {
            Some(FrameType::Segment) => self.load(frame.body, Kind::Segment).await,
            Some(FrameType::Pages) => self.load(frame.body, Kind::Pages).await,
            Some(FrameType::Ask) => self.ask(&frame.body).await,
            Some(FrameType::PageGet) => {
                let ask = Ask::decode(&frame.body).map_err(malformed)?;
                self.pass(Input::PageGet(self.link.clone(), ask)).await
            }
            Some(FrameType::Checkpoint) => {
                let message = message(&frame)?;
                self.pass(Input::Checkpoint(self.link.clone(), message))
                    .await
            }
            Some(FrameType::Commit) => {
                let message = message(&frame)?;
                self.pass(Input::Commit(self.link.clone(), message)).await
            }
            Some(FrameType::Ping) => Ok(()),
            Some(_) => {
                let text = format!(
                    "frame type {} does not belong on a backup connection",
                    frame.kind
                );
                Err(Stop::Fault(Fault::new(code::OUT_OF_ORDER, text)))
            }
            // From a later minor version; what must be understood comes with a new major.
            None => Ok(()),
        }
    }

    async fn pass(&self, input: Input) -> Result<(), Stop> {
        self.joined.inputs.send(input).await.map_err(|_| Stop::Over)
    }

    async fn load(&mut self, body: Bytes, kind: Kind) -> Result<(), Stop> {
        // One load longer than the window takes all of it.
        let bytes = body.len().min(WINDOW_BYTES) as u32;
        let load = Load::decode(body).map_err(malformed)?;
        if load.sequence != self.sequence + 1 {
            let text = format!("load {} follows load {}", load.sequence, self.sequence);
            return Err(Stop::Fault(Fault::new(code::OUT_OF_ORDER, text)));
        }
        self.sequence = load.sequence;
        let permits = vec![
            permit(&self.load_places, 1).await?,
            permit(&self.own_loads, bytes).await?,
            permit(&self.loads, bytes).await?,
        ];
        let (verdict, verified) = crossbeam_channel::bounded(1);
        let segment = load.segment;
        self.sessions.store().pool().submit(move |plain| {
            // A session that has ended does not wait for it.
            let _ = verdict.send(verify(kind, segment, plain));
        });
        let (link, sequence) = (self.link.clone(), load.sequence);
        self.pass(Input::Load {
            link,
            sequence,
            verified,
            permits,
        })
        .await
    }

    async fn ask(&self, body: &[u8]) -> Result<(), Stop> {
        let ask = Ask::decode(body).map_err(malformed)?;
        let permit = permit(&self.asks, 1).await?;
        if !self.asked.put(ask, permit) {
            return Ok(());
        }
        let (store, outbox) = (self.sessions.store().clone(), self.link.outbox.clone());
        let (asked, pending) = (self.asked.clone(), self.joined.pending.clone());
        self.sessions.store().pool().urgent(move |_| {
            while let Some((ask, _permit)) = asked.take() {
                let have = store.have(&ask.ids, &pending.read());
                answer(&outbox, ask.batch, have.map_err(|e| chain(&e)));
            }
        });
        Ok(())
    }
}

/// Takes in what is still under way, unread, until the client has heard that the session is over and hangs up: closing on
/// unread bytes resets a connection, and with it goes the reason.
async fn drain(reader: &mut FrameReader) {
    let rest = async { while let Ok(Some(_)) = reader.read().await {} };
    // Whoever does not hang up in time has had the time to read.
    let _ = timeout(OPEN_LIMIT, rest).await;
}

fn answer(outbox: &Outbox, batch: u32, have: Result<Vec<u8>, String>) {
    match have {
        Ok(have) => {
            // A connection that is gone needs no answer.
            let _ = outbox.offer(FrameType::Answer, Answer { batch, have }.encode());
        }
        Err(text) => outbox.fault(&Fault::passing(code::STORAGE, text)),
    }
}

async fn permit(semaphore: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Stop> {
    semaphore
        .clone()
        .acquire_many_owned(count)
        .await
        .map_err(|_| Stop::Over)
}

fn malformed(error: common::codec::DecodeError) -> Stop {
    Stop::Fault(Fault::new(code::MALFORMED, error.to_string()))
}

fn message<M: Message + Default>(frame: &Frame) -> Result<M, Stop> {
    frame
        .message()
        .map_err(|e| Stop::Fault(Fault::new(code::MALFORMED, e.to_string())))
}
