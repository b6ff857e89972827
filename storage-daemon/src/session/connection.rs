//! A data connection at the edge: frames in, frames out. It decides nothing and never blocks: loads go to the verifying
//! threads and in order to the session's thread, Asks are answered by the same threads ahead of loads.
//!
//! Bounds: 16 MiB of loads per connection and 96 MiB over all wait at most, 16 Asks per connection; one frame beyond
//! that is held while it waits. Nothing is allocated by a length before a ticket was checked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::net::connect::Connection;
use common::net::framed::{Frame, FrameError, FrameReader, FrameWriter};
use common::net::pki::CredentialStore;
use common::protocol::data::{Answer, Ask, Load, Open, Opened};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::{FrameType, MAJOR};
use common::protocol::restore::{OpenRestore, Window};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::authority::Authority;
use super::backup::{Input, Link, chain};
use super::outbox::{Next, Outbox, Outlet, outbox};
use super::registry::{Joined, Sessions, WINDOW_BYTES};
use super::restore::{Plan, Restore};
use crate::format::block::Kind;
use crate::store::verify::verify;

/// For the first frame.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// A connection that has nothing to say shows that it lives.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A client that writes a window to a slow disk is silent for so long at most.
const RESTORE_IDLE: Duration = Duration::from_secs(600);
/// Bytes of loads that wait over all connections.
const ALL_LOADS: usize = 96 << 20;
/// Asks of one connection that wait.
const ASKS: usize = 16;
/// Loads of one connection that wait, however short.
const LOADS: usize = 240;
/// Longest frame of a backup connection: the longest load.
const MAX_FRAME: usize = 10 << 20;
/// Most data connections at once.
const MAX_CONNECTIONS: usize = 256;

/// What all connections share.
pub struct Edge {
    sessions: Arc<Sessions>,
    authority: Arc<Authority>,
    credentials: Arc<CredentialStore>,
    loads: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Edge {
    /// An edge before these sessions.
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        authority: Arc<Authority>,
        credentials: Arc<CredentialStore>,
    ) -> Arc<Self> {
        Arc::new(Self {
            sessions,
            authority,
            credentials,
            loads: Arc::new(Semaphore::new(ALL_LOADS)),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }

    /// Serves a connection to its end.
    pub async fn serve(self: Arc<Self>, connection: Connection) {
        let (remote, serial) = (connection.remote, connection.serial.clone());
        let credentials = self.credentials.clone();
        let served = async {
            tokio::select! {
                served = self.serve_open(connection) => served,
                () = credentials.revoked().revoked(&serial) => {
                    tracing::warn!(%remote, "certificate revoked: connection closed");
                    Ok(())
                }
            }
        };
        if let Err(error) = served.await {
            tracing::info!(%remote, reason = chain(&error), "data connection ended");
        }
    }

    async fn serve_open(self: Arc<Self>, mut connection: Connection) -> Result<(), FrameError> {
        let first = timeout(OPEN_LIMIT, connection.reader.read()).await;
        let frame = first
            .map_err(|_| FrameError::Silent(OPEN_LIMIT))??
            .ok_or(FrameError::Cut)?;
        let Ok(_place) = self.places.clone().try_acquire_owned() else {
            let fault = Fault::passing(code::BUSY, "too many data connections");
            return refuse(&mut connection.writer, &fault).await;
        };
        let opened = match frame.frame_type() {
            Some(FrameType::Open) => self.backup(frame.message()?, connection).await,
            Some(FrameType::OpenRestore) => self.restore(frame.message()?, connection).await,
            _ => Err((
                Fault::new(code::OUT_OF_ORDER, "a data connection starts with Open"),
                connection,
            )),
        };
        match opened {
            Ok(served) => served,
            Err((fault, mut connection)) => refuse(&mut connection.writer, &fault).await,
        }
    }

    async fn backup(&self, open: Open, connection: Connection) -> Result<Served, Refused> {
        let joined = async {
            check_major(open.major)?;
            let ticket = self
                .authority
                .check(&open.ticket, connection.peer, "backup")?;
            let (sessions, signed) = (self.sessions.clone(), open.ticket);
            blocking(move || sessions.join(ticket, &signed)).await
        };
        let joined = match joined.await {
            Ok(joined) => joined,
            Err(fault) => return Err((fault, connection)),
        };
        let (outbox, outlet) = outbox();
        let link = Link {
            connection: open.connection,
            generation: joined.generation,
            outbox,
        };
        let Connection {
            mut reader, writer, ..
        } = connection;
        reader.limit_body(MAX_FRAME);
        let _ = link.outbox.offer_message(FrameType::Opened, &joined.opened);
        let incoming = Incoming {
            link,
            joined,
            sessions: self.sessions.clone(),
            loads: self.loads.clone(),
            own_loads: Arc::new(Semaphore::new(WINDOW_BYTES)),
            load_places: Arc::new(Semaphore::new(LOADS)),
            asks: Arc::new(Semaphore::new(ASKS)),
            asked: Arc::default(),
            sequence: 0,
        };
        Ok(incoming
            .run(
                reader,
                AbortOnDropHandle::new(tokio::spawn(write_all(writer, outlet))),
            )
            .await)
    }

    async fn restore(&self, open: OpenRestore, connection: Connection) -> Result<Served, Refused> {
        let sessions = self.sessions.clone();
        let checked = async {
            check_major(open.major)?;
            let ticket = self
                .authority
                .check(&open.ticket, connection.peer, "restore")?;
            let place = sessions.restore_place()?;
            let store = sessions.store().clone();
            let plan = blocking(move || Plan::new(&store, &ticket, &open)).await?;
            Ok((place, plan))
        };
        let (place, plan) = match checked.await {
            Ok(checked) => checked,
            Err(fault) => return Err((fault, connection)),
        };
        let (outbox, outlet) = outbox();
        let (done, answers) = crossbeam_channel::bounded(64);
        let _ = outbox.offer_message(FrameType::Opened, &Opened::default());
        let (store, sending) = (sessions.store().clone(), outbox.clone());
        std::thread::spawn(move || {
            // A client that is gone needs no more.
            let _ = Restore::new(store, plan, sending.clone(), answers).run();
            sending.end();
            drop(place);
        });
        let Connection {
            mut reader, writer, ..
        } = connection;
        reader.set_idle(RESTORE_IDLE);
        Ok(answered(
            reader,
            done,
            AbortOnDropHandle::new(tokio::spawn(write_all(writer, outlet))),
        )
        .await)
    }
}

type Served = Result<(), FrameError>;
type Refused = (Fault, Connection);
/// Ends when the connection's task does, also when that is dropped.
type Writing = AbortOnDropHandle<Served>;

fn check_major(major: u32) -> Result<(), Fault> {
    if major.abs_diff(MAJOR) <= 1 {
        return Ok(());
    }
    let text = format!(
        "protocol major {major} is spoken, this daemon speaks {MAJOR}; update the older one"
    );
    Err(Fault::new(code::VERSION, text))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|e| Err(Fault::new(code::INTERNAL, e.to_string())))
}

async fn refuse(writer: &mut FrameWriter, fault: &Fault) -> Served {
    tracing::warn!(
        code = fault.code,
        reason = fault.text,
        "data connection refused"
    );
    writer.send_message(FrameType::Fault, fault).await?;
    writer.close().await
}

/// Sends what the session's thread says, and a sign of life when that is nothing.
async fn write_all(mut writer: FrameWriter, mut outlet: Outlet) -> Served {
    loop {
        match timeout(PING_EVERY, outlet.next()).await {
            Err(_) => {
                writer.write(FrameType::Ping, 0, &[]).await?;
                writer.flush().await?;
            }
            Ok(Some(Next::Frame(frame))) => {
                writer
                    .write(frame.frame_type, 0, &[&frame.head, &frame.payload])
                    .await?;
                outlet.sent(frame.head.len() + frame.payload.len());
                if outlet.is_empty() {
                    writer.flush().await?;
                }
            }
            Ok(Some(Next::End) | None) => return writer.close().await,
        }
    }
}

/// Reads a restore's answers until the stream was sent or the client is gone.
async fn answered(
    mut reader: FrameReader,
    done: crossbeam_channel::Sender<u64>,
    mut writing: Writing,
) -> Served {
    let mut is_sent = false;
    loop {
        let frame = tokio::select! {
            frame = reader.read() => frame,
            written = &mut writing, if !is_sent => {
                is_sent = true;
                match written {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => Err(error),
                    Err(_) => Ok(None),
                }
            }
        };
        match frame {
            Ok(Some(frame)) if frame.frame_type() == Some(FrameType::WindowDone) => {
                let window: Window = frame.message()?;
                // More answers than windows: the client counts wrong, and the last ones say nothing new.
                let _ = done.try_send(window.number);
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The reading side of a backup connection.
struct Incoming {
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
    async fn run(mut self, mut reader: FrameReader, mut writing: Writing) -> Served {
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
            written = &mut writing => return written.unwrap_or(Ok(())),
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
        let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
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
