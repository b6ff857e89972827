//! Connection: the restore stream of a Storage Daemon, read ahead by a few frames while the disk is busy.
//!
//! A task owns the network; the restore's thread only takes messages from a short queue. While one side waits for the
//! other, both send a Ping: a peer without a sign of life is lost.

use std::io;
use std::time::Duration;

use common::ids::{Identity, Role};
use common::net::connect::connect;
use common::net::framed::{FrameError, FrameReader, FrameWriter};
use common::net::pki::CredentialStore;
use common::protocol::data::Opened;
use common::protocol::fault::{Fault, code};
use common::protocol::frame::{FrameType, MAJOR, MINOR, alpn};
use common::protocol::orders::RestoreOrder;
use common::protocol::restore::{OpenRestore, Window};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::source::{Message, RestoreSource, StreamError};

/// Frames read ahead: each at most a segment.
const AHEAD: usize = 4;
/// Without anything to say, a Ping is sent this often.
const PING: Duration = Duration::from_secs(15);
/// A peer that neither sent nor took anything for this long is lost: three of its Pings are missing.
const SILENCE: Duration = Duration::from_secs(50);

/// An open restore connection.
pub struct Connection {
    messages: mpsc::Receiver<Result<Message, StreamError>>,
    done: mpsc::Sender<u64>,
}

impl Connection {
    /// Dials the storage of `order` and opens the stream. Its task ends with the connection, or when `stop` is canceled.
    ///
    /// # Errors
    /// No address answers, or the ticket is refused.
    pub async fn open(
        order: &RestoreOrder,
        store: &CredentialStore,
        stop: CancellationToken,
    ) -> Result<Self, StreamError> {
        let malformed = || {
            let text = "the order names no Storage Daemon";
            StreamError::Fault(Fault::new(code::MALFORMED, text))
        };
        let target = order.storage.as_ref().ok_or_else(malformed)?;
        let id = Uuid::from_slice(&target.id).map_err(|_| malformed())?;
        let peer = Identity {
            role: Role::Storage,
            id,
        };
        let refused = |e| StreamError::Connection(io::Error::other(e));
        let mut connection = connect(&target.addresses, peer, alpn::DATA, store)
            .await
            .map_err(refused)?;
        connection.reader.set_idle(SILENCE);
        connection.writer.set_idle(SILENCE);
        let writer = &mut connection.writer;
        writer
            .send_message(FrameType::OpenRestore, &request(order))
            .await
            .map_err(broken)?;
        let reader = &mut connection.reader;
        let _: Opened = reader
            .expect(FrameType::Opened, "Opened")
            .await
            .map_err(broken)?;
        Ok(Self::start(connection.reader, connection.writer, stop))
    }

    /// Takes over an opened connection.
    fn start(reader: FrameReader, writer: FrameWriter, stop: CancellationToken) -> Self {
        let (out, messages) = mpsc::channel(AHEAD);
        let (done, windows) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let writing = write(writer, windows);
            tokio::pin!(writing);
            tokio::select! {
                () = read(reader, &out) => {
                    // Everything came. The last windows are still answered, and the end is a clean one.
                    tokio::select! {
                        _ = &mut writing => {}
                        () = stop.cancelled() => {}
                    }
                }
                error = &mut writing => tell(&out, error).await,
                () = stop.cancelled() => {
                    let canceled = io::Error::new(io::ErrorKind::Interrupted, "canceled");
                    tell(&out, Some(StreamError::Connection(canceled))).await;
                }
            }
        });
        Self { messages, done }
    }
}

impl RestoreSource for Connection {
    fn next(&mut self) -> Result<Message, StreamError> {
        self.messages
            .blocking_recv()
            .unwrap_or_else(|| Err(ended()))
    }

    fn window_done(&mut self, number: u64) -> Result<(), StreamError> {
        self.done.blocking_send(number).map_err(|_| ended())
    }
}

fn request(order: &RestoreOrder) -> OpenRestore {
    let mode = match order.mode.as_str() {
        "dry-run" => "names",
        "compare" => "chunks",
        _ => "content",
    };
    OpenRestore {
        major: MAJOR,
        minor: MINOR,
        ticket: order.ticket.clone(),
        selection: order.selection.clone(),
        mode: mode.to_owned(),
    }
}

async fn read(mut reader: FrameReader, out: &mpsc::Sender<Result<Message, StreamError>>) {
    loop {
        let message = match reader.read().await {
            Ok(Some(frame)) => match frame.frame_type() {
                Some(FrameType::Ping) => continue,
                Some(FrameType::Fault) => {
                    Err(frame.message().map_or_else(broken, StreamError::Fault))
                }
                Some(kind) => Message::decode(kind, frame.body).map_err(StreamError::Malformed),
                None => continue,
            },
            Ok(None) => Err(ended()),
            Err(e) => Err(broken(e)),
        };
        let last = matches!(message, Err(_) | Ok(Message::End(_)));
        if out.send(message).await.is_err() || last {
            return;
        }
    }
}

/// Answers windows until the restore is over; an error ends the stream.
async fn write(mut writer: FrameWriter, mut windows: mpsc::Receiver<u64>) -> Option<StreamError> {
    loop {
        let written = match tokio::time::timeout(PING, windows.recv()).await {
            Ok(Some(number)) => {
                writer
                    .send_message(FrameType::WindowDone, &Window { number })
                    .await
            }
            Ok(None) => {
                // The restore is over; the other side has nothing more to send either.
                return writer.close().await.err().map(broken);
            }
            Err(_) => match writer.write(FrameType::Ping, 0, &[]).await {
                Ok(()) => writer.flush().await,
                failed => failed,
            },
        };
        if let Err(e) = written {
            return Some(broken(e));
        }
    }
}

async fn tell(out: &mpsc::Sender<Result<Message, StreamError>>, error: Option<StreamError>) {
    if let Some(error) = error {
        // A restore that is over hears nothing more.
        let _ = out.send(Err(error)).await;
    }
}

fn broken(error: FrameError) -> StreamError {
    match error {
        FrameError::Fault(fault) => StreamError::Fault(fault),
        other => StreamError::Connection(io::Error::other(other)),
    }
}

fn ended() -> StreamError {
    StreamError::Connection(io::ErrorKind::UnexpectedEof.into())
}
