//! A data connection at the edge: frames in, frames out. It decides nothing and never blocks: loads go to the verifying
//! threads and in order to the session's thread, Asks are answered by the same threads ahead of loads.
//!
//! Bounds: 8 MiB of loads per connection and 32 MiB over all wait at most, 16 Asks per connection; one frame beyond
//! that is held while it waits. Nothing is allocated by a length before a ticket was checked.

use std::sync::Arc;
use std::time::Duration;

use common::net::connect::Connection;
use common::net::framed::{FrameError, FrameReader, FrameWriter};
use common::net::pki::CredentialStore;
use common::protocol::data::{Open, Opened};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::{FrameType, MAJOR};
use common::protocol::restore::{OpenRestore, Window};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::authority::Authority;
use super::backup::{Link, chain};
use super::backup_connection::Incoming;
use super::outbox::{Next, Outlet, outbox};
use super::registry::Sessions;
use super::restore::{Plan, Restore};

/// For the first frame.
pub(super) const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// A connection that has nothing to say shows that it lives.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Bytes of loads that wait over all connections.
const ALL_LOADS: usize = 32 << 20;
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
        let incoming = Incoming::new(link, joined, self.sessions.clone(), self.loads.clone());
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
        let Connection { reader, writer, .. } = connection;
        Ok(answered(
            reader,
            done,
            AbortOnDropHandle::new(tokio::spawn(write_all(writer, outlet))),
        )
        .await)
    }
}

pub(super) type Served = Result<(), FrameError>;
type Refused = (Fault, Connection);
/// Ends when the connection's task does, also when that is dropped.
pub(super) type Writing = AbortOnDropHandle<Served>;

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
