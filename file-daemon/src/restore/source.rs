//! Where a restore's messages come from: a data connection, or in tests a tree in memory.

use std::io;

use bytes::Bytes;
use common::codec::DecodeError;
use common::protocol::fault::Fault;
use common::protocol::frame::FrameType;
use common::protocol::restore::{
    AttributeValue, ChunkNames, Delivery, Items, Lost, RestoreEnd, Window,
};
use prost::Message as _;

/// One message of the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Steps of the walk.
    Items(Items),
    /// A large attribute's value.
    AttributeValue(AttributeValue),
    /// Content.
    Delivery(Delivery),
    /// Names of chunks, for comparison.
    ChunkNames(ChunkNames),
    /// What cannot be delivered.
    Lost(Lost),
    /// The window's content was all sent.
    WindowEnd(Window),
    /// Everything was sent.
    End(RestoreEnd),
}

impl Message {
    /// Reads a frame of the stream.
    ///
    /// # Errors
    /// Malformed, or a frame type that does not belong here.
    pub fn decode(frame: FrameType, body: Bytes) -> Result<Self, DecodeError> {
        let malformed = |what| move |_| DecodeError::Range { what };
        Ok(match frame {
            FrameType::Items => Self::Items(Items::decode(&body)?),
            FrameType::AttributeValue => Self::AttributeValue(AttributeValue::decode(&body)?),
            FrameType::Delivery => Self::Delivery(Delivery::decode(body)?),
            FrameType::ChunkNames => Self::ChunkNames(ChunkNames::decode(&body)?),
            FrameType::Lost => Self::Lost(Lost::decode(body).map_err(malformed("lost message"))?),
            FrameType::WindowEnd => {
                Self::WindowEnd(Window::decode(body).map_err(malformed("window end"))?)
            }
            FrameType::RestoreEnd => {
                Self::End(RestoreEnd::decode(body).map_err(malformed("restore end"))?)
            }
            _ => {
                return Err(DecodeError::Range {
                    what: "frame type in a restore",
                });
            }
        })
    }
}

/// Why the stream broke off.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection failed or was silent too long.
    #[error("lost the connection to the Storage Daemon")]
    Connection(#[source] io::Error),
    /// The Storage Daemon said why it cannot go on.
    #[error("the Storage Daemon ended the restore: {} ({})", .0.text, .0.code)]
    Fault(Fault),
    /// Bytes that are no message.
    #[error("the Storage Daemon sent a malformed message")]
    Malformed(#[from] DecodeError),
}

/// A stream of restore messages. `next` ends with an error when the run is canceled.
pub trait RestoreSource {
    /// The next message.
    ///
    /// # Errors
    /// [`StreamError`]
    fn next(&mut self) -> Result<Message, StreamError>;

    /// Tells the sender that all of window `number` is written.
    ///
    /// # Errors
    /// [`StreamError`]
    fn window_done(&mut self, number: u64) -> Result<(), StreamError>;
}
