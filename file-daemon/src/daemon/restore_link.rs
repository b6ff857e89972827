//! The data connection of a restore, as a blocking source of messages for its thread.

use std::io;
use std::time::Duration;

use common::ids::{Identity, Role};
use common::net::connect::{Connection, connect};
use common::net::framed::FrameError;
use common::net::pki::CredentialStore;
use common::protocol::frame::{FrameType, MAJOR, MINOR, alpn};
use common::protocol::orders::RestoreOrder;
use common::protocol::restore::{OpenRestore, Window};
use common::shutdown::StopToken;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::restore::{Message, RestoreSource, StreamError};

/// The Storage Daemon may plan and seek this long before something comes.
const SILENT: Duration = Duration::from_secs(600);

/// An open restore.
pub struct RestoreLink {
    connection: Connection,
    runtime: Handle,
    stop: StopToken,
}

/// Dials the storage and opens the restore.
///
/// # Errors
/// No address answers, or the order names no storage.
pub async fn open(
    order: &RestoreOrder,
    store: &CredentialStore,
    stop: StopToken,
) -> Result<RestoreLink, StreamError> {
    let failed = |text: String| StreamError::Connection(io::Error::other(text));
    let target = order.storage.as_ref();
    let target = target.ok_or_else(|| failed("the order names no storage".to_owned()))?;
    let id = Uuid::from_slice(&target.id);
    let id = id.map_err(|_| failed("the order names no storage".to_owned()))?;
    let peer = Identity {
        role: Role::Storage,
        id,
    };
    let mut connection = connect(&target.addresses, peer, alpn::DATA, store)
        .await
        .map_err(|e| failed(e.to_string()))?;
    connection.reader.set_idle(SILENT);
    let mode = match order.mode.as_str() {
        "dry-run" => "names",
        "compare" => "chunks",
        _ => "content",
    };
    let open = OpenRestore {
        major: MAJOR,
        minor: MINOR,
        ticket: order.ticket.clone(),
        selection: order.selection.clone(),
        mode: mode.to_owned(),
    };
    let writer = &mut connection.writer;
    let sent = writer.send_message(FrameType::OpenRestore, &open).await;
    sent.map_err(frame_error)?;
    Ok(RestoreLink {
        connection,
        runtime: Handle::current(),
        stop,
    })
}

impl RestoreSource for RestoreLink {
    fn next(&mut self) -> Result<Message, StreamError> {
        loop {
            let (reader, stop) = (&mut self.connection.reader, &self.stop);
            let frame = self.runtime.block_on(async {
                tokio::select! {
                    frame = reader.read() => frame,
                    () = stop.cancelled() => Err(io::Error::from(io::ErrorKind::Interrupted).into()),
                }
            });
            let frame = frame.map_err(frame_error)?.ok_or_else(|| {
                StreamError::Connection(io::Error::from(io::ErrorKind::UnexpectedEof))
            })?;
            match frame.frame_type() {
                Some(FrameType::Ping) => {}
                Some(FrameType::Fault) => {
                    return Err(StreamError::Fault(frame.message().map_err(frame_error)?));
                }
                Some(kind) => return Ok(Message::decode(kind, frame.body)?),
                None => return Err(frame_error(FrameError::Unexpected {
                    got: frame.kind,
                    expected: "a message of the restore",
                })),
            }
        }
    }

    fn window_done(&mut self, number: u64) -> Result<(), StreamError> {
        let window = Window { number };
        let writer = &mut self.connection.writer;
        let sent = writer.send_message(FrameType::WindowDone, &window);
        self.runtime.block_on(sent).map_err(frame_error)
    }
}

fn frame_error(e: FrameError) -> StreamError {
    match e {
        FrameError::Fault(fault) => StreamError::Fault(fault),
        FrameError::Malformed(e) => StreamError::Malformed(e),
        e => StreamError::Connection(io::Error::other(crate::chain(&e))),
    }
}
