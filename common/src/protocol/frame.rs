//! Frames: how bytes on a TLS connection are cut into messages, on control and data connections alike.
//!
//! ```text
//! body length u32 | type u8 | flags u8 | 0 u16 | stream u32 | body
//! ```
//! Little-endian. Each type has a longest body, checked before allocation. Reserved bits are sent as 0 and ignored.

use crate::codec::{DecodeError, Reader};

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 12;

/// Protocol version spoken by this program: majors must be equal or one apart, minors only add.
pub const MAJOR: u32 = 1;
/// See [`MAJOR`].
pub const MINOR: u32 = 0;

/// ALPN names: what a connection is for. A listener refuses a peer that offers none of them.
pub mod alpn {
    /// Director and daemon, kept open.
    pub const CONTROL: &[u8] = b"holdfast-ctl/1";
    /// File Daemon and Storage Daemon: one session's bytes.
    pub const DATA: &[u8] = b"holdfast-data/1";
    /// A machine without a certificate presents its token.
    pub const ENROL: &[u8] = b"holdfast-enrol/1";
    /// A daemon renews its certificate, expired or not.
    pub const RENEW: &[u8] = b"holdfast-renew/1";
}

/// Frame types. Control 1.., enrolment 8.., backup data 16.., restore 48...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameType {
    /// [`super::control::Envelope`]
    Control = 1,
    /// [`super::fault::Fault`]: ends a data connection, or answers what was not understood.
    Fault = 2,
    /// Heartbeat: empty body, either side, answered by nothing; any frame counts as life.
    Ping = 3,
    /// [`super::enrol::EnrolRequest`]
    EnrolRequest = 8,
    /// [`super::enrol::EnrolReply`]
    EnrolReply = 9,
    /// [`super::enrol::RenewRequest`]
    RenewRequest = 10,
    /// [`super::data::Open`]
    Open = 16,
    /// [`super::data::Opened`]
    Opened = 17,
    /// Raw: [`super::data::Ask`]
    Ask = 18,
    /// Raw: [`super::data::Answer`]
    Answer = 19,
    /// Raw: [`super::data::Load`] of content
    Segment = 20,
    /// Raw: [`super::data::Load`] of pages
    Pages = 21,
    /// Raw: [`super::data::Ack`]
    Ack = 22,
    /// [`super::data::Checkpoint`]
    Checkpoint = 23,
    /// [`super::data::Checkpointed`]
    Checkpointed = 24,
    /// [`super::data::Commit`]
    Commit = 25,
    /// [`super::data::Receipt`]
    Receipt = 26,
    /// Raw: [`super::data::Ask`] of page ids of the session's own base
    PageGet = 27,
    /// Raw: [`super::data::Load`] of the pages asked for that are present, in order
    PageData = 28,
    /// [`super::restore::OpenRestore`]
    OpenRestore = 48,
    /// Raw: [`super::restore::Items`]
    Items = 49,
    /// Raw: [`super::restore::AttributeValue`]
    AttributeValue = 50,
    /// Raw: [`super::restore::Delivery`]
    Delivery = 51,
    /// Raw: [`super::restore::ChunkNames`]
    ChunkNames = 52,
    /// [`super::restore::Lost`]
    Lost = 53,
    /// [`super::restore::Window`]: all of this window's content was sent
    WindowEnd = 54,
    /// [`super::restore::Window`]: the receiver has written all of it
    WindowDone = 55,
    /// [`super::restore::RestoreEnd`]
    RestoreEnd = 56,
}

impl FrameType {
    /// From its byte; `None` = unknown to this version.
    #[must_use]
    pub fn from_u8(byte: u8) -> Option<Self> {
        use FrameType as T;
        const ALL: [FrameType; 25] = [
            T::Control,
            T::Fault,
            T::Ping,
            T::EnrolRequest,
            T::EnrolReply,
            T::RenewRequest,
            T::Open,
            T::Opened,
            T::Ask,
            T::Answer,
            T::Segment,
            T::Pages,
            T::Ack,
            T::Checkpoint,
            T::Checkpointed,
            T::Commit,
            T::Receipt,
            T::PageGet,
            T::PageData,
            T::OpenRestore,
            T::Items,
            T::AttributeValue,
            T::Delivery,
            T::ChunkNames,
            T::Lost,
        ];
        const MORE: [FrameType; 3] = [T::WindowEnd, T::WindowDone, T::RestoreEnd];
        ALL.into_iter().chain(MORE).find(|t| *t as u8 == byte)
    }

    /// Longest body in bytes.
    #[must_use]
    pub fn max_body(self) -> usize {
        match self {
            Self::Ping => 0,
            Self::Fault
            | Self::EnrolRequest
            | Self::EnrolReply
            | Self::RenewRequest
            | Self::Ack => 64 << 10,
            Self::Segment | Self::Pages | Self::PageData | Self::Delivery => 24 << 20,
            Self::AttributeValue => 2 << 20,
            _ => 4 << 20,
        }
    }
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Body bytes that follow.
    pub body: u32,
    /// Type byte; [`FrameType::from_u8`] may not know it.
    pub frame_type: u8,
    /// Stream number: 0 where there is only one.
    pub stream: u32,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&self.body.to_le_bytes());
        out[4] = self.frame_type;
        out[8..].copy_from_slice(&self.stream.to_le_bytes());
        out
    }

    /// Reads a header and checks the body's length against its type; a type unknown here may have 64 KiB, to be skipped.
    ///
    /// # Errors
    /// Over the limit.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let body = r.u32("frame length")?;
        let frame_type = r.u8("frame type")?;
        r.bytes(3, "frame flags")?;
        let stream = r.u32("frame stream")?;
        let max = FrameType::from_u8(frame_type).map_or(64 << 10, FrameType::max_body);
        if body as usize > max {
            return Err(DecodeError::Range {
                what: "frame length",
            });
        }
        Ok(Self {
            body,
            frame_type,
            stream,
        })
    }
}
