//! Frames over a TLS connection: two halves, each for one task.
//!
//! Few copies: bodies are read straight into one buffer and handed out of it, long ones into buffers that are used
//! again; big parts are encrypted from where they are. A clean end is TLS close_notify between two frames; anything else is an error, never an end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use crate::codec::DecodeError;
use crate::protocol::fault::Fault;
use crate::protocol::frame::{FrameType, HEADER_BYTES, Header};
use crate::slabs;

/// A TLS connection. rustls reads 4 KiB at a time: the buffer below it saves the system calls.
pub type TlsSocket = TlsStream<BufReader<TcpStream>>;

/// Bytes read from the socket at once: also what a stranger can make us keep before the handshake is done.
pub(super) const SOCKET_BUFFER: usize = 32 << 10;
/// Encrypted bytes that may wait for the socket.
pub(super) const TLS_BUFFER: usize = 1 << 20;
/// Frames up to this are gathered before they are encrypted.
const GATHER: usize = 64 << 10;
/// Bodies from this on have a buffer of their own.
const LONG_BODY: usize = 64 << 10;
/// Without another order, a peer may be silent or not read for this long.
pub const IDLE: Duration = Duration::from_secs(60);

/// Why no frame could be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection failed or ended without saying so.
    #[error("connection lost")]
    Io(#[from] io::Error),
    /// The peer ended the connection inside a frame.
    #[error("connection ended inside a frame")]
    Cut,
    /// Nothing moved for the whole of the limit.
    #[error("peer neither sent nor read anything for {} s", .0.as_secs())]
    Silent(Duration),
    /// Bytes that are not a frame, or not a message of the type it should be.
    #[error("peer sent bytes that make no sense")]
    Malformed(#[from] DecodeError),
    /// A frame of another type than the protocol allows here.
    #[error("peer sent frame type {got} where {expected} belongs")]
    Unexpected {
        /// What came.
        got: u8,
        /// What should have come.
        expected: &'static str,
    },
    /// The peer said why it cannot go on.
    #[error("peer answers: {} ({})", .0.text, .0.code)]
    Fault(Fault),
    /// An own frame is longer than its type allows.
    #[error("own frame of {bytes} bytes is over the limit of its type {frame_type:?}")]
    TooLong {
        /// Its type.
        frame_type: FrameType,
        /// Body bytes.
        bytes: usize,
    },
    /// An earlier write was dropped half way.
    #[error("connection is unusable: a frame was cut short on this side")]
    Broken,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Type byte: maybe one this version does not know.
    pub kind: u8,
    /// Stream number.
    pub stream: u32,
    /// Body.
    pub body: Bytes,
}

impl Frame {
    /// Its type; `None` = unknown to this version.
    #[must_use]
    pub fn frame_type(&self) -> Option<FrameType> {
        FrameType::from_u8(self.kind)
    }

    /// Its body as a protobuf message.
    ///
    /// # Errors
    /// When it is not one.
    pub fn message<M: Message + Default>(&self) -> Result<M, FrameError> {
        let what = "message body";
        M::decode(self.body.clone()).map_err(|_| DecodeError::Range { what }.into())
    }
}

/// The reading half.
#[derive(Debug)]
pub struct FrameReader {
    half: ReadHalf<TlsSocket>,
    buffer: BytesMut,
    /// A long body that is not all here.
    long: Option<LongBody>,
    idle: Duration,
    max_body: usize,
    heard: Arc<AtomicU64>,
}

impl FrameReader {
    /// Reads the next frame; `None` = the peer ended the connection cleanly. Safe to drop and call again.
    ///
    /// # Errors
    /// Lost, cut, silent, or not a frame.
    pub async fn read(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.long.is_some() {
            return self.read_long().await.map(Some);
        }
        if !self.fill(HEADER_BYTES).await? {
            return Ok(None);
        }
        let header = self.header()?;
        let length = header.body as usize;
        if length > self.max_body {
            let what = "frame length";
            return Err(DecodeError::Range { what }.into());
        }
        if length >= LONG_BODY {
            self.start_long(header);
            return self.read_long().await.map(Some);
        }
        if !self.fill(HEADER_BYTES + length).await? {
            return Err(FrameError::Cut);
        }
        let body = self.buffer.split_to(HEADER_BYTES + length).freeze();
        Ok(Some(self.frame(header, body.slice(HEADER_BYTES..))))
    }

    fn frame(&self, header: Header, body: Bytes) -> Frame {
        self.heard.fetch_add(1, Ordering::Relaxed);
        Frame {
            kind: header.frame_type,
            stream: header.stream,
            body,
        }
    }

    /// Takes what is here of a long body, behind its header.
    fn start_long(&mut self, header: Header) {
        let length = header.body as usize;
        self.buffer.advance(HEADER_BYTES);
        let there = self.buffer.len().min(length);
        let mut bytes = slabs::take(length);
        bytes.extend_from_slice(&self.buffer.split_to(there));
        self.long = Some(LongBody { header, bytes });
    }

    /// Reads the rest of a long body. What is here stays when this is dropped.
    async fn read_long(&mut self) -> Result<Frame, FrameError> {
        while let Some(LongBody { header, bytes }) = &mut self.long {
            let missing = (header.body as usize).saturating_sub(bytes.len());
            if missing == 0 {
                break;
            }
            let mut room = bytes.limit(missing);
            let read = timeout(self.idle, self.half.read_buf(&mut room)).await;
            if read.map_err(|_| FrameError::Silent(self.idle))?? == 0 {
                return Err(FrameError::Cut);
            }
        }
        let LongBody { header, bytes } = self.long.take().ok_or(FrameError::Cut)?;
        Ok(self.frame(header, slabs::lend(bytes)))
    }

    /// Reads the one frame that must come next; a Fault in its place is an error of its own.
    ///
    /// # Errors
    /// As [`FrameReader::read`]; another frame, or the end.
    pub async fn expect<M: Message + Default>(
        &mut self,
        frame_type: FrameType,
        expected: &'static str,
    ) -> Result<M, FrameError> {
        let frame = self.read().await?.ok_or(FrameError::Cut)?;
        match frame.frame_type() {
            Some(t) if t == frame_type => frame.message(),
            Some(FrameType::Fault) => Err(FrameError::Fault(frame.message()?)),
            _ => Err(FrameError::Unexpected {
                got: frame.kind,
                expected,
            }),
        }
    }

    /// Counts the frames that came: whoever watches it sees that the peer lives.
    #[must_use]
    pub fn heard(&self) -> Arc<AtomicU64> {
        self.heard.clone()
    }

    /// How long the peer may send nothing while a frame is awaited.
    pub fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Refuses longer bodies than this, whatever their type allows.
    pub fn limit_body(&mut self, max_bytes: usize) {
        self.max_body = max_bytes;
    }

    fn header(&self) -> Result<Header, FrameError> {
        let bytes = self
            .buffer
            .first_chunk::<HEADER_BYTES>()
            .ok_or(FrameError::Cut)?;
        Ok(Header::decode(bytes)?)
    }

    /// Until `bytes` are there. `false` = the clean end, with nothing there.
    async fn fill(&mut self, bytes: usize) -> Result<bool, FrameError> {
        while self.buffer.len() < bytes {
            let missing = bytes - self.buffer.len();
            self.buffer.reserve(missing.max(4096));
            let read = timeout(self.idle, self.half.read_buf(&mut self.buffer)).await;
            match read.map_err(|_| FrameError::Silent(self.idle))?? {
                0 if self.buffer.is_empty() => return Ok(false),
                0 => return Err(FrameError::Cut),
                _ => {}
            }
        }
        Ok(true)
    }
}

/// A body under way.
#[derive(Debug)]
struct LongBody {
    header: Header,
    bytes: Vec<u8>,
}

/// The writing half. One task owns it: a write that is dropped half way makes the connection unusable.
#[derive(Debug)]
pub struct FrameWriter {
    half: WriteHalf<TlsSocket>,
    gathered: Vec<u8>,
    idle: Duration,
    in_write: bool,
}

impl FrameWriter {
    /// Writes a frame whose body is `parts`, one after the other. Small ones wait for [`FrameWriter::flush`].
    ///
    /// # Errors
    /// Body too long for its type, or the connection failed.
    pub async fn write(
        &mut self,
        frame_type: FrameType,
        stream: u32,
        parts: &[&[u8]],
    ) -> Result<(), FrameError> {
        let bytes: usize = parts.iter().map(|p| p.len()).sum();
        let body = match u32::try_from(bytes) {
            Ok(body) if bytes <= frame_type.max_body() => body,
            _ => return Err(FrameError::TooLong { frame_type, bytes }),
        };
        self.begin()?;
        let header = Header {
            body,
            frame_type: frame_type as u8,
            stream,
        };
        self.gathered.extend_from_slice(&header.encode());
        for part in parts {
            self.put(part).await?;
        }
        self.in_write = false;
        Ok(())
    }

    /// Writes a protobuf message and flushes.
    ///
    /// # Errors
    /// As [`FrameWriter::write`].
    pub async fn send_message(
        &mut self,
        frame_type: FrameType,
        message: &impl Message,
    ) -> Result<(), FrameError> {
        self.write(frame_type, 0, &[&message.encode_to_vec()])
            .await?;
        self.flush().await
    }

    /// Sends everything written so far on its way.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        self.begin()?;
        self.drain().await?;
        let flushed = timeout(self.idle, self.half.flush()).await;
        flushed.map_err(|_| FrameError::Silent(self.idle))??;
        self.in_write = false;
        Ok(())
    }

    /// Flushes and ends this direction cleanly (close_notify). Read until `None` for the peer's end.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn close(&mut self) -> Result<(), FrameError> {
        self.flush().await?;
        let done = timeout(self.idle, self.half.shutdown()).await;
        Ok(done.map_err(|_| FrameError::Silent(self.idle))??)
    }

    /// Says a last message and ends the connection cleanly, if the peer takes it within `limit`.
    pub async fn part(&mut self, last: Option<&Fault>, limit: Duration) {
        let parting = async {
            if let Some(fault) = last {
                self.send_message(FrameType::Fault, fault).await?;
            }
            self.close().await
        };
        // Whoever does not take it notices the end all the same.
        let _ = timeout(limit, parting).await;
    }

    /// How long the peer may take nothing.
    pub fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    fn begin(&mut self) -> Result<(), FrameError> {
        if std::mem::replace(&mut self.in_write, true) {
            return Err(FrameError::Broken);
        }
        Ok(())
    }

    async fn put(&mut self, part: &[u8]) -> Result<(), FrameError> {
        if self.gathered.len() + part.len() <= GATHER {
            self.gathered.extend_from_slice(part);
            return Ok(());
        }
        self.drain().await?;
        if part.len() <= GATHER / 2 {
            self.gathered.extend_from_slice(part);
            return Ok(());
        }
        write_all(&mut self.half, part, self.idle).await
    }

    async fn drain(&mut self) -> Result<(), FrameError> {
        write_all(&mut self.half, &self.gathered, self.idle).await?;
        self.gathered.clear();
        Ok(())
    }
}

async fn write_all(
    half: &mut WriteHalf<TlsSocket>,
    mut rest: &[u8],
    idle: Duration,
) -> Result<(), FrameError> {
    while !rest.is_empty() {
        let written = timeout(idle, half.write(rest)).await;
        match written.map_err(|_| FrameError::Silent(idle))?? {
            0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            n => rest = rest.get(n..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Both halves of a TLS connection.
#[must_use]
pub fn split(socket: TlsSocket) -> (FrameReader, FrameWriter) {
    let (read, write) = tokio::io::split(socket);
    let reader = FrameReader {
        half: read,
        buffer: BytesMut::new(),
        long: None,
        idle: IDLE,
        max_body: usize::MAX,
        heard: Arc::default(),
    };
    let writer = FrameWriter {
        half: write,
        gathered: Vec::with_capacity(GATHER),
        idle: IDLE,
        in_write: false,
    };
    (reader, writer)
}
