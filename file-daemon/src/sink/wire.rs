//! Wire: the two tasks of a session's connection: one writes what the pipeline says, one hands out what comes back.
//!
//! Both sides send a Ping when they have nothing to say, so silence means that the peer is gone, whatever the system
//! believes of the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use common::codec::DecodeError;
use common::net::connect::Connection;
use common::net::framed::{Frame, FrameError, FrameReader, FrameWriter};
use common::protocol::data::{Ack, Answer, Checkpointed, Load, Receipt};
use common::protocol::fault::code;
use common::protocol::frame::FrameType;
use tokio::sync::mpsc;

use super::error::SinkError;
use super::pending::{Asker, Pending, pages_of};
use super::stop::Stop;
use super::window::Window;

/// Without anything to say, a Ping is sent this often.
const PING: Duration = Duration::from_secs(15);
/// A peer that neither sent nor took anything for this long is lost: three of its Pings are missing.
pub const SILENCE: Duration = Duration::from_secs(50);

/// How long the last words of a peer are waited for that takes nothing more.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A frame to be sent.
pub struct Outgoing {
    /// Its type.
    pub kind: FrameType,
    /// First part of its body.
    pub head: Vec<u8>,
    /// Second part.
    pub payload: Bytes,
    /// Who waits for the answer.
    pub asker: Option<Asker>,
}

/// What both tasks and the session share.
pub struct Shared {
    /// Label of the storage.
    pub storage: String,
    /// Loads under way.
    pub window: Window,
    /// Questions under way.
    pub pending: Pending,
    /// Bytes sent.
    pub sent_bytes: AtomicU64,
    /// Bytes added to volumes.
    pub stored_bytes: AtomicU64,
    /// Why the run stopped.
    pub stop: Arc<Stop>,
}

impl Shared {
    /// The session is over: everyone who waits learns so.
    pub fn end(&self, reason: SinkError) {
        self.stop.set(reason);
        self.pending.close();
        self.window.acknowledge(u64::MAX);
    }

    /// A failed connection as the run's end.
    #[must_use]
    pub fn lost(&self, error: &FrameError) -> SinkError {
        match error {
            FrameError::Fault(fault) => SinkError::Refused(Arc::new(fault.clone())),
            other => SinkError::Lost {
                storage: self.storage.clone(),
                reason: crate::chain(other),
            },
        }
    }
}

/// Both tasks, to the end of the session.
pub async fn run(connection: Connection, mut queue: mpsc::Receiver<Outgoing>, shared: &Shared) {
    let Connection { reader, writer, .. } = connection;
    let reading = read(reader, shared);
    tokio::pin!(reading);
    let written = tokio::select! {
        written = write(writer, &mut queue, shared) => written,
        () = &mut reading => return,
    };
    if let Err(e) = written {
        // A peer that ends the connection has often said why before, and the pipeline must not hear a lesser reason
        // first: the queue stays open, and full, until the last words are read.
        let _ = tokio::time::timeout(LAST_WORDS, reading).await;
        shared.end(shared.lost(&e));
    }
}

/// Writes until the queue ends or the connection fails.
async fn write(
    mut writer: FrameWriter,
    queue: &mut mpsc::Receiver<Outgoing>,
    shared: &Shared,
) -> Result<(), FrameError> {
    writer.set_idle(SILENCE);
    loop {
        let next = match queue.try_recv() {
            Ok(next) => Some(next),
            Err(_) => {
                writer.flush().await?;
                match tokio::time::timeout(PING, queue.recv()).await {
                    Ok(None) => return writer.close().await,
                    Ok(next) => next,
                    Err(_) => None,
                }
            }
        };
        match next {
            Some(frame) => {
                if let Some(asker) = frame.asker {
                    shared.pending.ask(asker);
                }
                let bytes = frame.head.len() + frame.payload.len();
                shared.sent_bytes.fetch_add(bytes as u64, Relaxed);
                writer
                    .write(frame.kind, 0, &[&frame.head, &frame.payload])
                    .await?;
            }
            None => writer.write(FrameType::Ping, 0, &[]).await?,
        }
    }
}

/// Reads until the connection ends.
async fn read(mut reader: FrameReader, shared: &Shared) {
    reader.set_idle(SILENCE);
    let reason = loop {
        match reader.read().await {
            Ok(Some(frame)) => match take(&frame, shared) {
                Ok(()) => {}
                Err(e) => break e,
            },
            Ok(None) => {
                break SinkError::Lost {
                    storage: shared.storage.clone(),
                    reason: "it ended the connection".to_owned(),
                };
            }
            Err(e) => break shared.lost(&e),
        }
    };
    shared.end(reason);
}

fn take(frame: &Frame, shared: &Shared) -> Result<(), SinkError> {
    let malformed = |e: FrameError| shared.lost(&e);
    let broken = |e: DecodeError| shared.lost(&e.into());
    let body = &frame.body;
    let expected = match frame.frame_type() {
        Some(FrameType::Ack) => {
            let ack = Ack::decode(body).map_err(broken)?;
            shared.stored_bytes.store(ack.stored_bytes, Relaxed);
            shared.window.acknowledge(ack.sequence);
            true
        }
        Some(FrameType::Answer) => {
            let answer = Answer::decode(body).map_err(broken)?;
            shared.pending.answer(answer)
        }
        Some(FrameType::PageData) => {
            let load = Load::decode(body.clone()).map_err(broken)?;
            let pages = pages_of(&load.segment).map_err(broken)?;
            shared.pending.pages(pages)
        }
        Some(FrameType::Checkpointed) => {
            frame.message::<Checkpointed>().map_err(malformed)?;
            shared.pending.checkpointed()
        }
        Some(FrameType::Receipt) => {
            let receipt = frame.message::<Receipt>().map_err(malformed)?;
            shared.pending.receipt(receipt)
        }
        Some(FrameType::Ping) => true,
        Some(FrameType::Fault) => {
            let fault = frame.message().map_err(malformed)?;
            return fault_came(fault, shared);
        }
        _ => false,
    };
    if expected {
        return Ok(());
    }
    Err(SinkError::Protocol {
        got: format!("frame type {}", frame.kind),
        expected: "an answer to what was asked",
    })
}

/// A page of the base that storage no longer has is an answer; every other fault ends the session.
fn fault_came(fault: common::protocol::fault::Fault, shared: &Shared) -> Result<(), SinkError> {
    let is_page = fault.code == code::MISSING && shared.pending.waits_for_pages();
    if is_page && shared.pending.pages(Vec::new()) {
        return Ok(());
    }
    Err(SinkError::Refused(Arc::new(fault)))
}
